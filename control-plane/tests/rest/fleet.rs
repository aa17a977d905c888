//! What the interface tells of proxies that are there.

use serde_json::{Value, json};
use sluice_control::clock;

use crate::manifests::{backend, list, shop};
use crate::proxy::Proxy;
use crate::server::Server;

fn programmed(resource: &Value) -> (&str, &str) {
    let condition = &resource["status"]["conditions"][2];
    (
        condition["status"].as_str().unwrap(),
        condition["reason"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn an_apply_that_waits_is_answered_when_the_quorum_runs_it() {
    let server = Server::start().await;
    let mut proxy = Proxy::join(&server, "edge-1").await;
    let empty = proxy.update().await;
    proxy.ack(&empty).await;
    let manifests = list(&shop());
    let (answer, ()) = tokio::join!(server.post("/v1/apply?wait=10s", &manifests), async {
        let update = proxy.update().await;
        proxy.ack(&update).await;
    });
    let receipt = &answer.json["receipt"];
    assert_eq!(
        (&receipt["fleet"], &receipt["applied"]),
        (&json!(1), &json!(1)),
        "{answer:?}"
    );
    assert!(receipt["appliedMs"]["p99"].as_f64().is_some(), "{receipt}");

    let view = server.get("/v1/fleet").await.json["proxies"][0].clone();
    assert_eq!((&view["id"], &view["state"]), (&json!("edge-1"), &json!("live")));
    assert_eq!(
        (&view["revision"], &view["behind"], &view["version"]),
        (&json!(1), &json!(0), &json!("1.2.3"))
    );
    let listener = &view["listeners"][0];
    assert_eq!(
        (&listener["name"], &listener["gateway"]),
        (&json!("http"), &json!("default/edge"))
    );
    assert_eq!(listener["address"], "127.0.0.1:7480");
    assert!(view["sinceMs"].as_u64().is_some(), "{view}");

    let route = server.get("/v1/namespaces/default/httproutes/shop").await.json;
    assert_eq!(programmed(&route), ("True", "Programmed"));
    let newest = server.get("/v1/revisions").await.json["items"][0].clone();
    assert_eq!(newest["receipt"]["applied"], 1, "{newest}");
}

#[tokio::test]
async fn who_refuses_is_named_with_the_reason_and_ends_the_wait() {
    let server = Server::start().await;
    let mut proxy = Proxy::join(&server, "edge-1").await;
    let empty = proxy.update().await;
    proxy.ack(&empty).await;
    server.apply(&shop()).await;
    let update = proxy.update().await;
    proxy.nack(&update).await;
    let receipt = server.get("/v1/revisions/1/receipt?wait=10s&quorum=1").await.json;
    assert_eq!(receipt["applied"], 0);
    assert_eq!(receipt["refused"][0]["proxy"], "edge-1");
    assert_eq!(
        receipt["refused"][0]["violations"],
        json!([{"resource": "listener/default/edge/http", "field": "port", "code": "local", "message": "taken"}])
    );
    let web = server.get("/v1/namespaces/default/backends/web").await.json;
    assert_eq!(programmed(&web), ("False", "Refused"));

    server.apply(&[backend("web", 9090)]).await;
    let update = proxy.update().await;
    proxy.ack(&update).await;
    let receipt = server.get("/v1/revisions/2/receipt?wait=10s").await.json;
    assert_eq!(receipt["applied"], 1, "{receipt}");
    let web = server.get("/v1/namespaces/default/backends/web").await.json;
    assert_eq!(programmed(&web), ("True", "Programmed"));
}

#[tokio::test]
async fn a_forgotten_proxy_is_off_the_list() {
    let server = Server::start().await;
    let mut proxy = Proxy::join(&server, "edge-1").await;
    proxy.update().await;
    assert_eq!(server.get("/v1/fleet/edge-1").await.json["id"], "edge-1");
    assert_eq!(server.delete("/v1/fleet/edge-1").await.status, 204);
    assert_eq!(server.get("/v1/fleet").await.json["proxies"], json!([]));
}

#[tokio::test]
async fn those_that_are_behind_or_refused_are_found_at_once_and_since_when_is_told() {
    let server = Server::start().await;
    let mut proxies = Vec::new();
    for id in ["edge-1", "edge-2", "edge-3"] {
        let mut proxy = Proxy::join(&server, id).await;
        let empty = proxy.update().await;
        proxy.ack(&empty).await;
        proxies.push(proxy);
    }
    server.get("/v1/revisions/0/receipt?wait=10s&quorum=1").await;
    let before = clock::wall().0;
    server.apply(&shop()).await;
    let published = clock::wall().0;
    let mut updates = Vec::new();
    for proxy in &mut proxies {
        updates.push(proxy.update().await);
    }
    proxies[0].ack(&updates[0]).await;
    proxies[1].nack(&updates[1]).await;
    // The first wait ends with the ack, the second with the refusal; the third proxy says nothing.
    server.get("/v1/revisions/1/receipt?wait=10s&quorum=0.3").await;
    server.get("/v1/revisions/1/receipt?wait=10s&quorum=1").await;
    let after = clock::wall().0;

    let ids = |answer: &Value| -> Vec<String> {
        let proxies = answer["proxies"].as_array().unwrap().iter();
        proxies
            .map(|proxy| proxy["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = server.get("/v1/fleet").await.json;
    assert_eq!(ids(&all), ["edge-1", "edge-2", "edge-3"]);
    let statuses = |index: usize| {
        (
            all["proxies"][index]["status"].clone(),
            all["proxies"][index]["behind"].clone(),
        )
    };
    assert_eq!(statuses(0), (json!("current"), json!(0)));
    assert_eq!(statuses(1), (json!("refused"), json!(1)));
    assert_eq!(statuses(2), (json!("behind"), json!(1)));
    assert_eq!(all["proxies"][0].get("behindSinceMs"), None);
    let since = all["proxies"][2]["behindSinceMs"].as_u64().unwrap();
    // Two clocks are read one after the other, each in whole milliseconds.
    assert!(
        (before..=published + 1).contains(&since),
        "{before} {since} {published}"
    );
    let refused = all["proxies"][1]["refusal"]["refusedAtMs"].as_u64().unwrap();
    assert!(
        (published..=after).contains(&refused),
        "{published} {refused} {after}"
    );

    let summary = &all["summary"];
    assert_eq!(
        (
            &summary["proxies"],
            &summary["connected"],
            &summary["current"],
            &summary["behind"],
            &summary["refused"]
        ),
        (&json!(3), &json!(3), &json!(1), &json!(1), &json!(1))
    );
    assert_eq!(summary["behindSinceMs"], since);
    for (query, expected) in [
        ("behind", &["edge-3"][..]),
        ("behind,refused", &["edge-2", "edge-3"]),
        ("lost", &[]),
    ] {
        let some = server.get(&format!("/v1/fleet?status={query}")).await.json;
        assert_eq!(ids(&some), expected, "{query}");
        assert_eq!(&some["summary"], summary, "{query}");
    }
    let wrong = server.get("/v1/fleet?status=slow").await;
    assert!(wrong.problem(400).contains("`behind`"), "{wrong:?}");

    let metrics = server.get("/metrics").await.text;
    for line in [
        "sluice_fleet_proxies{replica=\"\",status=\"current\"} 1",
        "sluice_fleet_proxies{replica=\"\",status=\"behind\"} 1",
        "sluice_fleet_proxies{replica=\"\",status=\"refused\"} 1",
        "sluice_fleet_proxies{replica=\"\",status=\"lost\"} 0",
        "sluice_fleet_connected{replica=\"\"} 3",
    ] {
        assert!(
            metrics.lines().any(|known| known == line),
            "{line} is not in\n{metrics}"
        );
    }
    let oldest = "sluice_fleet_oldest_behind_seconds ";
    let oldest = metrics.lines().find_map(|line| line.strip_prefix(oldest));
    assert!(oldest.unwrap().parse::<f64>().unwrap() > 0.0, "{metrics}");
}
