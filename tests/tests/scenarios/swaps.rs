//! A thousand swaps under load.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use sluice_tests::client::{Answer, Connection, Protocol, get};
use sluice_tests::manifest::{HOST, backend, gateway, route};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SWAPS: u64 = 1_000;
const BACKENDS: u64 = 8;

/// Numbers that the route may carry when a request is sent or answered.
#[derive(Default)]
struct Window {
    /// The whole fleet runs this one or a later one.
    applied: AtomicU64,
    /// The newest that was asked for.
    asked: AtomicU64,
}

/// Every number has its own backend, path, request header and response header; an answer in which
/// they disagree was made from two revisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_fail_no_request_and_never_mix_revisions() {
    let mut upstreams = Vec::new();
    for index in 0..BACKENDS {
        upstreams.push(Upstream::echo(&format!("b{index}")).await.unwrap());
    }
    let site = Site::with(1, None, &["--provenance"]).await.unwrap();
    let mut base: Vec<_> = (0..)
        .zip(&upstreams)
        .map(|(index, upstream): (u64, _)| backend(&format!("b{index}"), &[upstream.address]))
        .collect();
    base.extend([gateway(), numbered(0)]);
    // Number n is revision offset + n.
    let offset = site.apply(&base).await.unwrap().revision;
    let address = site.address().await.unwrap();

    let (window, end) = (Arc::new(Window::default()), CancellationToken::new());
    let mut clients = JoinSet::new();
    for protocol in [Protocol::Http1, Protocol::Http1, Protocol::H2c] {
        clients.spawn(load(address, protocol, offset, Arc::clone(&window), end.clone()));
    }
    for number in 1..=SWAPS {
        window.asked.store(number, Ordering::SeqCst);
        let applied = site.apply(&[numbered(number)]).await.unwrap();
        assert_eq!(applied.revision, offset + number);
        window.applied.store(number, Ordering::SeqCst);
    }
    end.cancel();
    let mut seen = BTreeSet::new();
    while let Some(client) = clients.join_next().await {
        seen.append(&mut client.unwrap());
    }
    assert!(seen.len() > 100, "the load met only {} revisions", seen.len());
    assert_eq!(seen.last(), Some(&SWAPS));
}

/// Requests on one connection until `end`, then one more; the numbers that answered.
async fn load(
    address: SocketAddr,
    protocol: Protocol,
    offset: u64,
    window: Arc<Window>,
    end: CancellationToken,
) -> BTreeSet<u64> {
    let mut connection = Connection::open(address, protocol).await.unwrap();
    let mut seen = BTreeSet::new();
    loop {
        let last = end.is_cancelled();
        let oldest = window.applied.load(Ordering::SeqCst);
        let answer = connection.send(get(HOST, "/item")).await.unwrap();
        let number = agreed(&answer, offset);
        let newest = window.asked.load(Ordering::SeqCst);
        assert!(
            (oldest..=newest).contains(&number),
            "{number} not in {oldest}..={newest}"
        );
        seen.insert(number);
        if last {
            return seen;
        }
    }
}

/// The number that everything about the answer agrees on.
fn agreed(answer: &Answer, offset: u64) -> u64 {
    assert_eq!(answer.status, 200, "{answer:?}");
    let number: u64 = answer.header("x-number").parse().unwrap();
    let echo = answer.echo().unwrap();
    assert_eq!(echo.upstream, format!("b{}", number % BACKENDS), "{answer:?}");
    assert_eq!(echo.header("x-number").unwrap(), number.to_string(), "{answer:?}");
    assert_eq!(echo.target, format!("/{number}/item"), "{answer:?}");
    let revision = (offset + number).to_string();
    assert_eq!(answer.header("x-sluice-revision"), revision, "{answer:?}");
    number
}

fn numbered(number: u64) -> Value {
    let edit = json!({"set": [{"name": "x-number", "value": number.to_string()}]});
    let path = json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": format!("/{number}")});
    let rules = json!([{
        "name": "all",
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": edit},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": edit},
            {"type": "URLRewrite", "urlRewrite": {"path": path}},
        ],
        "backendRefs": [{"name": format!("b{}", number % BACKENDS)}],
    }]);
    route("shop", HOST, &rules)
}
