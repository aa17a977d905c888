//! What is probably not meant: asked for, and told with writes.

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::manifests::{backend, gateway, list, route, shop};
use crate::server::{Answer, Server};

async fn lint(server: &Server, manifests: &[Value]) -> Answer {
    server.post("/v1/lint", &list(manifests)).await
}

/// `severity code resource field` of each finding.
fn said(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json["notes"], json!([]), "{answer:?}");
    lines(&answer.json["items"], &["severity", "code", "resource", "field"])
}

fn lines(items: &Value, names: &[&str]) -> Vec<String> {
    let line = |item: &Value| {
        let words = names.iter().map(|name| item[*name].as_str().unwrap());
        words.collect::<Vec<_>>().join(" ")
    };
    items.as_array().unwrap().iter().map(line).collect()
}

fn warnings(answer: &Answer) -> Vec<String> {
    assert!(answer.status < 300, "{answer:?}");
    lines(&answer.json["warnings"], &["code", "resource", "field"])
}

fn policy(rules: &Value) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1", "kind": "LintPolicy", "metadata": {"name": "team"}, "spec": {"rules": rules},
    })
}

const DUPLICATE: &str = "duplicate HTTPRoute/default/twin spec.rules[0]";

#[tokio::test]
async fn what_is_live_is_linted_and_manifests_as_if_they_were_among_it() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server.apply(&[backend("idle", 81)]).await;
    let live = server.with(Method::POST, "/v1/lint", &[], "").await;
    assert_eq!(said(&live), ["warning unused Backend/default/idle "]);

    // The references lead to what is live, and nothing is said of what has nothing to do with them.
    let answer = lint(&server, &[route("twin", "web")]).await;
    assert_eq!(said(&answer), [format!("warning {DUPLICATE}")]);
    let found = &answer.json["items"][0];
    assert_eq!(
        found["other"],
        json!({"resource": "HTTPRoute/default/shop", "field": "spec.rules[0]"})
    );
    assert_eq!(found["witness"]["host"], "shop.example.com");
    let nothing = server.get("/v1/namespaces/default/httproutes/twin").await;
    assert_eq!(nothing.status, 404, "nothing was written");

    let dangling = lint(&server, &[route("lost", "nowhere")]).await;
    assert_eq!(dangling.status, 422, "{dangling:?}");
    assert_eq!(
        dangling.violations(),
        ["HTTPRoute/default/lost spec.rules[0].backendRefs[0].name dangling"]
    );
    let warned = server
        .post("/v1/lint?danglingRefs=warn", &list(&[route("lost", "nowhere")]))
        .await;
    assert!(
        said(&warned).iter().any(|line| line.contains("dangling")),
        "{warned:?}"
    );
    let type_only = [(CONTENT_TYPE.as_str(), "application/yaml")];
    let empty = server.with(Method::POST, "/v1/lint", &type_only, "---\n").await;
    assert_eq!(empty.status, 422, "{empty:?}");
}

#[tokio::test]
async fn warnings_ride_along_with_every_way_to_write_and_with_plans() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let twin = route("twin", "web");
    let path = "/v1/namespaces/default/httproutes/twin";
    let ways = [
        server.post("/v1/plan", &list(std::slice::from_ref(&twin))).await,
        server
            .post("/v1/apply?dryRun=true", &list(std::slice::from_ref(&twin)))
            .await,
        server.post("/v1/apply", &list(std::slice::from_ref(&twin))).await,
        server.json(Method::PUT, path, &labelled(&twin)).await,
        server
            .json(
                Method::PATCH,
                path,
                &json!({"metadata": {"annotations": {"a": "b"}}}),
            )
            .await,
    ];
    for answer in &ways {
        assert_eq!(warnings(answer), [DUPLICATE], "{answer:?}");
    }
    let message = ways[2].json["warnings"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("(GET http://shop.example.com/)"), "{message}");
    let other = server.post("/v1/apply", &list(&[backend("other", 82)])).await;
    let idle = ["unused Backend/default/other "];
    assert_eq!(warnings(&other), idle, "what was so before is not told again");
}

fn labelled(manifest: &Value) -> Value {
    crate::manifests::labelled(manifest.clone(), json!({"a": "b"}))
}

#[tokio::test]
async fn a_policy_refuses_what_a_change_brings_about_and_not_what_was_there() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server
        .apply(&[policy(&json!({"duplicate": "error", "unattached": "off"}))])
        .await;
    let twin = [route("twin", "web")];
    let refused = server.post("/v1/apply", &list(&twin)).await;
    assert_eq!(
        (refused.status, refused.violations()),
        (
            422,
            vec!["HTTPRoute/default/twin spec.rules[0] duplicate".to_owned()]
        )
    );
    let planned = server.post("/v1/plan", &list(&twin)).await;
    assert_eq!(
        (planned.status, planned.violations()),
        (422, refused.violations())
    );
    assert_eq!(said(&lint(&server, &twin).await), [format!("error {DUPLICATE}")]);
    let missing = server.get("/v1/namespaces/default/httproutes/twin").await;
    assert_eq!(missing.status, 404);

    // With the policy a change may be made all the same: it says what holds after it.
    let both = [policy(&json!({"duplicate": "warning"})), twin[0].clone()];
    let let_in = server.post("/v1/apply", &list(&both)).await;
    assert_eq!(warnings(&let_in), [DUPLICATE]);
    // A stricter policy refuses nothing that is there, and changes of it are warned of.
    server.apply(&[policy(&json!({"duplicate": "error"}))]).await;
    let touched = server.post("/v1/apply", &list(&[labelled(&twin[0])])).await;
    assert_eq!(warnings(&touched), [DUPLICATE]);

    let wrong = server
        .post("/v1/apply", &list(&[policy(&json!({"duplicates": "error"}))]))
        .await;
    assert_eq!(
        (wrong.status, wrong.violations()),
        (
            422,
            vec!["LintPolicy/default/team spec.rules.duplicates unknownField".to_owned()]
        )
    );
}

#[tokio::test]
async fn a_rollback_is_never_refused_for_what_a_policy_says() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    server.apply(&[route("twin", "web")]).await;
    let strict = [gateway(), policy(&json!({"duplicate": "error"}))];
    let with_both = server.apply(&strict).await;
    let deleted = server.delete("/v1/namespaces/default/httproutes/twin").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let refused = server.post("/v1/apply", &list(&[route("twin", "web")])).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let path = format!("/v1/revisions/{with_both}/rollback");
    let back = server.post(&path, &json!({})).await;
    assert_eq!(warnings(&back), [DUPLICATE]);
}
