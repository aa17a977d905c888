//! Many manifests, one revision.

use http::Method;
use serde_json::{Value, json};

use crate::manifests::{backend, labelled, list, route, shop};
use crate::server::Server;

#[tokio::test]
async fn one_apply_is_one_revision_and_the_same_again_is_none() {
    let server = Server::start().await;
    let first = server.post("/v1/apply?message=start", &list(&shop())).await;
    assert_eq!(first.json["revision"], 1);
    assert_eq!(first.changes(), ["edge created", "web created", "shop created"]);
    assert_eq!(first.json["warnings"], json!([]));
    assert!(first.json.get("receipt").is_none(), "{first:?}");

    let again = server.post("/v1/apply", &list(&shop())).await;
    assert_eq!(again.json["revision"], 1);
    assert_eq!(
        again.changes(),
        ["edge unchanged", "web unchanged", "shop unchanged"]
    );
}

#[tokio::test]
async fn yaml_of_many_documents_is_read_and_gets_the_namespace_that_is_asked_for() {
    let server = Server::start().await;
    let yaml = "apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {name: a}\n\
                spec: {endpoints: [{address: 127.0.0.1, port: 1}]}\n---\n\
                apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {name: b, namespace: other}\n\
                spec: {endpoints: [{address: 127.0.0.1, port: 2}]}\n";
    let path = "/v1/apply?namespace=team";
    let answer = server
        .with(Method::POST, path, &[("content-type", "application/yaml")], yaml)
        .await;
    assert_eq!(answer.changes(), ["a created", "b created"]);
    let namespaces: Vec<_> = [0, 1]
        .map(|at| answer.json["changes"][at]["namespace"].clone())
        .into();
    assert_eq!(namespaces, ["team", "other"]);
}

#[tokio::test]
async fn a_refused_apply_tells_every_violation_and_leaves_everything_as_it_was() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let mut lost = route("lost", "nowhere");
    lost["spec"]["parentRefs"][0]["name"] = json!("nobody");
    let answer = server
        .post("/v1/apply", &list(&[backend("new", 1), lost.clone()]))
        .await;
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(
        answer.violations(),
        [
            "HTTPRoute/default/lost spec.parentRefs[0].name dangling",
            "HTTPRoute/default/lost spec.rules[0].backendRefs[0].name dangling",
        ]
    );
    assert_eq!(
        server.get("/v1/namespaces/default/backends/new").await.status,
        404
    );
    assert_eq!(
        server.get("/v1/revisions").await.json["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let warned = server.post("/v1/apply?danglingRefs=warn", &list(&[lost])).await;
    let codes = warned.json["warnings"].as_array().unwrap().iter();
    let codes: Vec<_> = codes.map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["emptySplit", "dangling", "dangling"], "{warned:?}");
    let route = server.get("/v1/namespaces/default/httproutes/lost").await.json;
    let conditions = route["status"]["conditions"].as_array().unwrap();
    let states: Vec<_> = conditions
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ("Accepted", "False"),
            ("ResolvedRefs", "False"),
            ("Programmed", "Unknown")
        ]
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_writes_nothing() {
    let server = Server::start().await;
    let answer = server.post("/v1/apply?dryRun=true&wait=1s", &list(&shop())).await;
    assert_eq!(answer.changes().len(), 3);
    assert!(answer.json.get("receipt").is_none());
    assert_eq!(server.get("/v1/revisions").await.json["items"], json!([]));
}

#[tokio::test]
async fn prune_deletes_what_is_selected_and_left_out() {
    let server = Server::start().await;
    let owned = |name: &str| labelled(backend(name, 1), json!({"team": "shop"}));
    server.apply(&[owned("a"), owned("b"), backend("c", 1)]).await;
    let answer = server
        .post("/v1/apply?prune=team%3Dshop", &list(&[owned("a")]))
        .await;
    assert_eq!(answer.changes(), ["a unchanged", "b deleted"]);
    assert_eq!(server.get("/v1/namespaces/default/backends/c").await.status, 200);

    let nothing = server.post("/v1/apply?prune=team%3Dshop", &list(&[])).await;
    assert_eq!(nothing.violations(), ["input  missing"]);
    assert_eq!(server.get("/v1/namespaces/default/backends/a").await.status, 200);
}

fn in_namespace(namespace: &str, name: &str) -> Value {
    let mut manifest = backend(name, 1);
    manifest["metadata"]["namespace"] = json!(namespace);
    manifest
}

