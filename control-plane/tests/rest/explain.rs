//! Where requests would go.

use serde_json::json;

use crate::manifests::{backend, route, shop};
use crate::server::Server;

#[tokio::test]
async fn a_request_is_explained_now_and_as_of_a_past_revision() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server
        .apply(&[backend("next", 9090), route("shop", "next")])
        .await;
    let question =
        json!({"method": "GET", "url": "http://Shop.example.com/a/../b?x=1", "headers": {"a": "1"}});
    let now = server.post("/v1/explain", &question).await;
    assert_eq!(now.status, 200, "{now:?}");
    assert_eq!(
        (&now.json["revision"], &now.json["listener"]),
        (&json!(2), &json!("listener/default/edge/http"))
    );
    let decision = &now.json["decision"];
    assert_eq!(
        (&decision["outcome"], &decision["rule"]["route"]),
        (&json!("split"), &json!("default/shop"))
    );
    assert_eq!(decision["backends"][0]["backend"], "backend/default/next");

    let mut past = question.clone();
    past["revision"] = json!(1);
    let past = server.post("/v1/explain", &past).await.json;
    assert_eq!(past["decision"]["backends"][0]["backend"], "backend/default/web");
    assert_eq!(past["decision"]["backends"][0]["endpoints"], 1);

    let mut future = question;
    future["revision"] = json!(3);
    assert_eq!(server.post("/v1/explain", &future).await.status, 404);
}

#[tokio::test]
async fn a_question_that_no_request_could_ask_is_refused() {
    let server = Server::start().await;
    let answer = server
        .post("/v1/explain", &json!({"method": "G T", "url": "http://a/%"}))
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.violations(), ["input method invalid", "input url invalid"]);
    let unknown = server
        .post("/v1/explain", &json!({"method": "GET", "url": "/", "ip": "::1"}))
        .await;
    assert_eq!(unknown.violations(), ["input  invalid"]);
}
