//! Exports: everything at one revision, to be applied again.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::manifests::{backend, labelled, shop};
use crate::server::{Answer, Server};

fn experiment(shares: [u32; 3]) -> Value {
    let variant = |(at, share): (usize, &u32)| json!({"name": format!("v{at}"), "share": share, "backendRefs": [{"name": "web"}]});
    let variants: Vec<_> = shares.iter().enumerate().map(variant).collect();
    json!({
        "apiVersion": "sluice.dev/v1", "kind": "Experiment", "metadata": {"name": "button"},
        "spec": {
            "targetRefs": [{"kind": "HTTPRoute", "name": "shop"}],
            "unit": {"cookie": "visitor"},
            "variants": variants,
        },
    })
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"}})
}

/// `Kind/name` of every line.
fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let manifests = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let name = |manifest: Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{}/{}",
            text(&manifest["kind"]),
            text(&manifest["metadata"]["name"])
        )
    };
    manifests.map(name).collect()
}

/// Applies an export as it came.
async fn import(server: &Server, lines: &str) -> Answer {
    let json = [("content-type", "application/json")];
    server
        .with(Method::POST, "/v1/apply", &json, lines.to_owned())
        .await
}

#[tokio::test]
async fn what_is_exported_is_the_same_here_and_on_another_control_plane() {
    let here = Server::start().await;
    here.apply(&[shop(), vec![experiment([40, 30, 30])]].concat())
        .await;
    here.apply(&[experiment([30, 30, 40])]).await;
    let exported = here.get("/v1/export/-").await;
    assert_eq!(
        names(&exported),
        [
            "Gateway/edge",
            "HTTPRoute/shop",
            "Backend/web",
            "Experiment/button"
        ]
    );
    assert_eq!(exported.headers["x-sluice-revision"], "2");
    let again = import(&here, &exported.text).await;
    assert_eq!(again.json["revision"], 2, "{again:?}");

    let there = Server::start().await;
    assert_eq!(import(&there, &exported.text).await.json["revision"], 1);
    assert_eq!(there.get("/v1/export/-").await.text, exported.text);
    let slots = async |server: &Server| {
        let path = "/v1/namespaces/default/experiments/button";
        let status = server.get(path).await.json["status"].clone();
        (status["slots"].clone(), status["salt"].clone())
    };
    assert_eq!(slots(&there).await, slots(&here).await);
    assert_eq!(
        slots(&here).await.0.as_array().unwrap().len(),
        4,
        "not as shares alone would give"
    );

    // What is brought back by a rollback has them, too.
    let deleted = there.delete("/v1/namespaces/default/experiments/button").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let back = there.post("/v1/revisions/1/rollback", &json!({})).await;
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(there.get("/v1/export/-").await.text, exported.text);
}

#[tokio::test]
async fn a_part_or_a_past_can_be_asked_for() {
    let server = Server::start().await;
    let mut elsewhere = labelled(backend("far", 1), json!({"team": "b"}));
    elsewhere["metadata"]["namespace"] = json!("other");
    let ours = labelled(backend("near", 1), json!({"team": "a"}));
    server.apply(&[ours, elsewhere]).await;
    server.apply(&[backend("late", 1)]).await;
    for (path, expected) in [
        ("-", &["Backend/late", "Backend/near", "Backend/far"][..]),
        ("other", &["Backend/far"]),
        ("none", &[]),
        ("-?labelSelector=team%3Da", &["Backend/near"]),
        ("-?revision=1", &["Backend/near", "Backend/far"]),
        ("-?revision=0", &[]),
    ] {
        assert_eq!(
            names(&server.get(&format!("/v1/export/{path}")).await),
            expected,
            "{path}"
        );
    }
    for (path, status) in [("A_b", 404), ("-?revision=9", 404), ("-?revision=x", 400)] {
        server.get(&format!("/v1/export/{path}")).await.problem(status);
    }
}

#[tokio::test]
async fn secrets_are_counted_and_what_a_token_may_not_see_is_not() {
    let server = Server::start().await;
    server.apply(&[secret(), backend("web", 1)]).await;
    let all = server.get("/v1/export/-").await;
    assert_eq!(names(&all), ["Backend/web"]);
    assert_eq!(all.headers["x-sluice-secrets"], "1");

    let grants = json!([{"verbs": ["get"], "kinds": ["Gateway"]}]);
    let made = server
        .post("/v1/tokens", &json!({"name": "ci", "grants": grants}))
        .await;
    let token = format!("Bearer {}", made.json["token"].as_str().unwrap());
    let request = Request::get("/v1/export/-").header("authorization", token);
    let limited = server.raw(request.body(Body::empty()).unwrap()).await;
    assert_eq!(names(&limited), [""; 0]);
    assert_eq!(limited.headers["x-sluice-secrets"], "0");
}