#[tokio::test]
async fn everything_can_be_pruned_where_the_manifests_are_or_everywhere_but_never_a_secret() {
    let server = Server::start().await;
    let mut secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}});
    secret["metadata"]["labels"] = json!({"team": "shop"});
    let all = [
        shop(),
        vec![secret, in_namespace("other", "a"), in_namespace("third", "b")],
    ]
    .concat();
    server.apply(&all).await;
    let grant = json!({
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": "shop", "namespace": "third"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
            "to": [{"group": "sluice.dev", "kind": "Backend"}],
        },
    });
    let kept = [backend("web", 8080), in_namespace("other", "new"), grant];
    let planned = server.post("/v1/plan?prune=*", &list(&kept)).await;
    let pruned = server.post("/v1/apply?prune=*", &list(&kept)).await;
    assert_eq!(
        pruned.changes(),
        [
            "web unchanged",
            "new created",
            "shop created",
            "edge deleted",
            "shop deleted",
            "a deleted"
        ]
    );
    assert_eq!(planned.json["changes"], pruned.json["changes"]);
    let found = async |path: &str| server.get(&format!("/v1/namespaces/{path}")).await.status;
    assert_eq!(found("default/secrets/s").await, 200);
    assert_eq!(
        found("third/backends/b").await,
        200,
        "no manifest but a grant is in its namespace"
    );

    let pruned = server.post("/v1/apply?prune=*/*", &list(&kept)).await;
    assert_eq!(
        pruned.changes(),
        ["web unchanged", "new unchanged", "shop unchanged", "b deleted"]
    );
    assert_eq!(found("default/secrets/s").await, 200);
    let pruned = server.post("/v1/apply?prune=team=shop", &list(&kept)).await;
    assert_eq!(
        pruned.changes(),
        ["web unchanged", "new unchanged", "shop unchanged"]
    );
    for prune in ["*", "*/*"] {
        let nothing = server.post(&format!("/v1/apply?prune={prune}"), &list(&[])).await;
        assert_eq!(nothing.violations(), ["input  missing"]);
    }
}

#[tokio::test]
async fn what_was_made_since_the_plan_is_not_pruned() {
    let server = Server::start().await;
    let base = server.apply(&[backend("a", 1)]).await;
    server.apply(&[backend("theirs", 1)]).await;
    let path = format!("/v1/apply?prune=*&baseRevision={base}");
    let raced = server.post(&path, &list(&[backend("a", 2)])).await;
    assert_eq!(raced.status, 409, "{raced:?}");
    assert_eq!(raced.violations(), ["Backend/default/theirs  conflict"]);
}

#[tokio::test]
async fn a_base_revision_conflicts_only_over_what_is_touched() {
    let server = Server::start().await;
    let base = server.apply(&[backend("a", 1), backend("b", 1)]).await;
    server.apply(&[backend("a", 2)]).await;
    let path = format!("/v1/apply?baseRevision={base}");
    let raced = server.post(&path, &list(&[backend("a", 3)])).await;
    assert_eq!(raced.status, 409, "{raced:?}");
    assert_eq!(raced.violations(), ["Backend/default/a  conflict"]);
    let apart = server.post(&path, &list(&[backend("b", 3)])).await;
    assert_eq!(apart.changes(), ["b updated"]);
    let ahead = server
        .post("/v1/apply?baseRevision=99", &list(&[backend("b", 4)]))
        .await;
    assert_eq!(ahead.status, 409, "{ahead:?}");
}

#[tokio::test]
async fn a_repeated_write_is_answered_as_it_was_and_made_once() {
    let server = Server::start().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let body = backend("a", 1).to_string();
    let first = server
        .with(Method::POST, "/v1/apply", &headers, body.clone())
        .await;
    server.apply(&[backend("a", 2)]).await;
    let again = server.with(Method::POST, "/v1/apply", &headers, body).await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    let now = server.get("/v1/namespaces/default/backends/a").await.json;
    assert_eq!(now["spec"]["endpoints"][0]["port"], 2);
}

#[tokio::test]
async fn a_wait_that_runs_out_is_answered_with_the_receipt_as_it_is() {
    let server = Server::start().await;
    let answer = server
        .post("/v1/apply?wait=10ms&quorum=0.5", &list(&shop()))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = &answer.json["receipt"];
    assert_eq!(
        (&receipt["revision"], &receipt["fleet"], &receipt["applied"]),
        (&json!(1), &json!(0), &json!(0))
    );
    assert_eq!(
        (&receipt["pending"], &receipt["refused"]),
        (&json!([]), &json!([]))
    );
}
