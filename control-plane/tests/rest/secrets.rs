//! Secrets: written, merged, compared, and never read back.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};
use sluice_control::store::{KeyRing, Revision};

use crate::manifests::backend;
use crate::server::{Answer, Server};

const A: &str = "/v1/namespaces/default/secrets/a";

/// The Secret `a` with these values, as text.
fn secret(values: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": values})
}

#[tokio::test]
async fn a_secret_is_shown_with_its_keys_and_fingerprints_and_none_of_its_values() {
    let server = Server::start().await;
    server
        .apply(&[secret(
            &json!({"user": "alice", "password": "hunter2-hunter2-hunter2"}),
        )])
        .await;
    let read = server.get(A).await;
    assert_eq!(read.headers["etag"], "\"1\"");
    let redacted = json!({"user": "<redacted>", "password": "<redacted>"});
    assert_eq!(read.json["data"], redacted);
    assert_eq!(read.json["type"], "Opaque");
    let prints = &read.json["status"]["fingerprints"];
    assert_eq!(prints["password"].as_str().unwrap().len(), 8);
    assert!(prints.get("user").is_none(), "a short value could be guessed");
    let list = server.get("/v1/namespaces/default/secrets").await;
    assert_eq!(list.json["items"][0], read.json);
    for text in [&read.text, &list.text] {
        assert!(
            !text.contains("hunter2-hunter2-hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_same_values_are_unchanged_and_a_patch_leaves_those_it_does_not_name() {
    let server = Server::start().await;
    let both = secret(&json!({"token": "0123456789abcdef", "password": "hunter2-hunter2-hunter2"}));
    server.apply(std::slice::from_ref(&both)).await;
    let again = server.post("/v1/apply", &both).await;
    assert_eq!(
        (again.changes(), again.json["revision"].as_u64()),
        (vec!["a unchanged".into()], Some(1))
    );
    let before = server.get(A).await.json["status"]["fingerprints"].clone();

    let patch = json!({"stringData": {"password": "hunter3-hunter3-hunter3"}});
    assert_eq!(
        server.json(Method::PATCH, A, &patch).await.changes(),
        ["a updated"]
    );
    let after = server.get(A).await.json["status"]["fingerprints"].clone();
    assert_eq!(after["token"], before["token"]);
    assert_ne!(after["password"], before["password"]);
    let expected = secret(&json!({"token": "0123456789abcdef", "password": "hunter3-hunter3-hunter3"}));
    assert_eq!(
        server.json(Method::PUT, A, &expected).await.changes(),
        ["a unchanged"]
    );

    let patch = json!({"data": {"password": null}});
    assert_eq!(
        server.json(Method::PATCH, A, &patch).await.changes(),
        ["a updated"]
    );
    assert_eq!(server.get(A).await.json["data"], json!({"token": "<redacted>"}));
}

#[tokio::test]
async fn what_was_read_is_refused_when_it_is_put_back() {
    let server = Server::start().await;
    server
        .apply(&[secret(&json!({"password": "hunter2-hunter2-hunter2"}))])
        .await;
    let read = server.get(A).await.json;
    let refused = server.json(Method::PUT, A, &read).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(refused.violations(), ["Secret/default/a data.password invalid"]);
    let patch = json!({"data": {"password": "<redacted>"}});
    assert_eq!(server.json(Method::PATCH, A, &patch).await.status, 422);
    assert_eq!(server.get(A).await.json, read);
}

#[tokio::test]
async fn an_immutable_secret_keeps_its_values_until_it_is_deleted() {
    let server = Server::start().await;
    let mut first = secret(&json!({"password": "a first password"}));
    first["immutable"] = true.into();
    server.apply(std::slice::from_ref(&first)).await;

    let mut other = first.clone();
    other["stringData"]["password"] = "a second password".into();
    let mut unset = first.clone();
    unset.as_object_mut().unwrap().remove("immutable");
    let mut all = other.clone();
    all["immutable"] = false.into();
    all["type"] = "kubernetes.io/tls".into();
    all["stringData"] = json!({"tls.crt": "a", "tls.key": "b"});
    for (changed, fields) in [
        (&other, &["data"][..]),
        (&unset, &["immutable"]),
        (&all, &["immutable", "type", "data"]),
    ] {
        let refused = server.post("/v1/apply", changed).await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let expected = fields
            .iter()
            .map(|field| format!("Secret/default/a {field} conflict"));
        assert_eq!(refused.violations(), expected.collect::<Vec<_>>());
        assert!(!refused.text.contains("password"), "{refused:?}");
    }
    let patch = json!({"stringData": {"more": "values"}});
    assert_eq!(server.json(Method::PATCH, A, &patch).await.status, 422);

    // What is beside the values may change, and a new one may take its place.
    let patch = json!({"metadata": {"labels": {"team": "shop"}}});
    assert_eq!(
        server.json(Method::PATCH, A, &patch).await.changes(),
        ["a updated"]
    );
    assert_eq!(server.post("/v1/apply", &first).await.changes(), ["a updated"]);
    assert_eq!(server.delete(A).await.changes(), ["a deleted"]);
    assert_eq!(server.post("/v1/apply", &other).await.changes(), ["a created"]);
}

#[tokio::test]
async fn a_rollback_leaves_secrets_as_they_are_and_says_so() {
    let server = Server::start().await;
    server
        .apply(&[secret(&json!({"password": "a first password"})), backend("b", 1)])
        .await;
    let mut other = secret(&json!({"password": "other"}));
    other["metadata"]["name"] = "other".into();
    server
        .apply(&[
            secret(&json!({"password": "a second password"})),
            backend("b", 2),
            other,
        ])
        .await;
    let before = server.get(A).await.json["status"]["fingerprints"].clone();

    let back = server.post("/v1/revisions/1/rollback", &json!({})).await;
    assert_eq!(back.changes(), ["b updated"]);
    let warned = |answer: &Answer| -> Vec<String> {
        let all = answer.json["warnings"].as_array().unwrap().iter();
        let left = all.filter(|warning| warning["code"] == "unsupported");
        left.map(|warning| warning["resource"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(warned(&back), ["Secret/default/a", "Secret/default/other"]);
    assert_eq!(server.get(A).await.json["status"]["fingerprints"], before);
    assert_eq!(
        server.get("/v1/namespaces/default/secrets/other").await.status,
        200
    );

    server.delete(A).await.changes();
    let back = server.post("/v1/revisions/1/rollback", &json!({})).await;
    assert_eq!(warned(&back).len(), 2, "{back:?}");
    assert_eq!(server.get(A).await.status, 404);
    // The past can still be asked.
    let past = server
        .post(
            "/v1/explain",
            &json!({"method": "GET", "url": "http://a.example/", "revision": 1}),
        )
        .await;
    assert_eq!(past.json["revision"], 1, "{past:?}");
}

#[tokio::test]
async fn without_an_envelope_key_a_secret_is_refused_with_the_way_to_make_one() {
    let server = Server::with_keys(KeyRing::default()).await;
    for path in ["/v1/apply", "/v1/apply?dryRun=true"] {
        let refused = server.post(path, &secret(&json!({"password": "1"}))).await;
        let detail = refused.problem(501);
        assert!(
            detail.contains("openssl rand -base64 32") && detail.contains("SLUICE_KEY_FILE"),
            "{detail}"
        );
    }
    assert_eq!(server.apply(&[backend("b", 1)]).await, 1);
    assert_eq!(server.store.head().await.unwrap().revision, Revision(1));
}

#[tokio::test]
async fn who_may_plan_and_not_read_a_secret_is_not_told_whether_a_guess_is_right() {
    let server = Server::start().await;
    let held = secret(&json!({"password": "correct horse battery staple"}));
    server.apply(&[held.clone(), backend("b", 1)]).await;
    let token = json!({"name": "ci", "grants": [
        {"verbs": ["plan"]},
        {"verbs": ["get"], "kinds": ["Backend"]},
    ]});
    let made = server.post("/v1/tokens", &token).await;
    let bearer = format!("Bearer {}", made.json["token"].as_str().unwrap());
    let ask = async |path: &str, manifest: &Value| {
        let request = Request::post(path)
            .header("authorization", &bearer)
            .header("content-type", "application/json");
        let answer = server
            .raw(request.body(Body::from(manifest.to_string())).unwrap())
            .await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json
    };
    let wrong = secret(&json!({"password": "correct horse battery stable", "more": "x"}));
    for path in ["/v1/plan", "/v1/diff", "/v1/lint", "/v1/apply?dryRun=true"] {
        let [right, wrong] = [ask(path, &held).await, ask(path, &wrong).await];
        assert_eq!(right, wrong, "{path}");
    }
    let planned = ask("/v1/plan", &held).await;
    assert_eq!(planned["changes"][0]["action"], "updated");
    assert_eq!(planned["warnings"][0]["code"], "unjudged");
    let compared = ask("/v1/diff", &wrong).await;
    assert!(!compared.to_string().contains("more"), "{compared}");
    // Who may read it is told as before; fingerprints say as much.
    let own = server.post("/v1/plan", &held).await;
    assert_eq!(own.json["changes"][0]["action"], "unchanged");
}

/// Resource and field of each warning of what is not kept.
fn dropped(answer: &Answer) -> Vec<String> {
    let warnings = answer.json["warnings"].as_array().unwrap().iter();
    let dropped = warnings.filter(|warning| warning["code"] == "unsupported");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    dropped
        .map(|warning| format!("{} {}", text(&warning["resource"]), text(&warning["field"])))
        .collect()
}

#[tokio::test]
async fn that_what_kubectl_kept_of_a_secret_is_dropped_is_said() {
    const S: &str = "/v1/namespaces/default/secrets/s";
    let server = Server::start().await;
    let name = "kubectl.kubernetes.io/last-applied-configuration";
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"},
    });
    manifest["metadata"]["annotations"] = json!({name: manifest.to_string(), "team": "shop"});
    for path in ["/v1/apply?dryRun=true", "/v1/apply"] {
        let answer = server.post(path, &manifest).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            dropped(&answer),
            [format!("Secret/default/s metadata.annotations[{name:?}]")],
            "{answer:?}"
        );
        assert!(!answer.text.contains("hunter2"), "{answer:?}");
    }
    let kept = server.get(S).await.json;
    assert_eq!(kept["metadata"]["annotations"], json!({"team": "shop"}));

    // A merge patch says so, too, if it brings the copy along, and not if it takes it away.
    for (path, copy, is_told) in [
        (format!("{S}?dryRun=true"), json!("hunter2"), true),
        (S.to_owned(), json!("hunter2"), true),
        (S.to_owned(), Value::Null, false),
    ] {
        let patch = json!({"metadata": {"annotations": {name: copy, "team": "pay"}}});
        let answer = server.json(Method::PATCH, &path, &patch).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let field = is_told.then(|| format!("Secret/default/s metadata.annotations[{name:?}]"));
        assert_eq!(dropped(&answer), Vec::from_iter(field), "{answer:?}");
        assert!(!answer.text.contains("hunter2"), "{answer:?}");
    }
    let kept = server.get(S).await.json;
    assert_eq!(kept["metadata"]["annotations"], json!({"team": "pay"}));

    // Of what is not a Secret kubectl's note is kept, and nothing is said.
    let mut web = backend("web", 1);
    web["metadata"]["annotations"] = json!({name: "{}"});
    let answer = server.post("/v1/apply", &web).await;
    assert_eq!((answer.status, dropped(&answer)), (200, vec![]), "{answer:?}");
}
