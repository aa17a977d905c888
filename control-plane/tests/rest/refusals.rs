//! Requests that are not served: each answer is a problem and says what to do.

use axum::body::Body;
use http::{Method, Request};
use serde_json::json;
use sluice_control::store::{AuditAction, AuditFilter};

use crate::manifests::{backend, shop};
use crate::server::Server;

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_is_known() {
    let server = Server::start().await;
    let without = server
        .raw(Request::get("/v1/fleet").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        without.problem(401),
        "send a token: `Authorization: Bearer TOKEN`"
    );
    assert_eq!(without.headers["www-authenticate"], "Bearer realm=\"sluice\"");
    let wrong = Request::get("/v1/fleet").header("authorization", "Bearer nonsense");
    let wrong = server.raw(wrong.body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.status, 401);
    assert_eq!(
        wrong.headers["www-authenticate"],
        "Bearer realm=\"sluice\", error=\"invalid_token\""
    );
}

#[tokio::test]
async fn a_path_or_a_method_that_is_not_there_is_a_problem_too() {
    let server = Server::start().await;
    assert_eq!(
        server.get("/v2/fleet").await.problem(404),
        "nothing has this path"
    );
    let plural = server.get("/v1/namespaces/default/services/a").await;
    assert_eq!(
        plural.problem(404),
        "no kind of resource is called `services` in paths"
    );
    let method = server
        .with(Method::PUT, "/v1/revisions/1/rollback", &[], "")
        .await;
    method.problem(405);
    assert_eq!(method.headers["allow"], "POST");
    let head = server.with(Method::HEAD, "/v1/fleet", &[], "").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn parameters_are_refused_by_name() {
    let server = Server::start().await;
    let detail = async |query: &str| {
        let answer = server.post(&format!("/v1/apply?{query}"), &backend("a", 1)).await;
        answer.problem(400).to_owned()
    };
    assert_eq!(
        detail("dryrun=true").await,
        "query parameter `dryrun`: is not one of this operation's"
    );
    assert_eq!(
        detail("wait=30").await,
        "query parameter `wait`: must be a duration such as `30s` or `1m30s`, at most 10m"
    );
    assert_eq!(
        detail("wait=1s&quorum=2").await,
        "query parameter `quorum`: must be a share of the fleet above 0 and at most 1, such as `0.95`"
    );
    assert_eq!(
        detail("danglingRefs=ok").await,
        "query parameter `danglingRefs`: must be `refuse` or `warn`"
    );
    assert_eq!(
        detail("prune=").await,
        "query parameter `prune`: must not be empty"
    );
    assert_eq!(server.get("/v1/revisions").await.json["items"], json!([]));
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_told_from_bodies_that_are_wrong() {
    let server = Server::start().await;
    let apply = async |media_type: &str, body: &'static str| {
        server
            .with(Method::POST, "/v1/apply", &[("content-type", media_type)], body)
            .await
    };
    let form = apply("application/x-www-form-urlencoded", "a=b").await;
    assert!(form.problem(415).contains("application/yaml"), "{form:?}");
    let broken = apply("application/json", "{\"kind\": ").await;
    assert_eq!(
        (broken.status, broken.violations()),
        (400, vec!["input  malformed".to_owned()])
    );
    let wrong = apply("application/yaml", "kind: Backend\n").await;
    assert_eq!(wrong.status, 422, "{wrong:?}");
    let patch = server
        .json(Method::PATCH, "/v1/namespaces/default/backends/a", &json!([]))
        .await;
    assert_eq!(
        (patch.status, patch.violations()),
        (422, vec!["input  wrongType".to_owned()])
    );
}

#[tokio::test]
async fn every_answer_names_its_request_and_its_media_type() {
    let server = Server::start().await;
    for path in ["/v1/fleet", "/v2", "/healthz", "/metrics"] {
        let answer = server.get(path).await;
        assert_eq!(answer.headers["x-request-id"].len(), 32, "{path}");
        assert!(answer.headers.contains_key("content-type"), "{path}");
    }
    let named = server
        .with(Method::GET, "/v1/fleet", &[("x-request-id", "mine")], "")
        .await;
    assert_eq!(named.headers["x-request-id"], "mine");
}

#[tokio::test]
async fn without_the_store_the_answer_is_503_and_says_to_try_again() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server.store.close().await;
    let answer = server.post("/v1/apply", &backend("a", 1)).await;
    answer.problem(503);
    assert!(answer.headers.contains_key("retry-after"));
    server.get("/readyz").await.problem(503);
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn refused_writes_are_in_the_audit_trail_without_what_was_written() {
    let server = Server::start().await;
    let mut wrong = backend("a", 1);
    wrong["spec"]["endpoints"][0]["address"] = json!("not an address: s3cret");
    assert_eq!(server.post("/v1/apply", &wrong).await.status, 422);
    assert_eq!(server.post("/v1/apply?dryRun=true", &wrong).await.status, 422);
    server.apply(&shop()).await;
    let in_use = server.delete("/v1/namespaces/default/backends/web").await;
    assert_eq!(in_use.status, 422);
    let trail = server.store.audit(&AuditFilter::default(), 10).await.unwrap();
    let refused: Vec<_> = trail
        .iter()
        .filter(|entry| entry.action == AuditAction::Refused)
        .map(|entry| (entry.author.as_str(), entry.detail.as_str()))
        .collect();
    assert_eq!(
        refused,
        [
            ("tester", "Backend/default/web  inUse"),
            ("tester", "Backend/default/a spec.endpoints[0].address invalid"),
        ]
    );
}
