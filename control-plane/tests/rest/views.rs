//! Parts of the fleet that get different things.

use http::Method;
use serde_json::{Value, json};
use sluice_proto::v1::Update;

use crate::manifests::{backend, gateway, route};
use crate::proxy::Proxy;
use crate::server::Server;

/// A Gateway `edge` for everybody, and one for each zone at the same place; each zone with a route to
/// a Backend of its own.
fn zones() -> Vec<Value> {
    let zone = |name: &str| {
        let mut own = gateway();
        own["metadata"] =
            json!({"name": name, "annotations": {"sluice.dev/proxy-selector": format!("zone={name}")}});
        own["spec"]["listeners"][0]["port"] = json!(90);
        let mut routed = route(name, name);
        routed["spec"]["parentRefs"][0]["name"] = json!(name);
        vec![own, routed, backend(name, 8080)]
    };
    [vec![gateway()], zone("eu"), zone("us")].concat()
}

/// The keys that an update brings, by kind.
fn keys(update: &Update, kind: &str) -> Vec<String> {
    let keys = update.upserts.iter().map(|one| one.key.clone());
    let mut keys: Vec<_> = keys.filter(|key| key.starts_with(kind)).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn an_operators_label_moves_a_proxy_to_another_view_at_once() {
    let server = Server::start().await;
    server.apply(&zones()).await;
    let mut proxy = Proxy::labelled(&server, "edge-1", &[("zone", "eu"), ("not a label!", "x")]).await;
    let update = proxy.update().await;
    let listeners = ["listener/default/edge/http", "listener/default/eu/http"];
    assert_eq!(keys(&update, "listener/"), listeners);
    assert_eq!(keys(&update, "backend/"), ["backend/default/eu"]);
    proxy.ack(&update).await;

    let path = "/v1/fleet/edge-1/labels";
    let answer = server
        .json(Method::PATCH, path, &json!({"zone": "us", "tier": "1"}))
        .await;
    assert_eq!(
        answer.json,
        json!({"labels": {"tier": "1", "zone": "us"}}),
        "{answer:?}"
    );
    let update = proxy.update().await;
    assert!(update.base.is_some(), "a difference");
    assert_eq!(keys(&update, "listener/"), ["listener/default/us/http"]);
    assert!(
        update.removals.contains(&"backend/default/eu".to_owned()),
        "{update:?}"
    );
    proxy.ack(&update).await;
    let view = server.get("/v1/revisions/1/receipt?wait=10s&quorum=1").await.json;
    assert_eq!((&view["fleet"], &view["applied"]), (&json!(1), &json!(1)));
    let view = server.get("/v1/fleet/edge-1").await.json;
    assert_eq!(view["view"], json!(["zone=us"]));
    assert_eq!(view["labels"]["zone"], "us");
    assert_eq!(view["operatorLabels"], json!({"tier": "1", "zone": "us"}));

    // Taken away, the proxy's own counts again.
    server.json(Method::PATCH, path, &json!({"zone": null})).await;
    let update = proxy.update().await;
    assert_eq!(keys(&update, "listener/"), ["listener/default/eu/http"]);
    proxy.ack(&update).await;
    assert_eq!(server.delete(path).await.status, 204);
    let left = server.json(Method::PATCH, path, &json!({})).await;
    assert_eq!(left.json, json!({"labels": {}}));
}

#[tokio::test]
async fn labels_that_no_selector_can_name_are_refused() {
    let server = Server::start().await;
    let path = "/v1/fleet/edge-1/labels";
    let answer = server
        .json(
            Method::PATCH,
            path,
            &json!({"a b": "x", "zone": "-", "tier": "1"}),
        )
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let expected = [
        r#"input labels["a b"] invalid"#,
        r#"input labels["zone"] invalid"#,
    ];
    assert_eq!(answer.violations(), expected);
    let many: serde_json::Map<_, _> = (0..65).map(|number| (format!("l{number}"), json!("x"))).collect();
    let answer = server.json(Method::PATCH, path, &Value::Object(many)).await;
    assert_eq!(answer.violations(), ["input labels outOfRange"]);
    let answer = server.json(Method::PATCH, path, &json!({"tier": null})).await;
    assert_eq!(answer.json, json!({"labels": {}}));
}

#[tokio::test]
async fn a_request_is_explained_on_the_proxies_that_are_asked_about() {
    let server = Server::start().await;
    server.apply(&zones()).await;
    let mut proxy = Proxy::labelled(&server, "edge-1", &[("zone", "us")]).await;
    proxy.update().await;
    let ask = async |more: Value| {
        let mut question = json!({"method": "GET", "url": "http://shop.example.com:90/"});
        question
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        server.post("/v1/explain", &question).await
    };
    let nobody = ask(json!({})).await.json;
    assert_eq!(nobody["view"], json!([]), "{nobody}");
    assert_eq!(nobody["decision"]["outcome"], "noRoute", "{nobody}");
    for (who, zone) in [
        (json!({"labels": {"zone": "eu"}}), "eu"),
        (json!({"labels": {"zone": "us", "tier": "1"}}), "us"),
        (json!({"proxy": "edge-1"}), "us"),
        (json!({"proxy": "edge-1", "revision": 1}), "us"),
    ] {
        let told = ask(who).await.json;
        assert_eq!(told["view"], json!([format!("zone={zone}")]), "{told}");
        assert_eq!(
            told["decision"]["backends"][0]["backend"],
            format!("backend/default/{zone}")
        );
    }
    assert_eq!(ask(json!({"proxy": "edge-9"})).await.status, 404);
    let both = ask(json!({"proxy": "edge-1", "labels": {}})).await;
    assert_eq!(both.violations(), ["input labels conflict"]);
}
