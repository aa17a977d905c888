//! Tokens: made, listed, withdrawn.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::server::{SECRET, Server};

#[tokio::test]
async fn a_token_opens_from_its_making_until_it_is_withdrawn() {
    let server = Server::start().await;
    let made = server
        .post("/v1/tokens", &json!({"name": "ci", "expiresInSeconds": 60}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let (secret, id) = (
        made.json["token"].as_str().unwrap(),
        made.json["id"].as_str().unwrap(),
    );
    let life = made.json["expiresAtMs"].as_u64().unwrap() - made.json["createdAtMs"].as_u64().unwrap();
    assert_eq!(life, 60_000);
    let opens = async || {
        let request = Request::get("/v1/fleet").header("authorization", format!("Bearer {secret}"));
        server.raw(request.body(Body::empty()).unwrap()).await.status
    };
    assert_eq!(opens().await, 200);

    let listed = server.get("/v1/tokens").await;
    let names: Vec<_> = listed.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["name"].clone())
        .collect();
    assert_eq!(names, ["tester", "ci"]);
    assert!(!listed.text.contains(secret) && !listed.text.contains(SECRET));

    assert_eq!(server.delete(&format!("/v1/tokens/{id}")).await.status, 204);
    assert_eq!(opens().await, 401);
    assert_eq!(server.delete(&format!("/v1/tokens/{id}")).await.status, 404);
    let withdrawn = server.get("/v1/tokens").await.json["items"][1]["revokedAtMs"].as_u64();
    assert!(withdrawn.is_some());
}

#[tokio::test]
async fn a_token_needs_a_name_that_can_stand_in_the_history() {
    let server = Server::start().await;
    for (body, violation) in [
        (json!({"name": ""}), "input name invalid"),
        (json!({"name": "rollout/a/b"}), "input name invalid"),
        (
            json!({"name": "a", "expiresInSeconds": 0}),
            "input expiresInSeconds outOfRange",
        ),
        (json!({"name": "a", "expires": 1}), "input  invalid"),
        (json!({}), "input  invalid"),
    ] {
        let answer = server.post("/v1/tokens", &body).await;
        assert_eq!(
            (answer.status, answer.violations()),
            (422, vec![violation.to_owned()]),
            "{body}"
        );
    }
}
