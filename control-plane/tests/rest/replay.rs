//! Replays: what manifests would change for requests that were made.

use serde_json::{Value, json};

use crate::manifests::{backend, list, route, shop};
use crate::server::{Answer, Server};

/// A request for the shop, and how often it was made.
fn key(path: &str, weight: u64) -> Value {
    json!({"method": "GET", "host": "Shop.Example.com:8080", "path": path, "weight": weight})
}

async fn replay(server: &Server, manifests: &[Value], keys: &[Value], more: Value) -> Answer {
    let mut body = json!({"manifests": list(manifests).to_string(), "keys": keys});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    server.post("/v1/replay", &body).await
}

/// The shop with a rule of its own for `/pay`, to `pay`, for those with `header`.
fn with_pay(header: Value) -> Vec<Value> {
    let mut route = route("shop", "web");
    let own = json!({
        "matches": [{"path": {"type": "PathPrefix", "value": "/pay"}, "headers": [header]}],
        "backendRefs": [{"name": "pay"}],
    });
    route["spec"]["rules"].as_array_mut().unwrap().insert(0, own);
    vec![backend("pay", 81), route]
}

#[tokio::test]
async fn a_replay_says_which_part_of_the_requests_changes_and_writes_nothing() {
    let server = Server::start().await;
    let base = server.apply(&shop()).await;
    let mut gone = route("shop", "web");
    gone["spec"]["rules"][0]["matches"] = json!([{"path": {"type": "PathPrefix", "value": "/new"}}]);
    let keys = [key("/new/a?b=c", 70), key("/old", 29), key("/older/./x/..", 1)];
    let answer = replay(&server, &[gone], &keys, json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let traffic = &answer.json["traffic"];
    assert_eq!(
        (&traffic["requests"], &traffic["keys"], &traffic["judged"]),
        (&json!(100), &json!(3), &json!(100))
    );
    assert_eq!(
        (
            &traffic["targetPercent"],
            &traffic["statusPercent"],
            &traffic["other"]
        ),
        (&json!(30.0), &json!(30.0), &json!(0))
    );
    let class = &traffic["classes"][0];
    assert_eq!(traffic["classCount"], 1);
    assert_eq!(class["after"]["verdict"]["kind"], "notFound");
    assert_eq!(
        (&class["requests"], &class["percent"]),
        (&json!(30), &json!(30.0))
    );
    let examples: Vec<_> = class["examples"].as_array().unwrap().iter().collect();
    assert_eq!(
        (
            &examples[0]["path"],
            &examples[0]["host"],
            &examples[0]["requests"]
        ),
        (&json!("/old"), &json!("shop.example.com"), &json!(29))
    );
    assert_eq!(examples[1]["path"], "/older/");
    let revisions = server.get("/v1/revisions").await;
    assert_eq!(
        revisions.json["items"][0]["revision"].as_u64(),
        Some(base),
        "nothing was written"
    );
}

#[tokio::test]
async fn what_is_not_known_of_requests_is_said() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let changed = with_pay(json!({"name": "x-beta", "value": "yes"}));
    let mut beta = key("/pay", 5);
    beta["headers"] = json!({"x-beta": "yes"});
    let keys = [beta, key("/pay", 10), key("/", 20)];
    let answer = replay(&server, &changed, &keys, json!({})).await;
    let traffic = &answer.json["traffic"];
    assert_eq!(traffic["changed"], 5, "{answer:?}");
    assert_eq!(
        (&traffic["assumed"], &traffic["assumedRequests"]),
        (&json!({"x-beta": 10}), &json!(10))
    );
    // Whoever says that the header was looked at is not told that it was not.
    for recorded in ["X-Beta", "*"] {
        let answer = replay(&server, &changed, &keys, json!({"recorded": [recorded]})).await;
        assert_eq!(answer.json["traffic"]["assumedRequests"], 0, "{answer:?}");
        assert_eq!(answer.json["traffic"]["changed"], 5);
    }
    let answer = replay(&server, &changed, &[key("/%zz", 3), key("/", 1)], json!({})).await;
    assert_eq!(
        (
            &answer.json["malformed"]["requests"],
            &answer.json["traffic"]["requests"]
        ),
        (&json!(3), &json!(1)),
        "{answer:?}"
    );
    let example = answer.json["malformed"]["examples"][0].as_str().unwrap();
    assert!(
        example.starts_with("GET Shop.Example.com:8080 /%zz: "),
        "{example}"
    );
}

#[tokio::test]
async fn a_replay_of_what_would_be_refused_is_refused_like_the_plan_of_it() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let dangling = [route("lost", "nowhere")];
    let replayed = replay(&server, &dangling, &[], json!({})).await;
    let planned = server.post("/v1/plan", &list(&dangling)).await;
    assert_eq!(
        (replayed.status, replayed.violations()),
        (planned.status, planned.violations())
    );
    for (more, field) in [
        (json!({"recorded": ["a b"]}), "recorded[0]"),
        (json!({"labels": {}, "proxy": "edge-1"}), "labels"),
        (json!({"since": "yesterday"}), "since"),
        (json!({"since": "24h", "keys": [key("/", 1)]}), "since"),
        (json!({"since": "24h", "recorded": ["x-a"]}), "since"),
    ] {
        let answer = replay(&server, &shop(), &[], more).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.json["violations"][0]["field"], field, "{answer:?}");
    }
    let unknown = replay(&server, &shop(), &[], json!({"proxy": "edge-1"})).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let empty = server
        .post("/v1/replay", &json!({"manifests": "", "keys": []}))
        .await;
    assert_eq!(empty.status, 422, "{empty:?}");
    let many = vec![key("/", 1); 250_001];
    let many = replay(&server, &shop(), &many, json!({})).await;
    assert_eq!(many.status, 422);
    assert!(many.text.contains("250000"), "{}", many.text);
}

#[tokio::test]
async fn a_replay_is_bounded_before_it_is_read() {
    let server = Server::start().await;
    let web = [backend("web", 8080)];
    let many: serde_json::Map<_, _> = (0..101).map(|at| (format!("x-{at}"), json!("a"))).collect();
    let mut key_of_many = key("/", 1);
    key_of_many["headers"] = many.into();
    let answer = replay(&server, &web, &[key_of_many], json!({})).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let recorded: Vec<_> = (0..1_001).map(|at| format!("x-{at}")).collect();
    let answer = replay(&server, &web, &[key("/", 1)], json!({"recorded": recorded})).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    // More than can be added up is not counted at all, let alone wrongly.
    let huge = replay(&server, &web, &[key("/", u64::MAX), key("/", 3)], json!({})).await;
    assert_eq!(huge.status, 200, "{huge:?}");
    assert_eq!(huge.json["traffic"]["judged"], 3);
    assert_eq!(huge.json["malformed"]["requests"], 1_u64 << 40);
}
