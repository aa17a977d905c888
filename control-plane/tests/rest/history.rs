//! Revisions, receipts and the way back.

use http::Method;
use serde_json::json;

use crate::manifests::{backend, shop};
use crate::server::Server;

#[tokio::test]
async fn the_history_tells_who_changed_what_and_why_newest_first() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server
        .post("/v1/apply?message=more%20room", &backend("web", 9090))
        .await;
    let items = server.get("/v1/revisions").await.json["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2);
    let newest = &items[0];
    assert_eq!(
        (&newest["revision"], &newest["author"]),
        (&json!(2), &json!("tester"))
    );
    assert_eq!(newest["message"], "more room");
    assert!(newest["createdAtMs"].as_u64().unwrap() > 0);
    assert_eq!(
        newest["changes"],
        json!([{"kind": "Backend", "namespace": "default", "name": "web", "action": "updated"}])
    );
    assert_eq!(items[1]["changesCount"], 3);
    let one = server.get("/v1/revisions/2").await.json;
    assert_eq!(one["changes"], newest["changes"]);
    let before = server.get("/v1/revisions?before=2&limit=1").await.json["items"].clone();
    assert_eq!(before[0]["revision"], 1);
    assert_eq!(
        server.get("/v1/revisions/3").await.problem(404),
        "there is no revision 3"
    );
}

#[tokio::test]
async fn a_history_longer_than_a_page_of_the_store_comes_whole() {
    let server = Server::start().await;
    for port in 1..=120 {
        server.apply(&[backend("a", port)]).await;
    }
    let items = server.get("/v1/revisions?limit=110").await.json["items"].clone();
    let numbers: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["revision"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (11..=120).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_the_old_content() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server.apply(&[backend("web", 9090), backend("extra", 1)]).await;
    let back = server
        .with(Method::POST, "/v1/revisions/1/rollback?message=oops", &[], "")
        .await;
    assert_eq!(back.json["revision"], 3, "{back:?}");
    let mut changes = back.changes();
    changes.sort();
    assert_eq!(changes, ["extra deleted", "web updated"]);
    let web = server.get("/v1/namespaces/default/backends/web").await.json;
    assert_eq!(web["spec"]["endpoints"][0]["port"], 8080);
    let record = server.get("/v1/revisions/3").await.json;
    assert_eq!(
        (&record["rollbackOf"], &record["message"]),
        (&json!(1), &json!("oops"))
    );

    let same = server
        .post("/v1/revisions/3/rollback", &json!({"message": "again"}))
        .await;
    assert_eq!((&same.json["revision"], same.changes().len()), (&json!(3), 0));
    assert_eq!(
        server
            .with(Method::POST, "/v1/revisions/9/rollback", &[], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_receipt_is_there_for_every_revision_and_for_no_other() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let receipt = server.get("/v1/revisions/1/receipt").await;
    assert_eq!(receipt.status, 200);
    assert_eq!(
        (&receipt.json["revision"], &receipt.json["fleet"]),
        (&json!(1), &json!(0))
    );
    let waited = server.get("/v1/revisions/1/receipt?wait=5ms&quorum=1").await;
    assert_eq!(waited.json, receipt.json);
    assert_eq!(
        server.get("/v1/revisions/2/receipt").await.problem(404),
        "there is no revision 2"
    );
    assert_eq!(server.get("/v1/revisions/x/receipt").await.status, 404);
}

#[tokio::test]
async fn a_rollback_takes_nobody_elses_change_back_that_it_does_not_know_of() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let ours = server.apply(&[backend("web", 9090)]).await;
    server.apply(&[backend("theirs", 1)]).await;
    let back = async |base: u64| {
        let path = format!("/v1/revisions/1/rollback?baseRevision={base}");
        server.post(&path, &json!({})).await
    };
    let raced = back(ours).await;
    assert_eq!(raced.status, 409, "{raced:?}");
    assert_eq!(raced.violations(), ["Backend/default/theirs  conflict"]);
    assert_eq!(
        server.get("/v1/namespaces/default/backends/theirs").await.status,
        200
    );
    assert_eq!(back(ours + 1).await.changes().len(), 2);
}
