//! Replays of what proxies sampled.

use prost::Message as _;
use serde_json::{Value, json};
use sluice_control::store::{StoredSamples, UnixMillis};
use sluice_core::{sample_key_id, sampled_value};
use sluice_proto::v1::{self, sampled_header};

use crate::manifests::{backend, gateway, list, route, shop};
use crate::proxy::Proxy;
use crate::server::{Answer, Server};
use crate::tokens::limited;

/// Some time long ago.
const THEN: u64 = 1_000;

fn request(path: &str, user: sampled_header::Value, weight: u64) -> v1::SampledRequest {
    v1::SampledRequest {
        port: 80,
        method: "GET".into(),
        host: "shop.example.com".into(),
        path: path.into(),
        query: None,
        headers: vec![v1::SampledHeader {
            name: "x-user".into(),
            value: Some(user),
        }],
        weight,
    }
}

/// A value as a proxy tells it that has this key.
fn hashed(key: &[u8; 32], value: &str) -> sampled_header::Value {
    hashed_of("x-user", key, value)
}

/// The same of another header.
fn hashed_of(name: &str, key: &[u8; 32], value: &str) -> sampled_header::Value {
    let name = name.parse().unwrap();
    sampled_header::Value::Hash(sampled_value(key, &name, value).to_vec())
}

/// Puts requests into the store, as they are when proxies of this view told of them.
async fn put(server: &Server, view: &[&str], key: &[u8; 32], requests: Vec<v1::SampledRequest>) {
    let samples = v1::Samples {
        headers: vec!["x-user".into()],
        query: false,
        requests,
        key_id: sample_key_id(key).to_vec(),
        left_out: 2,
    };
    let stored = v1::StoredSamples {
        groups: vec![v1::SampleGroup {
            selectors: view.iter().map(|one| (*one).to_owned()).collect(),
            samples: Some(samples),
        }],
    };
    let row = StoredSamples {
        from: UnixMillis(THEN),
        to: UnixMillis(u64::MAX >> 2),
        kinds: stored.encode_to_vec(),
    };
    server.store.put_samples(&row, None).await.unwrap();
}

async fn key(server: &Server) -> [u8; 32] {
    *server.store.sample_key(UnixMillis(1)).await.unwrap().expose()
}

fn body(manifests: &[Value]) -> Value {
    json!({"manifests": list(manifests).to_string(), "since": "24h"})
}

