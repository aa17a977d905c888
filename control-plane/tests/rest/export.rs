//! Exports: everything at one revision, to be applied again.

use http::Method;
use serde_json::{Value, json};

use crate::manifests::{backend, gateway, labelled, route, shop};
use crate::server::{Answer, Server};
use crate::tokens::limited;

fn experiment(shares: [u32; 3]) -> Value {
    let variant = |(at, share): (usize, &u32)| json!({"name": format!("v{at}"), "share": share, "backendRefs": [{"name": "web"}]});
    let variants: Vec<_> = shares.iter().enumerate().map(variant).collect();
    json!({
        "apiVersion": "sluice.dev/v1", "kind": "Experiment", "metadata": {"name": "button"},
        "spec": {
            "targetRefs": [{"kind": "HTTPRoute", "name": "shop"}],
            "unit": {"cookie": "visitor"},
            "variants": variants,
        },
    })
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"}})
}

/// `Kind/name` of every line.
fn names(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let manifests = answer
        .text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let name = |manifest: Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!(
            "{}/{}",
            text(&manifest["kind"]),
            text(&manifest["metadata"]["name"])
        )
    };
    manifests.map(name).collect()
}

/// Applies an export as it came.
async fn import(server: &Server, lines: &str) -> Answer {
    let json = [("content-type", "application/json")];
    server
        .with(Method::POST, "/v1/apply", &json, lines.to_owned())
        .await
}

#[tokio::test]
async fn what_is_exported_is_the_same_here_and_on_another_control_plane() {
    let here = Server::start().await;
    here.apply(&[shop(), vec![experiment([40, 30, 30])]].concat())
        .await;
    here.apply(&[experiment([30, 30, 40])]).await;
    let exported = here.get("/v1/export/-").await;
    assert_eq!(
        names(&exported),
        [
            "Gateway/edge",
            "HTTPRoute/shop",
            "Backend/web",
            "Experiment/button"
        ]
    );
    assert_eq!(exported.headers["x-sluice-revision"], "2");
    let again = import(&here, &exported.text).await;
    assert_eq!(again.json["revision"], 2, "{again:?}");

    let there = Server::start().await;
    assert_eq!(import(&there, &exported.text).await.json["revision"], 1);
    assert_eq!(there.get("/v1/export/-").await.text, exported.text);
    let slots = async |server: &Server| {
        let path = "/v1/namespaces/default/experiments/button";
        let status = server.get(path).await.json["status"].clone();
        (status["slots"].clone(), status["salt"].clone())
    };
    assert_eq!(slots(&there).await, slots(&here).await);
    assert_eq!(
        slots(&here).await.0.as_array().unwrap().len(),
        4,
        "not as shares alone would give"
    );

    // What is brought back by a rollback has them, too.
    let deleted = there.delete("/v1/namespaces/default/experiments/button").await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let back = there.post("/v1/revisions/1/rollback", &json!({})).await;
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(there.get("/v1/export/-").await.text, exported.text);
}

#[tokio::test]
async fn a_part_or_a_past_can_be_asked_for() {
    let server = Server::start().await;
    let mut elsewhere = labelled(backend("far", 1), json!({"team": "b"}));
    elsewhere["metadata"]["namespace"] = json!("other");
    let ours = labelled(backend("near", 1), json!({"team": "a"}));
    server.apply(&[ours, elsewhere]).await;
    server.apply(&[backend("late", 1)]).await;
    for (path, expected) in [
        ("-", &["Backend/late", "Backend/near", "Backend/far"][..]),
        ("other", &["Backend/far"]),
        ("none", &[]),
        ("-?labelSelector=team%3Da", &["Backend/near"]),
        ("-?revision=1", &["Backend/near", "Backend/far"]),
        ("-?revision=0", &[]),
    ] {
        assert_eq!(
            names(&server.get(&format!("/v1/export/{path}")).await),
            expected,
            "{path}"
        );
    }
    for (path, status) in [("A_b", 404), ("-?revision=9", 404), ("-?revision=x", 400)] {
        server.get(&format!("/v1/export/{path}")).await.problem(status);
    }
}

