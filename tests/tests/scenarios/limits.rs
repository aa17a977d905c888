//! What clients may not do: each limit has an answer and a counter, and the next client is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Request;
use serde_json::{Value, json};
use sluice_proto::v1;
use sluice_tests::client::{Connection, Protocol, get, raw, send, served_by};
use sluice_tests::eventually::eventually;
use sluice_tests::fake_control::{FakeControl, Stream};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, gateway_on, route_to};
use sluice_tests::servers::DataPlane;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::{Upstream, full as body};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::snapshot::{acked, full, table_with};

const HISTORY: [u8; 16] = [1; 16];

/// A proxy whose one listener has limits of its own.
pub(crate) struct Limited {
    pub(crate) proxy: DataPlane,
    pub(crate) address: SocketAddr,
    _control: (FakeControl, Stream),
    _directory: TempDir,
}

impl Limited {
    /// In front of `endpoint`, run with these further options.
    pub(crate) async fn start(endpoint: SocketAddr, limits: v1::Limits, options: &[&str]) -> Self {
        let mut control = FakeControl::start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options = [&["--workers", "2"][..], options].concat();
        let proxy = control.proxy(directory.path(), &options).await.unwrap();
        let mut stream = control.subscribed(HISTORY).await.unwrap();
        let update = full(HISTORY, 1, &table_with(endpoint, limits));
        stream.update(update).await.unwrap();
        acked(&mut stream, 1).await;
        let address = proxy.listening(LISTENER, 1, SOON).await.unwrap();
        Self {
            proxy,
            address,
            _control: (control, stream),
            _directory: directory,
        }
    }

    /// How often requests went wrong for `reason`.
    async fn refused(&self, reason: &str) -> f64 {
        let label = format!("reason=\"{reason}\"");
        let labels = [label.as_str()];
        let metric = self.proxy.metric("sluice_request_errors_total", &labels);
        metric.await.unwrap()
    }