async fn replay(server: &Server, manifests: &[Value]) -> Answer {
    let answer = server.post("/v1/replay", &body(manifests)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The shop, where requests of `ann` go to `pay`.
fn for_ann() -> Vec<Value> {
    with_header("x-user", "ann")
}

/// The shop, where requests with this header go to `pay`.
fn with_header(name: &str, value: &str) -> Vec<Value> {
    let mut route = route("shop", "web");
    let own = json!({
        "matches": [{
            "path": {"type": "PathPrefix", "value": "/"},
            "headers": [{"name": name, "value": value}],
        }],
        "backendRefs": [{"name": "pay"}],
    });
    route["spec"]["rules"].as_array_mut().unwrap().insert(0, own);
    vec![backend("pay", 81), route]
}

#[tokio::test]
async fn hashes_are_judged_by_the_key_they_were_made_with_and_no_other() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let none = replay(&server, &for_ann()).await;
    assert_eq!(none.json["traffic"]["requests"], 0, "{none:?}");
    let key = key(&server).await;
    let own = [("ann", 3), ("bob", 4)].map(|(user, weight)| request("/", hashed(&key, user), weight));
    put(&server, &[], &key, own.to_vec()).await;
    let answer = replay(&server, &for_ann()).await;
    let traffic = &answer.json["traffic"];
    assert_eq!(
        (&traffic["requests"], &traffic["judged"], &traffic["changed"]),
        (&json!(7), &json!(7), &json!(3)),
        "{answer:?}"
    );
    // Under another key ann's hash is not ann's, and nobody's is surely another: neither is judged.
    let other = [9; 32];
    let others = vec![
        request("/", hashed(&other, "ann"), 10),
        request("/", hashed(&other, "bob"), 20),
    ];
    put(&server, &[], &other, others).await;
    // Nor is what is no text.
    let empty = sampled_header::Value::Hash(Vec::new());
    put(&server, &[], &key, vec![request("/", empty, 40)]).await;
    let answer = replay(&server, &for_ann()).await;
    let traffic = &answer.json["traffic"];
    assert_eq!(
        (&traffic["requests"], &traffic["judged"], &traffic["changed"]),
        (&json!(77), &json!(7), &json!(3)),
        "{answer:?}"
    );
    assert_eq!(
        traffic["notJudged"],
        json!({"requests": 70, "hidden": {"x-user": 70}, "beyond": 0})
    );
    // Kinds of 3 and 4 requests count as 49 / 25 draws, of which 3 in 7 change target.
    let margin = &answer.json["sampled"]["margin"];
    let number = |pointer: &str| margin.pointer(pointer).and_then(Value::as_f64).unwrap();
    assert_eq!(number("/effectiveSize"), 1.96, "{answer:?}");
    let ends = [
        "/target/lowPercent",
        "/target/highPercent",
        "/status/lowPercent",
        "/status/highPercent",
    ];
    let ends = ends.map(|end| (number(end) * 100.0).round() / 100.0);
    assert_eq!(ends, [7.04, 88.13, 0.0, 66.22], "{answer:?}");
    assert_eq!(
        (
            &answer.json["sampled"]["fromMs"],
            &answer.json["sampled"]["leftOut"]
        ),
        (&json!(THEN), &json!(6))
    );
    assert!(answer.json.get("selectors").is_none(), "{answer:?}");
    // Where no rule asks for the header, nothing of it has to be known.
    let mut moved = route("shop", "pay");
    moved["metadata"]["name"] = json!("shop");
    let answer = replay(&server, &[backend("pay", 81), moved]).await;
    assert_eq!(answer.json["traffic"]["changed"], 77, "{answer:?}");
}

#[tokio::test]
async fn a_guess_at_a_credential_is_neither_right_nor_wrong() {
    const SENT: &str = "what-was-sent";
    let server = Server::start().await;
    server.apply(&shop()).await;
    let key = key(&server).await;
    let credentials = ["authorization", "cookie", "proxy-authorization"];
    let of = |name: &&str| v1::SampledRequest {
        headers: vec![v1::SampledHeader {
            name: (*name).to_owned(),
            value: Some(hashed_of(name, &key, SENT)),
        }],
        ..request("/", hashed(&key, "ann"), 5)
    };
    put(&server, &[], &key, credentials.iter().map(of).collect()).await;
    for name in credentials {
        for guess in [SENT, "something-else"] {
            let answer = replay(&server, &with_header(name, guess)).await;
            let traffic = &answer.json["traffic"];
            assert_eq!(
                (&traffic["requests"], &traffic["changed"], &traffic["notJudged"]),
                (
                    &json!(15),
                    &json!(0),
                    &json!({"requests": 5, "hidden": {name: 5}, "beyond": 0})
                ),
                "{guess}: {answer:?}"
            );
        }
    }
    // What is no credential is judged: whoever may replay samples, and plans, can guess at it.
    let user = vec![request("/", hashed(&key, SENT), 7)];
    put(&server, &[], &key, user).await;
    for (guess, changed) in [(SENT, 7), ("something-else", 0)] {
        let answer = replay(&server, &with_header("x-user", guess)).await;
        assert_eq!(answer.json["traffic"]["changed"], changed, "{answer:?}");
    }
}

#[tokio::test]
async fn samples_take_a_verb_of_their_own_and_who_is_refused_is_known() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let key = key(&server).await;
    put(
        &server,
        &[],
        &key,
        vec![request("/of-others", hashed(&key, "ann"), 3)],
    )
    .await;
    let all_else = json!([{"verbs": ["get", "plan", "create", "update", "delete", "debug"]}]);
    let may_not = limited(&server, all_else).await;
    let asked = body(&for_ann());
    let refused = may_not("POST", "/v1/replay", Some(asked.clone())).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!refused.text.contains("of-others"), "{refused:?}");
    let mut own = asked.clone();
    own.as_object_mut().unwrap().remove("since");
    own["keys"] = json!([{"method": "GET", "host": "shop.example.com", "path": "/"}]);
    let of_a_log = may_not("POST", "/v1/replay", Some(own)).await;
    assert_eq!(of_a_log.status, 200, "{of_a_log:?}");
    let trail = server.get("/v1/audit?action=refused").await;
    assert_eq!(
        trail.json["items"][0]["detail"],
        "the token does not allow to replay what proxies sampled"
    );

    let may = limited(&server, json!([{"verbs": ["plan"]}, {"verbs": ["samples"]}])).await;
    let answer = may("POST", "/v1/replay", Some(asked.clone())).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let example = &answer.json["traffic"]["classes"][0]["examples"][0];
    assert_eq!(example["path"], "/of-others", "{answer:?}");
    // To be shown requests is not to plan.
    let no_plan = limited(&server, json!([{"verbs": ["samples"]}])).await;
    assert_eq!(no_plan("POST", "/v1/replay", Some(asked)).await.status, 403);
    let scoped = json!({"name": "a", "grants": [{"verbs": ["samples"], "namespaces": ["shop"]}]});
    let made = server.post("/v1/tokens", &scoped).await;
    assert_eq!(
        made.violations(),
        ["input grants[0].verbs outOfRange"],
        "{made:?}"
    );
}

