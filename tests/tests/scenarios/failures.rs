//! Upstreams that cannot be had, and what the client is told.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::future::pending;
use http::{Method, Response};
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get, request, send};
use sluice_tests::manifest::{HOST, backend, backend_with, gateway, route, route_to};
use sluice_tests::site::Site;
use sluice_tests::upstream::{Upstream, full};
use tokio::net::TcpListener;

/// An address of this machine where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_has_its_status_and_a_reason_that_programs_can_read() {
    let silent = Upstream::accept(async |stream| {
        // Takes the request and ends without a word.
        let mut start = [0; 1];
        let _ = stream.readable().await;
        let _ = stream.try_read(&mut start);
    })
    .await
    .unwrap();
    let babbling = Upstream::accept(async |mut stream| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut start = [0; 1024];
        let _ = stream.read(&mut start).await;
        let _ = stream.write_all(b"hello, this is not HTTP\r\n\r\n").await;
    })
    .await
    .unwrap();
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        backend("none", &[]),
        backend("refused", &[nobody().await]),
        backend("silent", &[silent.address]),
        backend("babbling", &[babbling.address]),
        backend_with("no-h2", &[babbling.address], &json!({"protocol": "h2c"})),
        route_to("none", "none.example.com", "none"),
        route_to("refused", "refused.example.com", "refused"),
        route_to("silent", "silent.example.com", "silent"),
        route_to("babbling", "babbling.example.com", "babbling"),
        route_to("no-h2", "no-h2.example.com", "no-h2"),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    for (host, status, reasons) in [
        ("nowhere.example.com", 404, &["no_route"][..]),
        ("none.example.com", 503, &["no_endpoints"]),
        ("refused.example.com", 502, &["connect_failed"]),
        ("silent.example.com", 502, &["upstream_reset"]),
        ("babbling.example.com", 502, &["upstream_malformed"]),
        (
            "no-h2.example.com",
            502,
            &["upstream_reset", "upstream_malformed", "connect_failed"],
        ),
    ] {
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let mut connection = Connection::open(address, protocol).await.unwrap();
            let answer = connection.send(get(host, "/")).await.unwrap();
            assert_eq!(answer.status, status, "{host}: {answer:?}");
            let reason = answer.reason().unwrap();
            assert!(reasons.contains(&&*reason), "{host}: {reason}");
            // The connection goes on, and HEAD has the same head without a body.
            let asked = request(Method::HEAD, host, "/", &[]);
            let head = connection.send(asked).await.unwrap();
            assert_eq!(
                (head.status.as_u16(), head.body.len()),
                (status, 0),
                "{host}: {head:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeouts_answer_504_in_time() {
    let slow = Upstream::serve(async |_, _| {
        pending::<()>().await;
        Ok(Response::new(full("")))
    })
    .await
    .unwrap();
    let site = Site::start(1).await.unwrap();
    let rule = |name: &str, timeouts: serde_json::Value| {
        json!({
            "matches": [{"path": {"type": "PathPrefix", "value": format!("/{name}")}}],
            "backendRefs": [{"name": "slow"}],
            "timeouts": timeouts,
        })
    };
    let rules = json!([
        rule("request", json!({"request": "300ms"})),
        rule("attempt", json!({"backendRequest": "300ms"})),
        rule("both", json!({"request": "10s", "backendRequest": "300ms"})),
    ]);
    let slow = backend("slow", &[slow.address]);
    site.apply(&[gateway(), slow, route("shop", HOST, &rules)])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    for path in ["/request", "/attempt", "/both"] {
        let asked = Instant::now();
        let answer = send(address, get(HOST, path)).await.unwrap();
        let took = asked.elapsed();
        assert_eq!(answer.status, 504, "{path}: {answer:?}");
        assert!(answer.reason().unwrap().contains("timeout"), "{path}: {answer:?}");
        assert!(took >= Duration::from_millis(300), "{path}: {took:?}");
        assert!(took < Duration::from_secs(3), "{path}: {took:?}");
    }
}