#[tokio::test]
async fn secrets_are_counted_and_what_a_token_may_not_see_is_not() {
    let server = Server::start().await;
    server.apply(&[secret(), backend("web", 1)]).await;
    let all = server.get("/v1/export/-").await;
    assert_eq!(names(&all), ["Backend/web"]);
    assert_eq!(all.headers["x-sluice-secrets"], "1");

    let grants = json!([{"verbs": ["get"], "kinds": ["Gateway"]}]);
    let ask = limited(&server, grants).await;
    let little = ask("GET", "/v1/export/-", None).await;
    assert_eq!(names(&little), [""; 0]);
    assert_eq!(little.headers["x-sluice-secrets"], "0");
}

#[tokio::test]
async fn what_a_token_may_not_get_is_counted_by_kind_whatever_its_labels_are() {
    let server = Server::start().await;
    let elsewhere = |mut manifest: Value| {
        manifest["metadata"]["namespace"] = json!("other");
        manifest
    };
    let all = [
        gateway(),
        backend("near", 1),
        labelled(elsewhere(backend("far", 1)), json!({"team": "b"})),
        elsewhere(backend("farther", 1)),
        elsewhere(secret()),
    ];
    server.apply(&all).await;
    let grants = json!([
        {"verbs": ["get"], "kinds": ["Backend", "Secret"], "namespaces": ["default"]},
    ]);
    let ask = limited(&server, grants).await;
    for (path, left_out, lines) in [
        ("-", "gateways=1, secrets=1, backends=2", 1),
        ("default", "gateways=1", 1),
        ("other", "secrets=1, backends=2", 0),
        ("other?labelSelector=team%3Da", "secrets=1, backends=2", 0),
        ("other?labelSelector=team%3Db", "secrets=1, backends=2", 0),
        ("none", "", 0),
    ] {
        let answer = ask("GET", &format!("/v1/export/{path}"), None).await;
        assert_eq!(answer.headers["x-sluice-left-out"], left_out, "{path}");
        assert_eq!(names(&answer).len(), lines, "{path}");
    }
    let everything = server.get("/v1/export/-").await;
    assert_eq!(everything.headers["x-sluice-left-out"], "");
}

#[tokio::test]
async fn of_routes_that_tie_the_same_one_wins_after_an_import() {
    let here = Server::start().await;
    here.apply(&[gateway(), backend("web", 1), route("second", "web")])
        .await;
    here.apply(&[route("first", "web")]).await;
    let taken = async |server: &Server| {
        let question = json!({"method": "GET", "url": "http://shop.example.com/"});
        let answer = server.post("/v1/explain", &question).await;
        answer.json["decision"]["rule"]["route"].clone()
    };
    let before = taken(&here).await;
    assert_eq!(before, "default/second");

    let exported = here.get("/v1/export/-").await.text;
    let there = Server::start().await;
    let imported = import(&there, &exported).await;
    assert_eq!(imported.status, 200, "{imported:?}");
    assert_eq!(taken(&there).await, before);

    // A number alone gets nobody ahead of who is there.
    let mut greedy = route("a", "web");
    greedy["metadata"]["annotations"] = json!({"sluice.dev/created": "1"});
    there.apply(&[greedy]).await;
    assert_eq!(taken(&there).await, before);
}

#[tokio::test]
async fn ages_that_were_brought_along_are_stored_and_outlive_a_rollback() {
    let server = Server::start().await;
    let aged = |name: &str, age: &str| {
        let mut route = route(name, "web");
        route["metadata"]["annotations"] = json!({"sluice.dev/created": age});
        route
    };
    server
        .apply(&[gateway(), backend("web", 1), aged("a", "90"), aged("b", "80")])
        .await;
    server.apply(&[route("0", "web")]).await;
    let exported = server.get("/v1/export/-").await.text;
    let ages = |text: &str| {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let ages = lines.map(|manifest| manifest["metadata"]["annotations"]["sluice.dev/created"].clone());
        ages.filter(|age| !age.is_null()).collect::<Vec<_>>()
    };
    assert_eq!(ages(&exported), ["91", "90", "80"], "what comes later is younger");

    let past = server.get("/v1/export/-?revision=1").await.text;
    assert_eq!(ages(&past), ["90", "80"], "read from the store");
    let back = server.post("/v1/revisions/1/rollback", &json!({})).await;
    assert_eq!(back.status, 200, "{back:?}");
    assert_eq!(server.get("/v1/export/-").await.text, past);
}
