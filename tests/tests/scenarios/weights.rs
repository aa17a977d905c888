//! How requests are divided between Backends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use sluice_tests::client::{Answer, Connection, Protocol, get};
use sluice_tests::manifest::{HOST, backend, gateway, list, route};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

/// Requests per measurement. Every bound below is at least 7 standard deviations away, so that a
/// false alarm is rarer than 1 in 10^11.
const REQUESTS: usize = 2_000;

fn weighted(refs: &Value) -> Value {
    route("shop", HOST, &json!([{"backendRefs": refs}]))
}

async fn site(upstreams: &[Upstream; 2]) -> (Site, SocketAddr) {
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        backend("old", &[upstreams[0].address]),
        backend("new", &[upstreams[1].address]),
        weighted(&json!([{"name": "old"}])),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    (site, address)
}

async fn upstreams() -> [Upstream; 2] {
    [
        Upstream::echo("old").await.unwrap(),
        Upstream::echo("new").await.unwrap(),
    ]
}

/// Counts of the answers by upstream, or by reason where the proxy answers itself.
async fn shares(address: SocketAddr, requests: usize) -> BTreeMap<String, usize> {
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        let answer: Answer = connection.send(get(HOST, "/")).await.unwrap();
        let by = match answer.status.as_u16() {
            200 => answer.header("x-upstream").to_owned(),
            status => format!("{status} {}", answer.reason().unwrap()),
        };
        *shares.entry(by).or_default() += 1;
    }
    shares
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_divided_by_weight() {
    let upstreams = upstreams().await;
    let (site, address) = site(&upstreams).await;
    for (old, new, requests, expected) in [
        // 0.1 of 2,000: 200 and 7 times 13.4.
        (90, 10, REQUESTS, 105..=295),
        (1, 1, REQUESTS, 840..=1_160),
        (0, 5, 100, 100..=100),
        (7, 0, 100, 0..=0),
    ] {
        let refs = json!([{"name": "old", "weight": old}, {"name": "new", "weight": new}]);
        site.apply(&[weighted(&refs)]).await.unwrap();
        let shares = shares(address, requests).await;
        let got = shares.get("new").copied().unwrap_or_default();
        assert!(expected.contains(&got), "{old}:{new} gives {shares:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_without_backends_answers_500_and_a_dangling_reference_does_for_its_share() {
    let upstreams = upstreams().await;
    let (site, address) = site(&upstreams).await;
    for none in [json!([]), json!([{"name": "old", "weight": 0}])] {
        site.apply(&[weighted(&none)]).await.unwrap();
        let shares = shares(address, 3).await;
        assert_eq!(
            shares,
            BTreeMap::from([("500 no_backends".to_owned(), 3)]),
            "{none}"
        );
    }

    let refs = json!([{"name": "old", "weight": 1}, {"name": "nowhere", "weight": 1}]);
    let refused = site.rest().apply(&list(&[weighted(&refs)]), "").await;
    assert!(refused.unwrap_err().to_string().contains("nowhere"));
    let applied = site
        .apply_with(&[weighted(&refs)], "danglingRefs=warn")
        .await
        .unwrap();
    assert_eq!(applied.warnings.len(), 1, "{applied:?}");
    let shares = shares(address, REQUESTS).await;
    let dangling = shares["500 dangling_backend"];
    assert_eq!(dangling + shares["old"], REQUESTS, "{shares:?}");
    assert!((840..=1_160).contains(&dangling), "{shares:?}");
}
