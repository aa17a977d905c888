//! Sticky A/B splits.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use reqwest::Method;
use serde_json::{Value, json};
use sluice_tests::client::{Answer, Connection, Protocol, get, request, send};
use sluice_tests::manifest::{HOST, backend, gateway, route_to};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

/// Units that are asked for; every count below is bounded at 7 standard deviations or more, so
/// that a false alarm is rarer than 1 in 10^11.
const UNITS: usize = 2_000;

/// A site with two backends and an experiment between them.
struct Trial {
    site: Site,
    address: SocketAddr,
    _upstreams: [Upstream; 2],
}

impl Trial {
    async fn start(unit: &Value) -> Self {
        let upstreams = [
            Upstream::echo("old").await.unwrap(),
            Upstream::echo("new").await.unwrap(),
        ];
        let site = Site::start(1).await.unwrap();
        site.apply(&[
            gateway(),
            backend("old", &[upstreams[0].address]),
            backend("new", &[upstreams[1].address]),
            route_to("shop", HOST, "old"),
            experiment(unit, 50, 50),
        ])
        .await
        .unwrap();
        let address = site.address().await.unwrap();
        Self {
            site,
            address,
            _upstreams: upstreams,
        }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let answer = send(self.address, request(Method::GET, HOST, path, headers))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// The units among the first [`UNITS`] that get the new variant.
    async fn owned_by_new(&self) -> BTreeSet<usize> {
        let mut connection = Connection::open(self.address, Protocol::Http1).await.unwrap();
        let mut owned = BTreeSet::new();
        for unit in 0..UNITS {
            let user = format!("user-{unit}");
            let asked = request(Method::GET, HOST, "/", &[("x-user", &user)]);
            if variant(&connection.send(asked).await.unwrap()) == "new" {
                owned.insert(unit);
            }
        }
        owned
    }
}

fn experiment(unit: &Value, old: u32, new: u32) -> Value {
    json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Experiment",
        "metadata": {"name": "trial"},
        "spec": {
            "targetRefs": [{"kind": "HTTPRoute", "name": "shop", "sectionName": "all"}],
            "unit": unit,
            "variants": [
                {"name": "old", "share": old, "backendRefs": [{"name": "old"}]},
                {"name": "new", "share": new, "backendRefs": [{"name": "new"}]},
            ],
            "override": {"header": "x-force"},
            "upstreamHeader": "x-variant",
        },
    })
}

/// The variant of an answer: the upstream that gave it, which was told the variant's name.
fn variant(answer: &Answer) -> String {
    let echo = answer.echo().unwrap();
    assert_eq!(echo.header("x-variant").unwrap(), echo.upstream, "{answer:?}");
    echo.upstream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_a_share_moves_the_fewest_units_and_a_rollback_returns_them() {
    let unit = json!({"header": "x-user"});
    let trial = Trial::start(&unit).await;
    let half = trial.owned_by_new().await;
    assert!((840..=1_160).contains(&half.len()), "{} of {UNITS}", half.len());

    let more = trial.site.apply(&[experiment(&unit, 40, 60)]).await.unwrap();
    let sixty = trial.owned_by_new().await;
    assert!(half.is_subset(&sixty), "a unit moved against the shift");
    let moved = sixty.len() - half.len();
    assert!(
        (100..=300).contains(&moved),
        "{moved} of {UNITS} moved for a tenth"
    );

    // Two variants return to the same owners when the shares return.
    trial.site.apply(&[experiment(&unit, 50, 50)]).await.unwrap();
    assert_eq!(trial.owned_by_new().await, half);

    // A change of something else moves nobody; a rollback returns everybody.
    trial.site.apply(&[experiment(&unit, 90, 10)]).await.unwrap();
    let path = format!("/v1/revisions/{}/rollback?wait=20s&quorum=1", more.revision);
    let back = trial.site.rest().send(Method::POST, &path, None).await.unwrap();
    assert_eq!(back.body["receipt"]["applied"], 1, "{back:?}");
    assert_eq!(trial.owned_by_new().await, sixty);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_cookie_is_issued_and_sticky_from_then_on() {
    let trial = Trial::start(&json!({"cookie": "visitor"})).await;
    let mut variants = BTreeSet::new();
    let mut cookies = BTreeSet::new();
    for _ in 0..64 {
        let first = trial.get("/", &[]).await;
        let issued = first.header("set-cookie").to_owned();
        assert!(issued.starts_with("visitor="), "{first:?}");
        let cookie = issued.split(';').next().unwrap();
        let again = trial
            .get("/", &[("cookie", &format!("a=b; {cookie}; c=d"))])
            .await;
        assert_eq!(variant(&again), variant(&first));
        assert!(!again.headers.contains_key("set-cookie"), "{again:?}");
        variants.insert(variant(&first));
        cookies.insert(cookie.to_owned());
    }
    // All 64 in one variant: once in 2^63 runs.
    assert_eq!((variants.len(), cookies.len()), (2, 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tester_chooses_the_variant_by_header() {
    let trial = Trial::start(&json!({"header": "x-user"})).await;
    for unit in 0..16 {
        let user = format!("user-{unit}");
        let own = variant(&trial.get("/", &[("x-user", &user)]).await);
        for forced in ["old", "new"] {
            let answer = trial.get("/", &[("x-user", &user), ("x-force", forced)]).await;
            assert_eq!(variant(&answer), forced);
        }
        let unknown = trial.get("/", &[("x-user", &user), ("x-force", "other")]).await;
        assert_eq!(variant(&unknown), own);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_parameter_is_a_unit() {
    let trial = Trial::start(&json!({"queryParam": "id"})).await;
    let mut variants = BTreeSet::new();
    for unit in 0..64 {
        let first = variant(&trial.get(&format!("/a?x=1&id=u{unit}"), &[]).await);
        let again = variant(&trial.get(&format!("/b?id=u{unit}&x=2"), &[]).await);
        assert_eq!(first, again, "unit {unit}");
        variants.insert(first);
    }
    assert_eq!(variants.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clients_address_is_a_unit() {
    let trial = Trial::start(&json!({"clientIP": {}})).await;
    let mut variants = BTreeSet::new();
    for host in 1..=64 {
        let source = Ipv4Addr::new(127, 0, 9, host);
        let mut seen = BTreeSet::new();
        for _ in 0..2 {
            let mut connection = Connection::open_from(source, trial.address, Protocol::Http1)
                .await
                .unwrap();
            let answer = connection.send(get(HOST, "/")).await.unwrap();
            let echo = answer.echo().unwrap();
            assert_eq!(echo.header("x-forwarded-for").unwrap(), source.to_string());
            seen.insert(variant(&answer));
        }
        assert_eq!(seen.len(), 1, "{source}");
        variants.append(&mut seen);
    }
    assert_eq!(variants.len(), 2);
}
