//! Bodies, streamed both ways.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    client::{Body, full, read},
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, read_head, write},
};

type Frames = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// A body that a test writes frame by frame.
pub(crate) fn channel() -> (Frames, Body) {
    let (frames, received) = mpsc::channel(1);
    (frames, StreamBody::new(ReceiverStream::new(received)).boxed())
}

/// Sends back the request's body and trailers as they come.
async fn mirror() -> Upstream {
    Upstream::http1(|request| async move {
        let mut response = Response::new(());
        if let Some(trailer) = request.headers().get("trailer") {
            response.headers_mut().insert("trailer", trailer.clone());
        }
        let (frames, body) = channel();
        tokio::spawn(async move {
            let mut inbound = request.into_body();
            while let Some(Ok(frame)) = inbound.frame().await {
                if frames.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        });
        response.map(|()| body)
    })
    .await
}

#[tokio::test]
async fn frames_pass_one_by_one_both_ways_and_trailers_after_them() {
    let upstream = mirror().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = edge.client().await;
    let (frames, body) = channel();
    let request = Request::post("/")
        .header("host", "a")
        .header("te", "trailers")
        .header("trailer", "x-sum")
        .body(body)
        .unwrap();
    // The answer's head comes before the request's body has ended.
    let sent = client.0.send_request(request);
    frames.send(Ok(Frame::data("one".into()))).await.unwrap();
    let mut response = timeout(Duration::from_secs(10), sent).await.unwrap().unwrap();
    for text in ["one", "two", "three"] {
        if text != "one" {
            frames.send(Ok(Frame::data(text.into()))).await.unwrap();
        }
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("3"));
    frames.send(Ok(Frame::trailers(trailers))).await.unwrap();
    drop(frames);
    let rest = read(response).await;
    assert_eq!(rest.trailers.unwrap()["x-sum"], "3");
}

#[tokio::test]
async fn bodies_of_known_length_keep_it() {
    let upstream = Upstream::http1(|request| async move {
        let length = request.headers()["content-length"].clone();
        assert!(!request.headers().contains_key("transfer-encoding"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = Response::new(http_body_util::Full::new(body).boxed());
        response.headers_mut().insert("x-length", length);
        response
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = Request::put("/").header("host", "a").body(full("hello")).unwrap();
    let answer = edge.client().await.send(request).await;
    assert_eq!((&*answer.body, answer.header("x-length")), ("hello", "5"));
    assert_eq!(answer.header("content-length"), "5");
}

#[tokio::test]
async fn a_body_on_get_is_passed_on() {
    let upstream = mirror().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let (frames, body) = channel();
    let request = Request::get("/")
        .header("host", "a")
        .header("transfer-encoding", "chunked");
    let mut client = edge.client().await;
    let sent = client.0.send_request(request.body(body).unwrap());
    frames.send(Ok(Frame::data("query".into()))).await.unwrap();
    drop(frames);
    assert_eq!(read(sent.await.unwrap()).await.body, "query");
}

#[tokio::test]
async fn a_client_that_waits_to_continue_is_told_to() {
    let upstream = Upstream::http1(|request| async move {
        assert!(!request.headers().contains_key("expect"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(http_body_util::Full::new(body).boxed())
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    write(
        &mut stream,
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 100 "));
    write(&mut stream, "body").await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("body"),
        "{answer}"
    );
}

#[tokio::test]
async fn informational_answers_stay_here() {
    let upstream = Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        read_head(&mut stream).await;
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let answer = edge.get("/").await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, "ok"));
}

#[tokio::test]
async fn a_slow_client_slows_the_upstream_down() {
    let (written, mut progress) = mpsc::channel(10_000);
    let upstream = Upstream::start(move |mut stream| {
        let written = written.clone();
        async move {
            read_head(&mut stream).await;
            write(
                &mut stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n",
            )
            .await;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() && written.send(65_536u64).await.is_ok() {}
        }
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    write(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_head(&mut stream).await;
    // Nothing is read: what the upstream can write is what sockets and buffers hold.
    let mut total = 0;
    while let Ok(Some(bytes)) = timeout(Duration::from_millis(500), progress.recv()).await {
        total += bytes;
    }
    assert!(total < 64 * 1024 * 1024, "{total} bytes went nowhere");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let (left, mut gone) = mpsc::channel(2);
    let upstream = Upstream::start(move |mut stream| {
        let left = left.clone();
        async move {
            read_head(&mut stream).await;
            left.send(()).await.unwrap();
            // Returns when the proxy closes.
            let _ = stream.read_u8().await;
            left.send(()).await.unwrap();
        }
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    write(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    gone.recv().await.unwrap();
    drop(stream);
    timeout(Duration::from_secs(5), gone.recv())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let (answered, seen) = mpsc::channel::<()>(1);
    let seen = std::sync::Arc::new(tokio::sync::Mutex::new(seen));
    let upstream = Upstream::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            read_head(&mut stream).await;
            write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
            seen.lock().await.recv().await;
        }
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = edge.client().await;
    let request = Request::get("/")
        .header("host", "a")
        .body(crate::client::empty())
        .unwrap();
    let response = client.0.send_request(request).await.unwrap();
    answered.send(()).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    let metrics = edge.admin("/metrics").await.body;
    let line = "sluice_request_errors_total{reason=\"upstream_truncated\",fault=\"upstream\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_any_of_it_went_out_is_502() {
    let upstream = Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        write(
            &mut stream,
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfive\r\n",
        )
        .await;
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    assert_eq!(edge.get("/").await.reason(), (502, "upstream_malformed"));
    assert_eq!(edge.get("/").await.reason(), (502, "upstream_malformed"));
}
