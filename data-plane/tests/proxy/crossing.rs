//! What HTTP/2 lets pass and HTTP/1 does not, and the other way around.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_LENGTH, COOKIE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full};
use tokio::io::AsyncReadExt as _;

use crate::{
    bodies::channel,
    client::{empty, raw, read},
    edge::Edge,
    http2::{connect, h2c},
    snapshot::Site,
    upstream::{Upstream, read_head, write},
};

#[tokio::test]
async fn cookies_that_http2_cut_into_crumbs_are_one_again() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut request = Request::get("http://a/").body(empty()).unwrap();
    for crumb in ["a=1", "b=2", "c=3"] {
        request
            .headers_mut()
            .append(COOKIE, HeaderValue::from_static(crumb));
    }
    let answer = read(connect(edge.address).await.send_request(request).await.unwrap()).await;
    assert!(
        answer.body.contains("\ncookie: a=1; b=2; c=3\n"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn what_http1_could_not_say_is_refused_over_http2_too() {
    let edge = Edge::start(&Site::to(&[])).await;
    let get = |uri: &str| Request::get(uri).body(empty()).unwrap();
    let with = |name: &[u8], value| {
        let mut request = get("http://a/");
        let name = HeaderName::from_lowercase(name).unwrap();
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        request
    };
    for (request, reason) in [
        (get("http://a/?\u{e4}"), (400, "bad_target")),
        (with(b"a\"b", "c"), (400, "bad_header_name")),
        (with(b"expect", "miracles"), (417, "bad_expectation")),
        (with(b"expect", "100-Continue"), (503, "no_endpoints")),
    ] {
        let asked = format!("{request:?}");
        let mut client = connect(edge.address).await;
        let answer = read(client.send_request(request).await.unwrap()).await;
        assert_eq!(answer.reason(), reason, "{asked}");
    }
}

#[tokio::test]
async fn an_answer_that_has_no_body_has_none_whatever_an_http2_upstream_sends() {
    let upstream = Upstream::http2(|request| async move {
        let status = request.uri().path()[1..].parse().unwrap();
        let mut response = Response::new(Full::from("HTTP/1.1 200 OK\r\n\r\nevil").boxed());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    })
    .await;
    let edge = Edge::start(&h2c(&upstream)).await;
    for status in [204, 304] {
        let request = format!(
            "GET /{status} HTTP/1.1\r\nhost: a\r\n\r\nGET /{status} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        );
        let answers = raw(edge.address, &request).await;
        assert!(!answers.contains("evil"), "{answers}");
        let heads = format!("HTTP/1.1 {status} ");
        assert_eq!(answers.matches(&heads).count(), 2, "{answers}");
        // Nor does an HTTP/2 client get it.
        let request = Request::get(format!("http://a/{status}")).body(empty()).unwrap();
        let answer = read(connect(edge.address).await.send_request(request).await.unwrap()).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (status, ""));
    }
}

#[tokio::test]
async fn a_length_that_an_answer_must_not_have_ends_here() {
    let upstream = Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        write(
            &mut stream,
            "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n",
        )
        .await;
        let _ = stream.read_u8().await;
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = Request::get("http://a/").body(empty()).unwrap();
    let answer = read(connect(edge.address).await.send_request(request).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers.get(CONTENT_LENGTH), None);
}

#[tokio::test]
async fn trailers_from_http2_are_those_that_may_be_any_both_ways() {
    fn trailers(name: &'static str) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        trailers.insert(name, HeaderValue::from_static("2"));
        trailers
    }
    let upstream = Upstream::http2(|request| async move {
        let asked = request.into_body().collect().await.unwrap();
        let asked = asked.trailers().unwrap();
        assert_eq!(asked.keys().collect::<Vec<_>>(), ["x-sum"]);
        let (frames, body) = channel();
        frames
            .send(Ok(Frame::trailers(trailers("set-cookie"))))
            .await
            .unwrap();
        Response::new(body)
    })
    .await;
    let edge = Edge::start(&h2c(&upstream)).await;
    let (frames, body) = channel();
    let request = Request::post("http://a/").body(body).unwrap();
    let mut client = connect(edge.address).await;
    let sent = client.send_request(request);
    frames
        .send(Ok(Frame::trailers(trailers("authorization"))))
        .await
        .unwrap();
    let answer = read(sent.await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.trailers.unwrap().keys().collect::<Vec<_>>(), ["x-sum"]);
}

#[tokio::test]
async fn what_only_proxies_say_is_not_taken_from_a_client_in_any_spelling() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nX_Forwarded_Client-Cert: Subject=\"CN=admin\"\r\n\
        x_forwarded_for: 192.0.2.9\r\nx-forwarded_proto: https\r\nx-forwarded-client-cert: By=me\r\n\r\n";
    let answer = raw(edge.address, request).await;
    assert!(
        answer.ends_with("\nhost: a\nx-forwarded-for: 127.0.0.1\nx-forwarded-proto: http"),
        "{answer}"
    );
}
