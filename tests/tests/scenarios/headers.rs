//! What the proxy does to headers and targets by itself (RFC 9110, RFC 9112).

use std::net::SocketAddr;

use http::Method;
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get, raw, request};
use sluice_tests::manifest::{HOST, backend, backend_with, gateway, route_to};
use sluice_tests::site::Site;
use sluice_tests::upstream::{Echo, Upstream};

async fn site() -> (Upstream, Site, SocketAddr) {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let h2c = json!({"protocol": "h2c"});
    site.apply(&[
        gateway(),
        backend("web", &[upstream.address]),
        backend_with("h2c", &[upstream.address], &h2c),
        route_to("shop", HOST, "web"),
        route_to("h2c", "h2c.example.com", "h2c"),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    (upstream, site, address)
}

/// RFC 9110 section 7.6.1: what is about the connection stays on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hop_by_hop_headers_stay_on_their_hop_and_forwarding_headers_are_added() {
    let (_upstream, _site, address) = site().await;
    let sent = [
        ("connection", "x-mine, keep-alive"),
        ("x-mine", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("accept", "text/plain"),
    ];
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    for host in [HOST, "h2c.example.com"] {
        let asked = request(Method::GET, host, "/a?b=c", &sent);
        let answer = connection.send(asked).await.unwrap();
        let echo = answer.echo().unwrap();
        for gone in [
            "x-mine",
            "keep-alive",
            "proxy-connection",
            "te",
            "connection",
            "upgrade",
        ] {
            assert_eq!(echo.header(gone).unwrap(), "", "{gone} in {echo:?}");
        }
        assert_eq!(echo.header("x-forwarded-for").unwrap(), "192.0.2.7, 127.0.0.1");
        assert_eq!(echo.header("x-forwarded-proto").unwrap(), "http");
        assert_eq!(echo.header("accept").unwrap(), "text/plain");
        assert_eq!(echo.header("host").unwrap(), host);
        assert_eq!(echo.target, "/a?b=c");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_http_reach_both_kinds_of_backend() {
    let (_upstream, _site, address) = site().await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let mut connection = Connection::open(address, protocol).await.unwrap();
        for (host, version) in [(HOST, "HTTP/1.1"), ("h2c.example.com", "HTTP/2.0")] {
            let asked = request(Method::POST, host, "/x", &[("x-a", "1"), ("x-a", "2")]);
            let echo = connection.send(asked).await.unwrap().echo().unwrap();
            assert_eq!(echo.version, version, "{protocol:?}");
            assert_eq!(echo.headers["x-a"], ["1", "2"], "{protocol:?}");
            assert_eq!(echo.header("host").unwrap(), host, "{protocol:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_of_every_form_and_old_clients_are_understood() {
    let (_upstream, _site, address) = site().await;
    let absolute = |host: &str| {
        let line = format!("GET http://{HOST}:8080/a/../b HTTP/1.1");
        format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    };
    // Whoever says two things may mean either (RFC 9112 section 3.2.2 lets the target win).
    let answer = raw(address, absolute("other").as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let agreed = absolute(&format!("{HOST}:8080"));
    let answer = raw(address, agreed.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let echo = body(&answer);
    assert_eq!(
        (&*echo.target, echo.header("host").unwrap()),
        ("/b", &*format!("{HOST}:8080"))
    );

    let old = format!("GET /old HTTP/1.0\r\nHost: {HOST}\r\n\r\n");
    let answer = raw(address, old.as_bytes()).await.unwrap();
    assert!(answer.contains(" 200 OK\r\n"), "{answer}");
    assert_eq!(body(&answer).version, "HTTP/1.1");

    let hosts = "Host: a\r\nHost: b\r\n";
    for head in [
        "GET / HTTP/1.1\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\n{hosts}"),
        "GET / HTTP/1.1\r\nHost: a b\r\n".to_owned(),
    ] {
        let asked = format!("{head}Connection: close\r\n\r\n");
        let answer = raw(address, asked.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{asked}{answer}");
    }
    let connect = format!("CONNECT {HOST}:80 HTTP/1.1\r\nHost: {HOST}:80\r\nConnection: close\r\n\r\n");
    let answer = raw(address, connect.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
}

/// The JSON of an answer as it came over the wire with a length.
fn body(answer: &str) -> Echo {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The path is normalised once: what is matched is what is forwarded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_are_forwarded_as_they_were_matched() {
    let (_upstream, _site, address) = site().await;
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    for (sent, forwarded) in [
        ("/a/./b/../c", "/a/c"),
        ("/%61%2Fb//c?x=%61", "/a%2Fb//c?x=%61"),
        ("/../../etc", "/etc"),
        ("/a%20b", "/a%20b"),
        ("/?", "/?"),
    ] {
        let answer = connection.send(get(HOST, sent)).await.unwrap();
        assert_eq!(answer.echo().unwrap().target, forwarded, "{sent}");
    }
}