/// A Gateway for each of two zones, each with a route to a Backend of its own.
fn zones() -> Vec<Value> {
    let zone = |name: &str| {
        let mut own = gateway();
        own["metadata"] =
            json!({"name": name, "annotations": {"sluice.dev/proxy-selector": format!("zone={name}")}});
        let mut routed = route(name, name);
        routed["spec"]["parentRefs"][0]["name"] = json!(name);
        vec![own, routed, backend(name, 8080)]
    };
    [zone("eu"), zone("us")].concat()
}

#[tokio::test]
async fn each_sample_is_judged_by_what_its_own_proxies_have() {
    let server = Server::start().await;
    server.apply(&zones()).await;
    let _eu = Proxy::labelled(&server, "edge-1", &[("zone", "eu")]).await;
    let _us = Proxy::labelled(&server, "edge-2", &[("zone", "us")]).await;
    let key = key(&server).await;
    let some = |weight| vec![request("/", hashed(&key, "ann"), weight)];
    put(&server, &["zone=eu"], &key, some(30)).await;
    put(&server, &["zone=us"], &key, some(50)).await;
    // A selector that there was once; such proxies have what is for everybody, which is nothing.
    put(&server, &["zone=old"], &key, some(20)).await;

    let mut moved = route("eu", "us");
    moved["spec"]["parentRefs"][0]["name"] = json!("eu");
    let answer = replay(&server, std::slice::from_ref(&moved)).await;
    let traffic = &answer.json["traffic"];
    assert_eq!(
        (
            &traffic["requests"],
            &traffic["changed"],
            &traffic["targetPercent"]
        ),
        (&json!(100), &json!(30), &json!(30.0)),
        "{answer:?}"
    );
    let views = answer.json["sampled"]["views"].as_array().unwrap();
    let views: Vec<_> = views
        .iter()
        .map(|view| {
            (
                view["selectors"].to_string(),
                view["requests"].as_u64(),
                view["changed"].as_u64(),
            )
        })
        .collect();
    let view = |selectors: &str, requests, changed| (selectors.to_owned(), Some(requests), Some(changed));
    assert_eq!(
        views,
        [
            view("[]", 20, 0),
            view(r#"["zone=eu"]"#, 30, 30),
            view(r#"["zone=us"]"#, 50, 0)
        ]
    );
    // Only those of proxies like this one.
    let mut asked = body(&[moved]);
    asked["proxy"] = json!("edge-2");
    let answer = server.post("/v1/replay", &asked).await;
    assert_eq!(
        (
            &answer.json["traffic"]["requests"],
            &answer.json["traffic"]["changed"]
        ),
        (&json!(50), &json!(0)),
        "{answer:?}"
    );

    // A selector that goes over to other proxies takes their requests along.
    let mut gateway = gateway();
    gateway["metadata"] = json!({"name": "us", "annotations": {"sluice.dev/proxy-selector": "zone=eu"}});
    gateway["spec"]["listeners"][0]["port"] = json!(90);
    let answer = replay(&server, &[gateway]).await;
    let views = answer.json["sampled"]["views"].as_array().unwrap();
    let us = views
        .iter()
        .find(|view| view["selectors"] == json!(["zone=us"]))
        .unwrap();
    assert_eq!(
        (&us["selectorsAfter"], &us["changed"]),
        (&json!([]), &json!(50)),
        "{answer:?}"
    );
}
