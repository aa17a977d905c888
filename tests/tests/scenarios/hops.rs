//! What belongs to one hop, and what ends it: interim answers, upgrades nobody wants, hop counts,
//! ends of connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::Method;
use sluice_tests::client::{Connection, Protocol, raw, request, send};
use sluice_tests::manifest::{HOST, backend, gateway, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// "At once", on a busy machine: far below every deadline of the proxy.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn through(upstream: &Upstream) -> (Site, SocketAddr) {
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    (site, address)
}

/// Reads until `end` has come.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let byte = timeout(SOON, stream.read_u8()).await.expect(end).unwrap();
        text.push(char::from(byte));
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn early_hints_reach_the_client_before_the_answer() {
    let (go, answer) = mpsc::channel::<()>(1);
    let answer = std::sync::Arc::new(tokio::sync::Mutex::new(answer));
    let upstream = Upstream::accept(move |mut stream| {
        let answer = std::sync::Arc::clone(&answer);
        async move {
            while until(&mut stream, "\r\n\r\n").await.contains("GET") {
                let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
                stream.write_all(hints.as_bytes()).await.unwrap();
                answer.lock().await.recv().await;
                let last = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast";
                stream.write_all(last.as_bytes()).await.unwrap();
            }
        }
    });
    let upstream = upstream.await.unwrap();
    let (_site, address) = through(&upstream).await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    let asked = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let hints = until(&mut stream, "\r\n\r\n").await;
    assert!(hints.starts_with("HTTP/1.1 103 "), "{hints}");
    assert!(hints.contains("link: </a.css>\r\n"), "{hints}");
    go.send(()).await.unwrap();
    let answer = until(&mut stream, "last").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");

    // Clients that speak 1.0 know no such answers (RFC 9110 section 15.2).
    go.send(()).await.unwrap();
    let old = format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n");
    let answer = raw(address, old.as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_to_clear_text_http_2_is_not_passed_on() {
    let upstream = Upstream::echo("web").await.unwrap();
    let (_site, address) = through(&upstream).await;
    let asked = [
        ("connection", "upgrade, http2-settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("x-kept", "1"),
    ];
    let answer = send(address, request(Method::GET, HOST, "/", &asked))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let echo = answer.echo().unwrap();
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(echo.header(name).unwrap(), "", "{echo:?}");
    }
    assert_eq!(echo.header("x-kept").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hops_are_counted_and_the_last_one_answers() {
    let upstream = Upstream::echo("web").await.unwrap();
    let (_site, address) = through(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let mut connection = Connection::open(address, protocol).await.unwrap();
        let mut asked = async |method, hops| {
            let asked = request(method, HOST, "/", &[("max-forwards", hops)]);
            connection.send(asked).await.unwrap()
        };
        let passed = asked(Method::OPTIONS, "3").await.echo().unwrap();
        assert_eq!(passed.header("max-forwards").unwrap(), "2");
        let passed = asked(Method::GET, "0").await.echo().unwrap();
        assert_eq!(passed.header("max-forwards").unwrap(), "0");
        let own = asked(Method::OPTIONS, "0").await;
        assert!(
            own.status.is_success() && own.header("x-upstream").is_empty(),
            "{own:?}"
        );
        assert!(own.header("allow").contains("GET"), "{own:?}");
    }
}

/// RFC 9112 section 8: what breaks off must not look whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_an_upstream_reaches_the_client_at_once() {
    let upstream = Upstream::accept(async |mut stream: TcpStream| {
        let asked = until(&mut stream, "\r\n\r\n").await;
        let framing = match asked.split(' ').nth(1).unwrap() {
            "/until-close" => "",
            "/length" => "Content-Length: 100\r\n",
            _ => "Transfer-Encoding: chunked\r\n",
        };
        let piece = match framing.starts_with("Transfer") {
            true => "5\r\npiece\r\n",
            false => "piece",
        };
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n{piece}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let upstream = upstream.await.unwrap();
    let (_site, address) = through(&upstream).await;
    for (path, whole) in [("/until-close", true), ("/length", false), ("/chunked", false)] {
        let started = Instant::now();
        let asked = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(asked.as_bytes()).await.unwrap();
        if whole {
            // The connection may stay, as the proxy knows where the body ends.
            until(&mut stream, "piece\r\n0\r\n\r\n").await;
        } else {
            let mut answer = Vec::new();
            // A reset is as good an end as any.
            let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            // When nothing had been sent yet, the client can be told.
            let told = answer.starts_with("HTTP/1.1 502 ");
            let broken = answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("0\r\n\r\n");
            assert!(told || broken, "{answer}");
        }
        assert!(started.elapsed() < AT_ONCE, "{path}: {:?}", started.elapsed());
    }
}
