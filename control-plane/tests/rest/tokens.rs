//! Tokens: made, listed, withdrawn.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::manifests::{backend, list};
use crate::server::{Answer, SECRET, Server};

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
        (json!({"name": "a", "grants": []}), "input grants outOfRange"),
        (
            json!({"name": "a", "grants": [{"verbs": []}]}),
            "input grants[0].verbs outOfRange",
        ),
        (
            json!({"name": "a", "grants": [{"verbs": ["get"], "namespaces": []}]}),
            "input grants[0].namespaces outOfRange",
        ),
        (
            json!({"name": "a", "grants": [{"verbs": ["get", "debug"], "kinds": ["HTTPRoute"]}]}),
            "input grants[0].verbs outOfRange",
        ),
        (
            json!({"name": "a", "grants": [{"verbs": ["read"]}]}),
            "input  invalid",
        ),
    ] {
        let answer = server.post("/v1/tokens", &body).await;
        assert_eq!(
            (answer.status, answer.violations()),
            (422, vec![violation.to_owned()]),
            "{body}"
        );
    }
}

/// A token of `grants`, and how it sends requests.
pub(crate) async fn limited(
    server: &Server,
    grants: Value,
) -> impl AsyncFn(&str, &str, Option<Value>) -> Answer {
    let made = server
        .post("/v1/tokens", &json!({"name": "ci", "grants": grants}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let secret = made.json["token"].as_str().unwrap().to_owned();
    async move |method: &str, path: &str, body: Option<Value>| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        server.raw(request.body(body).unwrap()).await
    }
}

#[tokio::test]
async fn a_token_changes_what_its_grants_allow_and_nothing_else() {
    let server = Server::start().await;
    server.apply(&[backend("a", 80), backend("b", 80)]).await;
    let grants = json!([{"verbs": ["create", "update"], "kinds": ["Backend"], "namespaces": ["shop"]}]);
    let send = limited(&server, grants).await;
    let in_shop = |name: &str| {
        let mut manifest = backend(name, 80);
        manifest["metadata"]["namespace"] = "shop".into();
        manifest
    };
    let apply = async |manifests: &[Value]| send("POST", "/v1/apply", Some(list(manifests))).await;
    assert_eq!(apply(&[in_shop("c")]).await.status, 200);
    assert_eq!(
        apply(&[in_shop("c"), backend("a", 80)]).await.status,
        200,
        "what stays as it is needs nothing"
    );

    let refused = apply(&[in_shop("d"), backend("new", 80)]).await;
    assert_eq!(
        (refused.status, refused.violations()),
        (403, vec!["Backend/default/new  forbidden".to_owned()])
    );
    assert!(
        refused.headers["www-authenticate"]
            .to_str()
            .unwrap()
            .contains("insufficient_scope")
    );
    assert_eq!(
        server.get("/v1/namespaces/shop/backends/d").await.status,
        404,
        "all or nothing"
    );
    let deleted = send("DELETE", "/v1/namespaces/shop/backends/c", None).await;
    assert_eq!(deleted.status, 403, "{deleted:?}");
    let back = send("POST", "/v1/revisions/1/rollback", None).await;
    assert_eq!(back.status, 403, "it would delete: {back:?}");
    let dry = send("POST", "/v1/apply?dryRun=true", Some(list(&[backend("new", 80)]))).await;
    assert_eq!(dry.status, 403, "{dry:?}");

    let trail = server.get("/v1/audit?author=ci&action=refused").await;
    let details: Vec<_> = trail.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["detail"])
        .collect();
    assert_eq!(
        details,
        [
            "the token does not allow it: delete Backend/shop/c",
            "the token does not allow it: delete Backend/shop/c",
            "the token does not allow it: create Backend/default/new",
        ]
    );
}

#[tokio::test]
async fn a_token_sees_what_its_grants_allow_and_plans_without_writing() {
    let server = Server::start().await;
    let mut other = backend("b", 80);
    other["metadata"]["namespace"] = "shop".into();
    server.apply(&[backend("a", 80), other]).await;
    let send = limited(
        &server,
        json!([{"verbs": ["get", "plan"], "namespaces": ["shop"]}]),
    )
    .await;
    let get = async |path: &str| send("GET", path, None).await;
    assert_eq!(get("/v1/namespaces/shop/backends/b").await.status, 200);
    assert_eq!(get("/v1/namespaces/default/backends/a").await.status, 403);
    assert_eq!(get("/v1/namespaces/default/backends").await.status, 403);
    let all = get("/v1/namespaces/-/backends").await;
    let names: Vec<_> = all.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["metadata"]["name"])
        .collect();
    assert_eq!(names, ["b"]);
    assert_eq!(get("/v1/fleet").await.status, 200);
    assert_eq!(get("/v1/revisions").await.status, 200);

    let mut changed = backend("new", 80);
    changed["metadata"]["namespace"] = "shop".into();
    let body = Some(list(&[changed]));
    assert_eq!(
        send("POST", "/v1/apply?dryRun=true", body.clone()).await.status,
        200
    );
    assert_eq!(send("POST", "/v1/apply", body).await.status, 403);
}

