//! What the interface tells of proxies that are there.

use serde_json::{Value, json};

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
    assert_eq!(server.get("/v1/fleet").await.json, json!({"proxies": []}));
}
