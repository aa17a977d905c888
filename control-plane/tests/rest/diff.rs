//! What is live and what manifests say, side by side.

use serde_json::{Value, json};

use crate::manifests::{backend, list, route, shop};
use crate::server::{Answer, Server};
use crate::tokens::limited;

async fn diff(server: &Server, manifests: &[Value], query: &str) -> Answer {
    server.post(&format!("/v1/diff{query}"), &list(manifests)).await
}

/// `created`, `updated`, `deleted` and `unchanged`.
fn counts(answer: &Answer) -> [u64; 4] {
    assert_eq!(answer.status, 200, "{answer:?}");
    ["created", "updated", "deleted", "unchanged"].map(|name| answer.json[name].as_u64().unwrap())
}

#[tokio::test]
async fn what_differs_is_shown_as_it_was_written_and_nothing_is_written() {
    let server = Server::start().await;
    let base = server.apply(&shop()).await;
    let same = diff(&server, &shop(), "").await;
    assert_eq!(
        (counts(&same), &same.json["resources"]),
        ([0, 0, 0, 3], &json!([]))
    );

    let manifests = [backend("web", 8081), backend("next", 1)];
    let differs = diff(&server, &manifests, "").await;
    assert_eq!(counts(&differs), [1, 1, 0, 0]);
    let resources = differs.json["resources"].as_array().unwrap();
    assert_eq!(
        (&resources[0]["action"], &resources[1]["action"]),
        (&json!("updated"), &json!("created"))
    );
    let port = |side: &str| resources[0][side]["spec"]["endpoints"][0]["port"].clone();
    assert_eq!((port("before"), port("after")), (json!(8080), json!(8081)));
    assert!(resources[0]["after"].get("status").is_none());
    assert!(resources[1].get("before").is_none());
    assert_eq!(
        server.get("/v1/revisions").await.json["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let edge = shop().remove(0);
    let pruned = diff(&server, &[edge], "?prune=*").await;
    assert_eq!(counts(&pruned), [0, 0, 2, 1]);

    server.apply(&[backend("web", 8081)]).await;
    assert_eq!(counts(&diff(&server, &shop(), "").await), [0, 1, 0, 2]);
    let past = diff(&server, &shop(), &format!("?against={base}")).await;
    assert_eq!(
        (counts(&past), &past.json["revision"]),
        ([0, 0, 0, 3], &json!(base))
    );
}

#[tokio::test]
async fn what_would_be_refused_cannot_be_compared() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let dangling = diff(&server, &[route("lost", "nowhere")], "").await;
    assert_eq!(dangling.status, 422, "{dangling:?}");
    assert_eq!(
        counts(&diff(&server, &[route("lost", "nowhere")], "?danglingRefs=warn").await),
        [1, 0, 0, 0]
    );
    assert_eq!(
        diff(&server, &[], "?prune=*").await.violations(),
        ["input  missing"]
    );
}

#[tokio::test]
async fn of_a_secret_it_is_told_that_it_differs_and_nothing_else() {
    let server = Server::start().await;
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": value}});
    server.apply(&[secret("hunter2-hunter2")]).await;
    let differs = diff(&server, &[secret("other-other-other")], "").await;
    assert_eq!(counts(&differs), [0, 1, 0, 0]);
    assert_eq!(differs.json["resources"][0]["isHidden"], true);
    for value in ["hunter2", "aHVudGVyMg", "other-other", "b3RoZXIt"] {
        assert!(!differs.text.contains(value), "{differs:?}");
    }
    // Who may not plan or update Secrets finds out nothing by guessing.
    let grants = json!([{"verbs": ["get"]}, {"verbs": ["plan"], "kinds": ["Backend"]}]);
    let made = server
        .post("/v1/tokens", &json!({"name": "ci", "grants": grants}))
        .await;
    let token = format!("Bearer {}", made.json["token"].as_str().unwrap());
    for guess in ["hunter2-hunter2", "wrong-wrong"] {
        let request = http::Request::post("/v1/diff")
            .header("authorization", &token)
            .header("content-type", "application/json")
            .body(secret(guess).to_string().into())
            .unwrap();
        assert_eq!(server.raw(request).await.status, 403, "{guess}");
    }
}

#[tokio::test]
async fn what_a_token_may_not_get_is_not_shown_to_it() {
    let server = Server::start().await;
    server.apply(&[backend("web", 8080)]).await;
    let grants = json!([{"verbs": ["plan"], "kinds": ["Backend"]}]);
    let ask = limited(&server, grants).await;
    let differs = ask("POST", "/v1/diff", Some(backend("web", 9090))).await;
    assert_eq!(counts(&differs), [0, 1, 0, 0]);
    let resource = &differs.json["resources"][0];
    assert_eq!(
        (&resource["isHidden"], &resource["before"]),
        (&json!(true), &Value::Null)
    );
    assert!(!differs.text.contains("8080"), "{differs:?}");
}