#[tokio::test]
async fn a_debug_token_is_made_for_whoever_may_and_what_was_made_is_known() {
    let server = Server::start().await;
    let make = async |wanted: Value| server.post("/v1/debug-tokens", &wanted).await;
    let made = make(json!({"host": "Shop.Example.com.", "expiresInSeconds": 60})).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        (&made.json["host"], &made.json["header"]),
        (&json!("shop.example.com"), &json!("sluice-debug"))
    );
    let usual = make(json!({})).await;
    let life = usual.json["expiresAtMs"].as_u64().unwrap() - made.json["expiresAtMs"].as_u64().unwrap();
    assert!(
        (530_000..=545_000).contains(&life),
        "10 minutes against one: {life}"
    );
    assert_eq!(usual.json.get("host"), None);
    for (wanted, violation) in [
        (json!({"host": "a b"}), "input host invalid"),
        (json!({"host": "shop:80"}), "input host invalid"),
        (json!({"host": ""}), "input host invalid"),
        (
            json!({"expiresInSeconds": 0}),
            "input expiresInSeconds outOfRange",
        ),
        (
            json!({"expiresInSeconds": 3_601}),
            "input expiresInSeconds outOfRange",
        ),
        (json!({"hosts": []}), "input  invalid"),
    ] {
        let answer = make(wanted.clone()).await;
        assert_eq!(
            (answer.status, answer.violations()),
            (422, vec![violation.to_owned()]),
            "{wanted}"
        );
    }

    let may = limited(&server, json!([{"verbs": ["debug"]}])).await;
    assert_eq!(may("POST", "/v1/debug-tokens", Some(json!({}))).await.status, 201);
    let all_else = json!([{"verbs": ["get", "plan", "create", "update", "delete"]}]);
    let may_not = limited(&server, all_else).await;
    assert_eq!(
        may_not("POST", "/v1/debug-tokens", Some(json!({}))).await.status,
        403
    );
    let details = async |action: &str| {
        let trail = server.get(&format!("/v1/audit?action={action}")).await;
        let lines = trail.json["items"].as_array().unwrap().clone();
        lines
            .iter()
            .map(|line| line["detail"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        details("debugTokenCreated").await,
        [
            "every host, 600 seconds",
            "every host, 600 seconds",
            "shop.example.com, 60 seconds"
        ]
    );
    assert_eq!(
        details("refused").await,
        ["the token does not allow to make debug tokens"]
    );
}

#[tokio::test]
async fn nobody_finds_out_by_guessing_what_a_secret_holds() {
    let server = Server::start().await;
    let secret = |password: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": password}});
    server.apply(&[secret("right")]).await;
    let send = limited(&server, json!([{"verbs": ["get", "plan"], "kinds": ["Backend"]}])).await;
    for path in ["/v1/apply?dryRun=true", "/v1/plan", "/v1/apply"] {
        let guess = async |password: &str| send("POST", path, Some(list(&[secret(password)]))).await;
        let (right, wrong) = (guess("right").await, guess("wrong").await);
        assert_eq!(
            (right.status, wrong.status),
            (403, 403),
            "{path}: {right:?} {wrong:?}"
        );
    }
}

#[tokio::test]
async fn what_is_of_the_control_plane_itself_needs_a_token_that_may_do_everything() {
    let server = Server::start().await;
    let all = json!([{"verbs": ["get", "plan", "create", "update", "delete"]}]);
    let send = limited(&server, all).await;
    for (method, path) in [
        ("GET", "/v1/tokens"),
        ("POST", "/v1/tokens"),
        ("DELETE", "/v1/tokens/x"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/join-tokens"),
        ("POST", "/v1/join-tokens"),
        ("DELETE", "/v1/join-tokens/x"),
        ("DELETE", "/v1/fleet/x"),
        ("PATCH", "/v1/fleet/x/labels"),
        ("DELETE", "/v1/fleet/x/labels"),
        ("DELETE", "/v1/fleet/x/certificate"),
        ("POST", "/v1/ca/rotate"),
    ] {
        let answer = send(method, path, None).await;
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
    }
    let refused = server.get("/v1/audit?action=refused").await;
    assert_eq!(
        refused.json["items"].as_array().unwrap().len(),
        9,
        "all but those that only read"
    );
}
