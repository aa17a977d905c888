//! Bodies as they pass: piece by piece, with trailers, and given up.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future::pending, stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get, request};
use sluice_tests::manifest::{HOST, backend, backend_with, gateway, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::{Body, Upstream, full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

/// Where the proxy takes traffic for one upstream under these names of `.example.com`: `http1`
/// and `h2c`, by what is spoken to it.
async fn through(upstream: &Upstream) -> (Site, SocketAddr) {
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        backend("http1", &[upstream.address]),
        backend_with("h2c", &[upstream.address], &json!({"protocol": "h2c"})),
        route_to("http1", "http1.example.com", "http1"),
        route_to("h2c", "h2c.example.com", "h2c"),
        route_to("shop", HOST, "http1"),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    (site, address)
}

/// A body of what comes through the channel, without a length.
fn from_channel() -> (mpsc::Sender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let body = StreamBody::new(ReceiverStream::new(receiver).map(Ok::<_, std::io::Error>));
    (sender, body.boxed_unsync())
}

/// The upstream answers each piece before the next one is sent, so whoever holds a piece back
/// stops the exchange.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pieces_and_trailers_pass_both_ways_as_they_come() {
    let upstream = Upstream::serve(async |request: Request<hyper::body::Incoming>, _| {
        let body = request.into_body().map_err(std::io::Error::other);
        Ok(Response::new(body.boxed_unsync()))
    })
    .await
    .unwrap();
    let (_site, address) = through(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        for host in ["http1.example.com", "h2c.example.com"] {
            let (pieces, body) = from_channel();
            let asked = Request::post(format!("http://{host}/"))
                .header("trailer", "x-sum")
                .header("te", "trailers")
                .body(body)
                .unwrap();
            let mut connection = Connection::open(address, protocol).await.unwrap();
            pieces.send(Frame::data("piece 0".into())).await.unwrap();
            let mut answer = connection.start(asked).await.unwrap().into_body();
            for number in 0..4 {
                let expected = format!("piece {number}");
                let mut piece = Vec::new();
                while piece.len() < expected.len() {
                    let frame = timeout(SOON, answer.frame()).await.unwrap().unwrap().unwrap();
                    piece.extend_from_slice(frame.data_ref().unwrap());
                }
                assert_eq!(piece, expected.as_bytes());
                let next = format!("piece {}", number + 1);
                pieces.send(Frame::data(next.into())).await.unwrap();
            }
            let sum = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("5"))]);
            pieces.send(Frame::trailers(sum)).await.unwrap();
            drop(pieces);
            let rest = timeout(SOON, answer.collect()).await.unwrap().unwrap();
            let trailers = rest.trailers().cloned();
            assert_eq!(rest.to_bytes(), "piece 4");
            if protocol == Protocol::H2c && host == "h2c.example.com" {
                assert_eq!(trailers.unwrap()["x-sum"], "5");
            }
        }
    }
}

