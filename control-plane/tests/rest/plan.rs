//! Plans: what manifests would do, without doing it.

use http::Method;
use prost::Message as _;
use serde_json::{Value, json};
use sluice_core::abridge;
use sluice_proto::v1::ControlMessage;
use sluice_proto::v1::control_message::Body;

use crate::manifests::{backend, list, route, shop};
use crate::proxy::Proxy;
use crate::server::{Answer, Server};

async fn plan(server: &Server, manifests: &[Value], query: &str) -> Answer {
    server.post(&format!("/v1/plan{query}"), &list(manifests)).await
}

fn classes(answer: &Answer) -> &[Value] {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json["views"][0]["requests"]["classes"].as_array().unwrap()
}

#[tokio::test]
async fn a_plan_names_the_requests_that_change_and_writes_nothing() {
    let server = Server::start().await;
    let base = server.apply(&shop()).await;
    let mut other = vec![backend("next", 81)];
    other.push(route("shop", "next"));
    let answer = plan(&server, &other, "").await;
    assert_eq!(
        (answer.json["base"].as_u64(), answer.json["revision"].as_u64()),
        (Some(base), Some(base + 1))
    );
    let found = classes(&answer);
    assert_eq!(found.len(), 1, "{answer:?}");
    assert_eq!(found[0]["facets"], json!(["backends"]));
    let arm = |side: &str| found[0][side]["verdict"]["arms"][0]["backend"].clone();
    assert_eq!(arm("after"), "backend/default/next");
    assert!(answer.json["views"][0]["pushBytes"].as_u64().unwrap() > 0);
    let coverage = &answer.json["views"][0]["requests"]["coverage"];
    assert_eq!(coverage["unprovenCount"], 0);
    assert!(!coverage["notCovered"].as_array().unwrap().is_empty());
    assert_eq!(
        answer.json["orphaned"],
        json!([arm("before").as_str().unwrap().replace("backend/", "Backend/")])
    );

    let revisions = server.get("/v1/revisions").await;
    assert_eq!(
        revisions.json["items"][0]["revision"].as_u64(),
        Some(base),
        "nothing was written"
    );

    // The witness is a request: explain answers the same question in the same way.
    let witness = &found[0]["witness"];
    let url = format!(
        "http://{}:{}{}",
        witness["host"].as_str().unwrap(),
        witness["port"],
        witness["path"].as_str().unwrap()
    );
    let asked = json!({"method": witness["method"], "url": url});
    let explained = |answer: Answer| answer.json["decision"]["backends"][0]["backend"].clone();
    assert_eq!(explained(server.post("/v1/explain", &asked).await), arm("before"));
    server.apply(&other).await;
    assert_eq!(explained(server.post("/v1/explain", &asked).await), arm("after"));
    let again = plan(&server, &other, "").await;
    assert_eq!(
        (classes(&again), &again.json["orphaned"]),
        (&[][..], &json!([])),
        "it is so now"
    );
    let against = plan(&server, &other, &format!("?against={base}")).await;
    assert_eq!(
        classes(&against).len(),
        1,
        "against the revision before it is news"
    );
}

#[tokio::test]
async fn a_plan_of_what_would_be_refused_is_refused_for_the_same_reasons() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let dangling = [route("lost", "nowhere")];
    let planned = plan(&server, &dangling, "").await;
    let applied = server.post("/v1/apply", &list(&dangling)).await;
    assert_eq!(
        (planned.status, planned.violations()),
        (applied.status, applied.violations())
    );
    assert_eq!(planned.status, 422);
    let warned = plan(&server, &dangling, "?danglingRefs=warn").await;
    let codes = warned.json["warnings"].as_array().unwrap().iter();
    let codes: Vec<_> = codes.map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["emptySplit", "duplicate", "dangling"], "{warned:?}");
    let unknown = plan(&server, &shop(), "?against=99").await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let empty = server
        .with(
            Method::POST,
            "/v1/plan",
            &[("content-type", "application/yaml")],
            "",
        )
        .await;
    assert_eq!(empty.status, 422, "{empty:?}");
}

#[tokio::test]
async fn an_apply_is_bound_to_the_plan_that_was_reviewed() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let change = [backend("next", 81), route("shop", "next")];
    let base = plan(&server, &change, "").await.json["base"].as_u64().unwrap();
    // Somebody else changes another resource, which is no conflict, and then the same one, which is.
    server.apply(&[backend("unrelated", 99)]).await;
    let bound = format!("/v1/apply?dryRun=true&baseRevision={base}");
    assert_eq!(server.post(&bound, &list(&change)).await.status, 200);
    server
        .apply(&[backend("third", 82), route("shop", "third")])
        .await;
    let raced = server.post(&bound, &list(&change)).await;
    assert_eq!(
        (raced.status, raced.violations()),
        (409, vec!["HTTPRoute/default/shop  conflict".to_owned()])
    );
}

#[tokio::test]
async fn the_bytes_that_a_plan_says_each_proxy_gets_are_those_that_it_gets() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let mut proxy = Proxy::join(&server, "edge-1").await;
    let whole = proxy.update().await;
    proxy.ack(&whole).await;
    let change = [backend("next", 81), route("shop", "next")];
    let answer = plan(&server, &change, "").await;
    server.apply(&change).await;
    let mut update = proxy.update().await;
    assert_ne!(update.commit, 0);
    abridge(&mut update);
    let message = ControlMessage {
        body: Some(Body::Update(update)),
    };
    // gRPC puts a flag and four bytes of length before it.
    let bytes = message.encoded_len() + 5;
    assert_eq!(answer.json["views"][0]["pushBytes"], bytes);
}
