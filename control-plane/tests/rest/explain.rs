//! Where requests would go.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::manifests::{backend, list, route, shop};
use crate::server::Server;

/// A question about `GET http://shop.example.com/a`, as if `manifests` were applied.
fn proposed(manifests: &[Value]) -> Value {
    let manifests = list(manifests).to_string();
    json!({"method": "GET", "url": "http://shop.example.com/a", "manifests": manifests})
}

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
    assert_eq!(decision["backends"][0]["policy"]["protocol"], "http");
    let stages: Vec<_> = now.json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["stage"].clone())
        .collect();
    assert_eq!(stages, ["port", "listener", "host", "path", "order", "decision"]);
    assert_eq!(
        (&now.json["nearMissCount"], &now.json["isComplete"]),
        (&json!(0), &json!(true))
    );
    assert_eq!(now.json.get("base"), None);

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

#[tokio::test]
async fn a_request_is_explained_as_if_manifests_were_applied_and_nothing_is_written() {
    let server = Server::start().await;
    let base = server.apply(&shop()).await;
    let mut beta = route("beta", "next");
    beta["spec"]["rules"][0]["matches"] = json!([{"headers": [{"name": "x-beta", "value": "yes"}]}]);
    let change = [backend("next", 81), route("shop", "next"), beta];
    let mut question = proposed(&change);
    let answer = server.post("/v1/explain", &question).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let to = |answer: &Value| answer["decision"]["backends"][0]["backend"].clone();
    assert_eq!(to(&answer.json), "backend/default/next");
    assert_eq!(
        (&answer.json["base"], &answer.json["revision"]),
        (&json!(base), &json!(base + 1))
    );
    let miss = &answer.json["nearMisses"][0];
    assert_eq!(
        (&miss["lostBy"], &miss["detail"]),
        (
            &json!("header"),
            &json!("x-beta: yes is asked for; the request lacks it")
        )
    );

    // With what it asks for, the route that is not there yet takes it.
    question["headers"] = json!({"X-Beta": "yes"});
    let asked = server.post("/v1/explain", &question).await;
    assert_eq!(asked.json["decision"]["rule"]["route"], "default/beta");
    let lost = &asked.json["nearMisses"][0];
    assert_eq!(
        (&lost["lostBy"], &lost["precedence"]),
        (&json!("precedence"), &json!("headers"))
    );

    let revisions = server.get("/v1/revisions").await;
    assert_eq!(
        revisions.json["items"][0]["revision"], base,
        "nothing was written"
    );
    let live = server
        .post(
            "/v1/explain",
            &json!({"method": "GET", "url": "http://shop.example.com/a"}),
        )
        .await;
    assert_eq!(to(&live.json), "backend/default/web");
}

#[tokio::test]
async fn a_proposal_is_refused_for_the_same_reasons_as_a_plan_of_it() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let dangling = [route("lost", "nowhere")];
    let planned = server.post("/v1/plan", &list(&dangling)).await;
    let mut question = proposed(&dangling);
    let explained = server.post("/v1/explain", &question).await;
    assert_eq!(explained.status, 422, "{explained:?}");
    assert_eq!(explained.violations(), planned.violations());
    question["danglingRefs"] = "warn".into();
    assert_eq!(server.post("/v1/explain", &question).await.status, 200);

    for (member, value, status, violation) in [
        ("manifests", "", 422, "input  missing"),
        ("manifests", "kind: [", 400, "input  malformed"),
        ("namespace", "A b", 422, "input namespace invalid"),
        ("prune", " ", 422, "input prune invalid"),
    ] {
        let mut wrong = proposed(&shop());
        wrong[member] = value.into();
        let answer = server.post("/v1/explain", &wrong).await;
        assert_eq!(
            (answer.status, answer.violations()),
            (status, vec![violation.to_owned()]),
            "{member}"
        );
    }
    let alone = json!({"method": "GET", "url": "/", "prune": "a=b"});
    assert_eq!(
        server.post("/v1/explain", &alone).await.violations(),
        ["input prune conflict"]
    );
}

#[tokio::test]
async fn a_proposal_needs_the_grants_of_a_plan_and_tells_nobody_what_a_secret_holds() {
    let server = Server::start().await;
    let secret = |password: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": password}});
    let mut all = shop();
    all.push(secret("right"));
    server.apply(&all).await;
    let grants = json!([{"verbs": ["get", "plan"], "kinds": ["Backend"]}]);
    let made = server
        .post("/v1/tokens", &json!({"name": "ci", "grants": grants}))
        .await;
    let token = format!("Bearer {}", made.json["token"].as_str().unwrap());
    let explain = async |manifests: &[Value]| {
        let request = Request::post("/v1/explain")
            .header("authorization", &token)
            .header("content-type", "application/json");
        let body = Body::from(proposed(manifests).to_string());
        server.raw(request.body(body).unwrap()).await
    };
    assert_eq!(explain(&[backend("web", 99)]).await.status, 200);
    let refused = explain(&[route("other", "web")]).await;
    assert_eq!(
        (refused.status, refused.violations()),
        (403, vec!["HTTPRoute/default/other  forbidden".into()])
    );
    for password in ["right", "wrong"] {
        assert_eq!(explain(&[secret(password)]).await.status, 403, "{password}");
    }
}

#[tokio::test]
async fn only_with_manifests_may_a_question_be_long() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let long = " ".repeat(2 * 1024 * 1024);
    let mut question = json!({"method": "GET", "url": "http://shop.example.com/a", "namespace": long});
    assert_eq!(server.post("/v1/explain", &question).await.status, 413);
    question["namespace"] = "default".into();
    question["manifests"] = format!("{long}{}", list(&shop())).into();
    let answer = server.post("/v1/explain", &question).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}
