//! HTTP/2 without TLS, in and out.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sluice_proto::v1::backend::Protocol;
use tokio::{io::AsyncReadExt as _, net::TcpStream, task::JoinSet, time::timeout};

use crate::{
    bodies::channel,
    client::{Body, empty, full, raw, read},
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, describe, read_head, write},
};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let builder = Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn h2c(upstream: &Upstream) -> Site {
    let mut site = Site::to(&[&upstream.name()]);
    site.backend.protocol = Protocol::H2c.into();
    site
}

#[tokio::test]
async fn http2_comes_in_and_http1_goes_out() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = connect(edge.address).await;
    let mut requests = JoinSet::new();
    for number in 0..20 {
        let request = Request::get(format!("http://shop.example/{number}"))
            .body(empty())
            .unwrap();
        let sent = client.send_request(request);
        requests.spawn(async move { (number, read(sent.await.unwrap()).await) });
    }
    while let Some(answered) = requests.join_next().await {
        let (number, answer) = answered.unwrap();
        let expected =
            format!("GET /{number}\nhost: shop.example\nx-forwarded-for: 127.0.0.1\nx-forwarded-proto: http");
        assert_eq!(answer.body, expected);
    }
}

#[tokio::test]
async fn http1_comes_in_and_http2_goes_out() {
    let upstream = Upstream::http2(|request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        Response::new(describe(&request))
    })
    .await;
    let edge = Edge::start(&h2c(&upstream)).await;
    let answer = edge.get("/a?b").await;
    let expected = "GET http://shop.example/a?b\nx-forwarded-for: 127.0.0.1\nx-forwarded-proto: http";
    assert_eq!(answer.body, expected);
    assert!(edge.get("/").await.status.is_success());
}

#[tokio::test]
async fn many_requests_share_one_connection_to_an_http2_upstream() {
    let upstream = Upstream::http2(|_| async { Response::new(full("ok")) }).await;
    let edge = Edge::start(&h2c(&upstream)).await;
    let mut client = connect(edge.address).await;
    let mut requests = JoinSet::new();
    for _ in 0..50 {
        let sent = client.send_request(Request::get("http://a/").body(empty()).unwrap());
        requests.spawn(async move { read(sent.await.unwrap()).await.body });
    }
    while let Some(body) = requests.join_next().await {
        assert_eq!(body.unwrap(), "ok");
    }
    let metrics = edge.admin("/metrics").await.body;
    assert!(
        metrics.contains("\nsluice_upstream_connects_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn grpc_passes_from_end_to_end() {
    let upstream = Upstream::http2(|request| async move {
        assert_eq!(request.headers()["te"], "trailers");
        let (frames, body) = channel();
        tokio::spawn(async move {
            let asked = request.into_body().collect().await.unwrap().to_bytes();
            frames.send(Ok(Frame::data(asked))).await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            frames.send(Ok(Frame::trailers(trailers))).await.unwrap();
        });
        Response::new(body)
    })
    .await;
    let edge = Edge::start(&h2c(&upstream)).await;
    let request = Request::post("http://shop.example/pkg.Service/Call")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(full("\0\0\0\0\x02hi"))
        .unwrap();
    let answer = read(connect(edge.address).await.send_request(request).await.unwrap()).await;
    assert_eq!(answer.body, "\0\0\0\0\x02hi");
    assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn a_body_without_a_length_becomes_chunked() {
    let upstream = Upstream::http1(|request| async move {
        assert_eq!(request.headers()["transfer-encoding"], "chunked");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(http_body_util::Full::new(body).boxed())
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = connect(edge.address).await;
    let (frames, body) = channel();
    let sent = client.send_request(Request::post("http://a/").body(body).unwrap());
    for text in ["a", "b"] {
        frames.send(Ok(Frame::data(Bytes::from(text)))).await.unwrap();
    }
    drop(frames);
    assert_eq!(read(sent.await.unwrap()).await.body, "ab");
}

#[tokio::test]
async fn a_body_that_stops_on_its_way_to_an_http2_upstream_is_given_up() {
    let upstream = Upstream::http2(|request| async move {
        let whole = request.into_body().collect().await;
        Response::new(full(if whole.is_ok() { "whole" } else { "broken" }))
    })
    .await;
    let mut site = h2c(&upstream);
    site.limits.body_timeout_ms = 100;
    let edge = Edge::start(&site).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nsome";
    let told = timeout(PATIENCE, raw(edge.address, head)).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[tokio::test]
async fn an_early_answer_of_an_http2_upstream_leaves_the_next_body_whole() {
    let upstream = Upstream::http2(|request| async move {
        match request.uri().path() {
            "/early" => Response::new(full("early")),
            _ => {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Response::new(http_body_util::Full::new(body).boxed())
            }
        }
    })
    .await;
    let edge = Edge::start(&h2c(&upstream)).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let post = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n");
    for _ in 0..20 {
        write(&mut stream, &format!("{}1234", post("/early"))).await;
        let head = read_head(&mut stream).await;
        assert!(
            head.starts_with("HTTP/1.1 200 ") && !head.contains("close"),
            "{head}"
        );
        assert_eq!(exactly(&mut stream, 5).await, "early");
        write(&mut stream, &format!("5678{}abcdefgh", post("/"))).await;
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200 "));
        assert_eq!(exactly(&mut stream, 8).await, "abcdefgh");
    }
}

async fn exactly(stream: &mut TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes).unwrap()
}