/// Says that it was dropped.
struct Guard(mpsc::Sender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_gives_up_ends_the_upstreams_work() {
    let (started, mut starts) = mpsc::channel(1);
    let (dropped, mut drops) = mpsc::channel(1);
    let upstream = Upstream::serve(move |asked: Request<_>, _| {
        let (started, guard) = (started.clone(), Guard(dropped.clone()));
        async move {
            started.send(()).await?;
            if asked.uri().path() == "/head" {
                pending::<()>().await;
            }
            // The guard lives as long as the body does.
            let endless = stream::unfold(guard, async |guard| {
                let piece = Frame::data(Bytes::from_static(&[0; 1024]));
                tokio::task::yield_now().await;
                Some((Ok::<_, Infallible>(piece), guard))
            });
            let body = StreamBody::new(endless).map_err(|never| match never {});
            Ok(Response::new(body.boxed_unsync()))
        }
    })
    .await
    .unwrap();
    let (_site, address) = through(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        for host in ["http1.example.com", "h2c.example.com"] {
            for path in ["/head", "/body"] {
                let mut connection = Connection::open(address, protocol).await.unwrap();
                let asked = connection.start(get(host, path));
                if path == "/head" {
                    tokio::select! {
                        answer = asked => panic!("an answer: {answer:?}"),
                        _ = starts.recv() => {}
                    }
                } else {
                    let mut answer = asked.await.unwrap();
                    starts.recv().await.unwrap();
                    answer.frame().await.unwrap().unwrap();
                }
                drop(connection);
                let ended = timeout(Duration::from_secs(5), drops.recv()).await;
                assert!(ended.is_ok(), "{protocol:?} to {host}{path}: still running");
            }
        }
    }
}

/// A client that does not read holds the upstream back: what is on the way is bounded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_upstream_down() {
    const PIECE: usize = 64 * 1024;
    let (made, mut count) = mpsc::channel::<()>(100_000);
    let upstream = Upstream::serve(move |_, _| {
        let made = made.clone();
        async move {
            let endless = stream::repeat_with(move || {
                let _ = made.try_send(());
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[0; PIECE])))
            });
            let body = StreamBody::new(endless).map_err(|never| match never {});
            Ok(Response::new(body.boxed_unsync()))
        }
    })
    .await
    .unwrap();
    let (_site, address) = through(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let mut stream = None;
        let mut answer = None;
        if protocol == Protocol::Http1 {
            // hyper's client would read ahead.
            let mut open = TcpStream::connect(address).await.unwrap();
            let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            open.write_all(head.as_bytes()).await.unwrap();
            stream = Some(open);
        } else {
            let mut connection = Connection::open(address, protocol).await.unwrap();
            let body = connection.start(get(HOST, "/")).await.unwrap();
            answer = Some((connection, body));
        }
        let mut pieces = 0;
        while let Ok(Some(())) = timeout(Duration::from_millis(500), count.recv()).await {
            pieces += 1;
            assert!(
                pieces * PIECE < 64 << 20,
                "{protocol:?}: {pieces} pieces on the way"
            );
        }
        assert!(pieces > 0);
        drop((stream, answer));
        while timeout(Duration::from_millis(200), count.recv()).await.is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_decides_about_100_continue() {
    let upstream = Upstream::serve(async |asked: Request<hyper::body::Incoming>, _| {
        if asked.uri().path() == "/no" {
            return Ok(Response::builder().status(403).body(full("no"))?);
        }
        let body = asked.into_body().collect().await?.to_bytes();
        Ok(Response::new(full(body)))
    })
    .await
    .unwrap();
    let (_site, address) = through(&upstream).await;

    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = |path| {
        format!("POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    };
    stream.write_all(head("/yes").as_bytes()).await.unwrap();
    assert_eq!(
        until(&mut stream, "\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"body").await.unwrap();
    let answer = until(&mut stream, "\r\n\r\nbody").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head("/no").as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 100"),
        "{answer}"
    );
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = timeout(SOON, stream.read_u8()).await;
        let byte = byte.unwrap_or_else(|_| panic!("only {:?}", String::from_utf8_lossy(&text)));
        text.push(byte.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_body_does_not_disturb_the_next() {
    let upstream = Upstream::serve(async |asked: Request<_>, _| {
        let answer = Response::builder();
        Ok(match asked.uri().path() {
            "/204" => answer.status(204).body(full(""))?,
            "/304" => answer.status(304).header("etag", "\"a\"").body(full(""))?,
            // Over HTTP/2, hyper sends to HEAD whatever body it is given.
            _ if asked.method() == Method::HEAD => answer.header("content-length", 12).body(full(""))?,
            _ => answer.body(full("twelve bytes"))?,
        })
    })
    .await
    .unwrap();
    let (_site, address) = through(&upstream).await;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        for host in ["http1.example.com", "h2c.example.com"] {
            let mut connection = Connection::open(address, protocol).await.unwrap();
            for (method, path, status, length, body) in [
                ("HEAD", "/200", 200, "12", ""),
                ("GET", "/204", 204, "", ""),
                ("GET", "/304", 304, "", ""),
                ("HEAD", "/304", 304, "", ""),
                ("GET", "/200", 200, "12", "twelve bytes"),
            ] {
                let asked = request(method.parse().unwrap(), host, path, &[]);
                let answer = connection.send(asked).await;
                let answer =
                    answer.unwrap_or_else(|error| panic!("{protocol:?} {host} {method} {path}: {error:#}"));
                assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
                assert_eq!(
                    answer.header("content-length"),
                    length,
                    "{method} {path}: {answer:?}"
                );
                assert_eq!(answer.body, body, "{method} {path}");
                if path == "/304" {
                    assert_eq!(answer.header("etag"), "\"a\"");
                }
            }
        }
    }
}
