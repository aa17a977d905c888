//! What a proxy tells its control plane, and what it lets itself be told.

use http::Method;
use sluice_proto::v1::{EndpointHealth, endpoint_health::State};
use sluice_tests::client::{Connection, Protocol, get, request, served_by};
use sluice_tests::fake_control::FakeControl;
use sluice_tests::manifest::{HOST, LISTENER};
use sluice_tests::servers::DataPlane;
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;

use crate::snapshot::{acked, full, table};

async fn proxy(control: &FakeControl, directory: &tempfile::TempDir) -> DataPlane {
    control
        .proxy(directory.path(), &["--workers", "2"])
        .await
        .unwrap()
}

/// Numbers compare only within one history: another one replaces whatever is held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_history_replaces_what_is_held_even_with_a_lower_number() {
    let (old, new) = (
        Upstream::echo("old").await.unwrap(),
        Upstream::echo("new").await.unwrap(),
    );
    let directory = tempfile::tempdir().unwrap();
    let mut control = FakeControl::start().await.unwrap();
    let proxy = proxy(&control, &directory).await;
    let mut stream = control.subscribed([1; 16]).await.unwrap();
    assert_eq!(stream.hello.holds, None);
    stream
        .update(full([1; 16], 9, &table(old.address)))
        .await
        .unwrap();
    acked(&mut stream, 9).await;
    let address = proxy.listening(LISTENER, 9, SOON).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "old");

    drop(stream);
    let mut stream = control.subscribed([2; 16]).await.unwrap();
    assert_eq!(stream.hello.history, [1; 16]);
    assert_eq!(stream.hello.holds.as_ref().unwrap().revision, 9);
    stream
        .update(full([2; 16], 3, &table(new.address)))
        .await
        .unwrap();
    acked(&mut stream, 3).await;
    assert_eq!(served_by(address, HOST).await.unwrap(), "new");
    assert_eq!(proxy.config().await.unwrap().revision, 3);
}

/// A control plane may be newer than its proxies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_an_unknown_kind_is_passed_over_and_the_stream_goes_on() {
    let upstream = Upstream::echo("web").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut control = FakeControl::start().await.unwrap();
    let proxy = proxy(&control, &directory).await;
    let mut stream = control.subscribed([1; 16]).await.unwrap();
    stream.unknown().await.unwrap();
    let table = table(upstream.address);
    stream.update(full([1; 16], 1, &table)).await.unwrap();
    stream.unknown().await.unwrap();
    acked(&mut stream, 1).await;
    let address = proxy.listening(LISTENER, 1, SOON).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_is_reported_to_the_last_request_and_health_once_something_is_wrong() {
    const REQUESTS: u64 = 50;
    let upstream = Upstream::echo("web").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut control = FakeControl::start().await.unwrap();
    let proxy = proxy(&control, &directory).await;
    let mut stream = control.subscribed([1; 16]).await.unwrap();
    stream
        .update(full([1; 16], 1, &table(upstream.address)))
        .await
        .unwrap();
    acked(&mut stream, 1).await;
    let address = proxy.listening(LISTENER, 1, SOON).await.unwrap();
    for _ in 0..5 {
        let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
        for _ in 0..REQUESTS / 5 {
            connection.send(get(HOST, "/")).await.unwrap();
        }
    }
    // Before any report is due: a scrape asks the workers.
    let scraped = proxy
        .metric("sluice_requests_total", &["default/shop"])
        .await
        .unwrap();
    assert!((scraped - REQUESTS as f64).abs() < f64::EPSILON, "{scraped}");

    let (mut requests, mut failures, mut latencies, mut whole) = (0, 0, 0, 0);
    while requests < REQUESTS {
        let report = stream.report().await.unwrap();
        for traffic in report.traffic {
            assert_eq!((&*traffic.rule, &*traffic.variant), ("rule/default/shop/all", ""));
            let sketch = traffic.latency.unwrap();
            requests += traffic.requests;
            failures += traffic.failures;
            latencies += sketch.counts.iter().sum::<u64>() + sketch.zeros;
        }
        whole += usize::from(report.whole);
        assert_eq!((report.endpoints, report.plain), (vec![], vec![]));
    }
    assert_eq!((requests, failures, latencies), (REQUESTS, 0, REQUESTS));
    assert_eq!(
        whole, 1,
        "the first report of a stream has all that is wrong: nothing"
    );

    // Failures are those of the answer, not of the connection.
    let endpoint = upstream.address.to_string();
    drop(upstream);
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let answer = connection
        .send(request(Method::GET, HOST, "/", &[]))
        .await
        .unwrap();
    assert_eq!(answer.status, 502);
    let mut health = Vec::new();
    while failures == 0 || health.is_empty() {
        let report = stream.report().await.unwrap();
        for traffic in report.traffic {
            requests += traffic.requests;
            failures += traffic.failures;
        }
        health.extend(report.endpoints);
    }
    assert_eq!((requests, failures), (REQUESTS + 1, 1));
    let told = |one: &EndpointHealth| (one.backend.clone(), one.address.clone(), one.state());
    assert_eq!(
        told(&health[0]),
        ("backend/default/web".into(), endpoint.clone(), State::Healthy)
    );
    assert!(health[0].failures > 0);

    // Without its endpoint the backend has nothing that is wrong.
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    stream.update(full([1; 16], 2, &table(nowhere))).await.unwrap();
    acked(&mut stream, 2).await;
    let plain = loop {
        let report = stream.report().await.unwrap();
        if let Some(plain) = report.plain.into_iter().next() {
            break plain;
        }
    };
    assert_eq!(
        (plain.backend.as_str(), plain.address),
        ("backend/default/web", endpoint)
    );
}