    /// Waits until requests went wrong for `reason` this many times.
    pub(crate) async fn counted(&self, reason: &str, count: u32) {
        eventually(&format!("{reason} is counted"), SOON, async || {
            let seen = self.refused(reason).await;
            anyhow::ensure!(seen >= f64::from(count), "{seen} of {count}");
            Ok(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_by_name() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limits = v1::Limits {
        header_bytes: 1_000,
        header_count: 10,
        uri_bytes: 100,
        body_bytes: 50,
        ..v1::Limits::default()
    };
    let limited = Limited::start(upstream.address, limits, &[]).await;
    let head = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n");
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n{body}");
    let (long, body) = ("v".repeat(1_000), "b".repeat(51));
    for (status, reason, request) in [
        (431, "head_too_long", head("/", &format!("X: {long}\r\n"))),
        (431, "too_many_headers", head("/", &"X: 1\r\n".repeat(10))),
        (414, "uri_too_long", head(&format!("/{}", "p".repeat(100)), "")),
        (413, "body_too_large", post("Content-Length: 51\r\n", &body)),
        (
            413,
            "body_too_large",
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("33\r\n{body}\r\n0\r\n\r\n"),
            ),
        ),
        (417, "bad_expectation", head("/", "Expect: more\r\n")),
    ] {
        let before = limited.refused(reason).await;
        let answer = raw(limited.address, request.as_bytes()).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{reason}: {answer}"
        );
        assert!(
            answer.contains(&format!("x-sluice-reason: {reason}\r\n")),
            "{answer}"
        );
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        limited.counted(reason, before as u32 + 1).await;
    }
    assert_eq!(served_by(limited.address, HOST).await.unwrap(), "web");
    let within = post("Content-Length: 50\r\nConnection: close\r\n", &body[..50]);
    let answer = raw(limited.address, within.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Limits with which nothing of a request may take longer than a moment.
fn hasty() -> v1::Limits {
    v1::Limits {
        head_timeout_ms: 300,
        body_timeout_ms: 300,
        ..v1::Limits::default()
    }
}

/// A connection whose first request was answered. The time for the first head begins with the connection, and may be
/// over before this process has written one; that for a later head begins with its first byte.
async fn under_way(address: SocketAddr) -> TcpStream {
    let head = format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let asked = eventually("a first request is answered", SOON, async || {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await?);
        }
        anyhow::ensure!(answer.starts_with(b"HTTP/1.1 200 "));
        Ok(stream)
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_in_a_head_or_body_is_told_and_left() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limited = Limited::start(upstream.address, hasty(), &[]).await;
    for (reason, request) in [
        ("head_timeout", format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: ")),
        (
            "body_timeout",
            format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nhalf"),
        ),
    ] {
        let mut stream = under_way(limited.address).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.contains(&format!("x-sluice-reason: {reason}\r\n")),
            "{answer}"
        );
        limited.counted(reason, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_ends_without_a_word() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limited = Limited::start(upstream.address, hasty(), &[]).await;
    assert_eq!(raw(limited.address, b"").await.unwrap(), "");
    let brief = v1::Limits {
        idle_timeout_ms: 300,
        ..v1::Limits::default()
    };
    let limited = Limited::start(upstream.address, brief, &[]).await;
    let once = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let answer = raw(limited.address, once.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_byte_by_byte_has_the_same_time_as_any_other() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limited = Limited::start(upstream.address, hasty(), &[]).await;
    let (mut answers, mut stream) = under_way(limited.address).await.into_split();
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let mut answer = Vec::new();
    let drip = async {
        let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {}", "v".repeat(10_000));
        for byte in head.bytes() {
            pause.tick().await;
            let written = tokio::select! {
                biased;
                read = answers.read_buf(&mut answer) => return read.unwrap(),
                written = stream.write_u8(byte) => written,
            };
            if written.is_err() {
                // It was closed since: the answer is there.
                return answers.read_buf(&mut answer).await.unwrap();
            }
        }
        0
    };
    let read = timeout(Duration::from_secs(10), drip).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(read > 0 && answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_and_their_places_come_back() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limits = v1::Limits {
        connections: 3,
        connections_per_client: 2,
        ..v1::Limits::default()
    };
    let limited = Limited::start(upstream.address, limits, &[]).await;
    let open = async |last: u8| {
        let source = Ipv4Addr::new(127, 0, 0, last);
        let mut connection = Connection::open_from(source, limited.address, Protocol::Http1).await?;
        let answer = connection.send(get(HOST, "/")).await?;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(connection)
    };
    let first = open(1).await.unwrap();
    let second = open(1).await.unwrap();
    assert!(open(1).await.is_err(), "a third connection of one client");
    let other = open(2).await.unwrap();
    assert!(open(3).await.is_err(), "a fourth connection");
    let metric = limited.proxy.metric("sluice_connections_over_limit_total", &[]);
    assert!(metric.await.unwrap() >= 2.0);
    drop(first);
    let again = eventually("a place comes back", SOON, async || open(1).await).await;
    drop((second, other, again.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_of_one_port_have_places_of_their_own() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let policy = json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "small"},
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "sectionName": "small"}],
            "limits": {"connections": 1},
        },
    });
    let (small, large) = ("small.example.com", "large.example.com");
    let applied = [
        gateway_on(&[("small", 80, Some(small)), ("large", 80, Some(large))]),
        policy,
        backend("web", &[upstream.address]),
        route_to("small", small, "web"),
        route_to("large", large, "web"),
    ];
    site.apply(&applied).await.unwrap();
    let address = site.proxies[0]
        .listening("listener/default/edge/small", 1, SOON)
        .await
        .unwrap();
    let ask = async |host: &str| {
        let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
        let answer = connection.send(get(host, "/")).await.unwrap();
        (connection, answer)
    };
    let (first, answer) = ask(small).await;
    assert_eq!(answer.status, 200);
    let (_refused, answer) = ask(small).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().unwrap().as_str()),
        (503, "listener_full")
    );
    assert_eq!(answer.header("connection"), "close");
    let (_one, answer) = ask(large).await;
    assert_eq!(answer.status, 200);
    let (_two, answer) = ask(large).await;
    assert_eq!(answer.status, 200);
    let label = "listener=\"listener/default/edge/small\"";
    let labels = [label];
    let metric = site.proxies[0].metric("sluice_connections_over_limit_total", &labels);
    assert!(metric.await.unwrap() >= 1.0);
    drop(first);
    let back = eventually("the place comes back", SOON, async || {
        let (connection, answer) = ask(small).await;
        anyhow::ensure!(answer.status == 200, "{answer:?}");
        Ok(connection)
    });
    drop(back.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_of_a_connection_says_so() {
    let upstream = Upstream::echo("web").await.unwrap();
    let limits = v1::Limits {
        requests_per_connection: 3,
        ..v1::Limits::default()
    };
    let limited = Limited::start(upstream.address, limits, &[]).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").repeat(5);
    let answers = raw(limited.address, request.as_bytes()).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
    let last = &answers[answers.rfind("HTTP/1.1 200 ").unwrap()..];
    assert_eq!(answers.matches("connection: close\r\n").count(), 1, "{answers}");
    assert!(last.contains("connection: close\r\n"), "{last}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_its_memory_the_proxy_refuses_and_lives() {
    let upstream = Upstream::echo("web").await.unwrap();
    let options = ["--memory-limit", "1Mi"];
    let mut limited = Limited::start(upstream.address, v1::Limits::default(), &options).await;
    let refused = eventually("requests are refused", SOON, async || {
        let answer = send(limited.address, get(HOST, "/")).await?;
        anyhow::ensure!(answer.status == 503, "{answer:?}");
        Ok(answer)
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused.reason().unwrap(), "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("connection"), "close");
    limited.counted("overloaded", 1).await;
    assert!(limited.proxy.process.exited().is_none());
}

/// What users write: a policy for a Gateway, and a more precise one for a route.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_policy_sets_limits_and_the_more_precise_one_holds() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let policy = |name: &str, kind: &str, target: &str, limits: Value| {
        let target = json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": target});
        json!({
            "apiVersion": "sluice.dev/v1",
            "kind": "TrafficPolicy",
            "metadata": {"name": name},
            "spec": {"targetRefs": [target], "limits": limits},
        })
    };
    let applied = [
        gateway(),
        backend("web", &[upstream.address]),
        route_to("small", "small.example.com", "web"),
        route_to("large", "large.example.com", "web"),
        policy(
            "edge",
            "Gateway",
            "edge",
            json!({"requestBodyBytes": 10, "uriBytes": 100}),
        ),
        policy("large", "HTTPRoute", "large", json!({"requestBodyBytes": "1Ki"})),
    ];
    site.apply(&applied).await.unwrap();
    let address = site.address().await.unwrap();
    let status = async |host: &str, path: &str, length: usize| {
        let body = body("b".repeat(length));
        let asked = Request::post(format!("http://{host}{path}")).body(body).unwrap();
        send(address, asked).await.unwrap().status.as_u16()
    };
    assert_eq!(status("small.example.com", "/", 10).await, 200);
    assert_eq!(status("small.example.com", "/", 11).await, 413);
    assert_eq!(status("large.example.com", "/", 1_024).await, 200);
    assert_eq!(status("large.example.com", "/", 1_025).await, 413);
    assert_eq!(
        status("large.example.com", &format!("/{}", "p".repeat(100)), 1).await,
        414
    );
}
