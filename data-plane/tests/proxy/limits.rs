//! How long things may take, and how much of them there may be.

use std::time::Duration;

use sluice_proto::v1;
use sluice_proxy::{Config, MemoryLimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::raw,
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, read_head},
};

const LONG: Duration = Duration::from_secs(10);

/// Reads a request and never answers.
async fn silent() -> Upstream {
    Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_504_also_without_a_rule() {
    let upstream = silent().await;
    let quick = |config: &mut Config| config.timeouts.response_head = Duration::from_millis(100);
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), quick).await;
    assert_eq!(edge.get("/").await.reason(), (504, "response_timeout"));
}

/// Everything that is said on `stream` until it ends, in whatever way.
async fn last_words(stream: &mut TcpStream) -> String {
    let mut told = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut told)).await.unwrap();
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn a_client_that_sends_its_head_too_slowly_is_dropped() {
    let mut site = Site::to(&[]);
    site.limits.head_timeout_ms = 100;
    let edge = Edge::start(&site).await;
    for start in ["", "PRI * HT"] {
        let mut stream = TcpStream::connect(edge.address).await.unwrap();
        // Its time has begun with the connection, and may be over by now.
        let _ = stream.write_all(start.as_bytes()).await;
        assert_eq!(last_words(&mut stream).await, "", "{start}");
    }
}

#[tokio::test]
async fn a_client_without_a_request_is_let_go() {
    let mut site = Site::to(&[]);
    site.limits.idle_timeout_ms = 100;
    let edge = Edge::start(&site).await;
    let answer = timeout(LONG, raw(edge.address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    assert!(answer.unwrap().contains("no_endpoints"));
}

#[tokio::test]
async fn an_upstream_connection_that_was_idle_for_long_is_closed() {
    let upstream = Upstream::saying("ok").await;
    let quick = |config: &mut Config| config.timeouts.upstream_idle = Duration::from_millis(1);
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), quick).await;
    edge.get("/").await;
    edge.metrics_with("sluice_upstream_idle_connections 0").await;
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed_at_once_and_counted() {
    let edge = Edge::start_with(&Site::to(&[]), |config| config.max_connections = 1).await;
    let mut client = edge.client().await;
    client.get("/").await;
    assert_eq!(timeout(LONG, raw(edge.address, "")).await.unwrap(), "");
    assert_eq!(client.get("/").await.status.as_u16(), 503);
    let metrics = edge.admin("/metrics").await.body;
    assert!(
        metrics.contains("\nsluice_connections_refused_total 1\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_port_with_too_many_connections_turns_the_next_one_away() {
    let mut site = Site::to(&[]);
    site.limits.connections = 1;
    let edge = Edge::start(&site).await;
    let mut client = edge.client().await;
    client.get("/").await;
    let answer = timeout(LONG, raw(edge.address, "")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    edge.metrics_with("sluice_connections_over_limit_total{listener=\"listener/default/edge/http\"} 1")
        .await;
    drop(client);
    edge.metrics_with("sluice_connections 0").await;
    assert_eq!(edge.get("/").await.reason(), (503, "no_endpoints"));
}

#[tokio::test]
async fn a_client_with_too_many_connections_is_turned_away() {
    let mut site = Site::to(&[]);
    site.limits.connections_per_client = 1;
    let edge = Edge::start(&site).await;
    let mut client = edge.client().await;
    client.get("/").await;
    let answer = timeout(LONG, raw(edge.address, "")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[tokio::test]
async fn a_connection_ends_in_order_after_its_last_request() {
    let mut site = Site::to(&[]);
    site.limits.requests_per_connection = 2;
    let edge = Edge::start(&site).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let answers = timeout(LONG, raw(edge.address, &request.repeat(3)))
        .await
        .unwrap();
    assert_eq!(answers.matches("HTTP/1.1 503 ").count(), 2, "{answers}");
    assert_eq!(answers.matches("connection: close").count(), 1, "{answers}");
}

#[tokio::test]
async fn what_is_too_long_is_told_so() {
    let mut site = Site::to(&[]);
    site.limits.header_bytes = 300;
    site.limits.header_count = 4;
    site.limits.uri_bytes = 20;
    site.limits.body_bytes = 5;
    let edge = Edge::start(&site).await;
    let (long, many) = ("x".repeat(300), "a: b\r\n".repeat(4));
    for (request, reason) in [
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
            "431 Request Header Fields Too Large\r\nx-sluice-reason: head_too_long",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
            "431 Request Header Fields Too Large\r\nx-sluice-reason: too_many_headers",
        ),
        (
            "GET /x23456789012345678901 HTTP/1.1\r\nhost: a\r\n\r\n".into(),
            "414 URI Too Long\r\nx-sluice-reason: uri_too_long",
        ),
        (
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n123456".into(),
            "413 Payload Too Large\r\nx-sluice-reason: body_too_large",
        ),
    ] {
        let answer = timeout(LONG, raw(edge.address, &request)).await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {reason}")),
            "{request}: {answer}"
        );
        assert!(answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_cut_off_where_it_becomes_too_long() {
    let upstream = Upstream::echoing().await;
    let mut site = Site::to(&[&upstream.name()]);
    site.limits.body_bytes = 5;
    let edge = Edge::start(&site).await;
    let request =
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let answer = timeout(LONG, raw(edge.address, request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_408() {
    let upstream = silent().await;
    let mut site = Site::to(&[&upstream.name()]);
    site.limits.body_timeout_ms = 100;
    let edge = Edge::start(&site).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\n123";
    let answer = timeout(LONG, raw(edge.address, request)).await.unwrap();
    assert!(answer.contains("body_timeout"), "{answer}");
}

#[tokio::test]
async fn a_process_without_memory_refuses_new_work_and_lives() {
    let little = |config: &mut Config| config.memory = MemoryLimit::Bytes(1);
    let edge = Edge::start_with(&Site::to(&[]), little).await;
    let answer = timeout(LONG, raw(edge.address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let answer = answer.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"),
        "{answer}"
    );
    edge.metrics_with("sluice_request_errors_total{reason=\"overloaded\",fault=\"gateway\"} 1")
        .await;
}

#[tokio::test]
async fn a_path_that_grows_too_long_is_refused_and_not_sent_as_it_came() {
    let upstream = Upstream::echoing().await;
    let mut site = Site::to(&[&upstream.name()]);
    (site.limits.uri_bytes, site.limits.header_bytes) = (65_534, 80_000);
    site.rule.matches = vec![v1::Match {
        path: Some(v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: "/a".into(),
        }),
        ..v1::Match::default()
    }];
    site.rule.rewrite = Some(v1::Rewrite {
        path: Some(v1::PathEdit {
            edit: Some(v1::path_edit::Edit::Prefix("/abc".into())),
        }),
        ..v1::Rewrite::default()
    });
    let edge = Edge::start(&site).await;
    let path = format!("/a/{}", "x".repeat(65_531));
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = timeout(LONG, raw(edge.address, &request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 414 "), "{}", &answer[..200]);
}
