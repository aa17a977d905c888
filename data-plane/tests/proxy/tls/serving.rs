//! TLS at the edge.

use http::{Request, StatusCode, header::HOST};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::AlertDescription;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    authority::{Authority, named},
    peer::{client, connect, http1, shown},
    wire::{beside, certificate, secured},
};
use crate::{
    client::{Client, empty, read},
    edge::Edge,
    snapshot::Site,
    upstream::Upstream,
};

fn get(host: &str) -> Request<crate::client::Body> {
    Request::get("/").header(HOST, host).body(empty()).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_served_and_the_upstream_is_told() {
    let (root, upstream) = (Authority::root("root"), Upstream::echoing().await);
    let site = secured(
        Site::to(&[&upstream.name()]),
        root.issue(named(&["shop.example"])),
    );
    let edge = Edge::start(&site).await;
    let mut first = http1(&client(&root, &["http/1.1"], None), edge.address, "shop.example").await;
    let request = Request::get("/")
        .header(HOST, "shop.example")
        .header("x-forwarded-client-cert", "Hash=0;Subject=\"CN=root\"")
        .body(empty())
        .unwrap();
    let answer = first.send(request).await;
    assert!(
        answer.body.contains("x-forwarded-proto: https"),
        "{}",
        answer.body
    );
    assert!(
        !answer.body.contains("x-forwarded-client-cert"),
        "{}",
        answer.body
    );
    assert_eq!(first.get("/").await.status, StatusCode::OK);

    let stream = connect(&client(&root, &["h2"], None), edge.address, "shop.example")
        .await
        .unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://shop.example/two").body(empty()).unwrap();
    let answer = read(sender.send_request(request).await.unwrap()).await;
    assert!(answer.body.starts_with("GET /two"), "{}", answer.body);
    edge.metrics_with("sluice_tls_handshakes_total{kind=\"full\"} 2")
        .await;
}

#[tokio::test]
async fn a_name_that_no_listener_has_is_refused_by_its_alert_and_so_is_what_is_no_tls() {
    let root = Authority::root("root");
    let mut site = secured(Site::to(&[]), root.issue(named(&["shop.example"])));
    site.hostname = "shop.example".into();
    let edge = Edge::start(&site).await;
    let config = client(&root, &[], None);
    let error = connect(&config, edge.address, "other.example").await.unwrap_err();
    let inner = error.into_inner().unwrap().downcast::<rustls::Error>().unwrap();
    assert_eq!(
        *inner,
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName)
    );
    assert!(connect(&config, edge.address, "SHOP.example").await.is_ok());
    let mut plain = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // It may end with a reset: part of what was sent was not read.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let metrics = edge
        .metrics_with("sluice_tls_handshake_failures_total{reason=\"not_tls\"} 1")
        .await;
    assert!(
        metrics.contains("failures_total{reason=\"unknown_name\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_host_of_another_listener_is_misdirected_and_one_of_none_has_no_route() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let issued = root.issue(named(&["a.example", "b.example"]));
    let mut site = secured(Site::to(&[&upstream.name()]), issued);
    site.hostname = "a.example".into();
    beside(&mut site, "b", "b.example");
    let edge = Edge::start(&site).await;
    let config = client(&root, &[], None);
    let mut a = http1(&config, edge.address, "a.example").await;
    assert_eq!(a.send(get("a.example")).await.body, "ok");
    let misdirected = a.send(get("b.example")).await;
    assert_eq!(misdirected.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(misdirected.headers["x-sluice-reason"], "misdirected");
    let mut b = http1(&config, edge.address, "b.example").await;
    assert_eq!(b.send(get("b.example")).await.body, "ok");
    assert_eq!(b.send(get("c.example")).await.status, StatusCode::NOT_FOUND);

    let stream = connect(&client(&root, &["h2"], None), edge.address, "b.example")
        .await
        .unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://a.example/").body(empty()).unwrap();
    let answer = read(sender.send_request(request).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    let request = Request::get("https://b.example/").body(empty()).unwrap();
    assert_eq!(read(sender.send_request(request).await.unwrap()).await.body, "ok");
}

#[tokio::test]
async fn a_listener_without_a_place_lets_nobody_shake_hands_while_others_do() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let issued = || root.issue(named(&["a.example", "b.example"]));
    let site = |issued, limit| {
        let mut site = secured(Site::to(&[&upstream.name()]), issued);
        site.hostname = "a.example".into();
        site.limits.connections = limit;
        beside(&mut site, "b", "b.example");
        site
    };
    let mut edge = Edge::start(&site(issued(), 1)).await;
    let config = client(&root, &[], None);
    let mut first = http1(&config, edge.address, "a.example").await;
    assert_eq!(first.send(get("a.example")).await.body, "ok");
    let refused = connect(&config, edge.address, "a.example").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::UnexpectedEof, "{refused}");
    let over_limit = "sluice_connections_over_limit_total{listener=\"listener/default/edge/http\"}";
    let metrics = edge.metrics_with(&format!("{over_limit} 1")).await;
    assert!(
        metrics.contains("failures_total{reason=\"over_limit\"} 1\n"),
        "{metrics}"
    );
    for _ in 0..3 {
        let mut other = http1(&config, edge.address, "b.example").await;
        assert_eq!(other.send(get("b.example")).await.body, "ok");
    }
    // Another certificate, and another limit: who is there is counted all the same.
    edge.apply(&site(issued(), 2)).await;
    let mut second = http1(&config, edge.address, "a.example").await;
    assert_eq!(second.send(get("a.example")).await.body, "ok");
    assert!(connect(&config, edge.address, "a.example").await.is_err());
    edge.metrics_with(&format!("{over_limit} 2")).await;
    drop(first);
    edge.metrics_with("sluice_connections 1").await;
    let mut third = http1(&config, edge.address, "a.example").await;
    assert_eq!(third.send(get("a.example")).await.body, "ok");
}

#[tokio::test]
async fn a_certificate_is_swapped_under_connections_that_stay() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let site = |issued| secured(Site::to(&[&upstream.name()]), issued);
    let issue = || root.issue(named(&["shop.example"]));
    let (old, new) = (issue(), issue());
    let (first, second) = (old.chain[0].clone(), new.chain[0].clone());
    let mut edge = Edge::start(&site(old)).await;
    let config = client(&root, &[], None);
    let before = connect(&config, edge.address, "shop.example").await.unwrap();
    assert_eq!(shown(&before), first);
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(before))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut before = Client(sender);
    assert_eq!(before.get("/").await.body, "ok");
    edge.apply(&site(new)).await;
    assert_eq!(before.get("/").await.body, "ok");
    // A client that knows nothing of the session before is shown the new one.
    let fresh = client(&root, &[], None);
    let after = connect(&fresh, edge.address, "shop.example").await.unwrap();
    assert_eq!(shown(&after), second);
}

#[tokio::test]
async fn a_key_that_does_not_fit_is_refused_whole_and_never_shown() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let plain = Site::to(&[&upstream.name()]);
    let good = secured(plain.clone(), root.issue(named(&["shop.example"])));
    let mut edge = Edge::start(&good).await;
    let mut mixed = root.issue(named(&["shop.example"]));
    mixed.key = root.issue(named(&["shop.example"])).key;
    let mut bad = good.clone();
    bad.more = vec![certificate("web", mixed)];
    edge.control
        .send(&crate::snapshot::update(&edge.snapshot, &bad))
        .await;
    let nack = edge.control.nack().await;
    assert_eq!(nack.violations[0].resource, "certificate/default/web");
    assert_eq!(nack.violations[0].field, "private_key");
    assert_eq!(
        nack.violations[0].message,
        "is not the key of the first certificate"
    );
    let config = client(&root, &[], None);
    let mut client = http1(&config, edge.address, "shop.example").await;
    assert_eq!(client.get("/").await.body, "ok");
    let shown = edge.admin("/config").await.body;
    assert!(
        !shown.contains("BEGIN") && !shown.contains("certificate/"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_handshake_that_does_not_get_on_is_given_up_and_counted() {
    let root = Authority::root("root");
    let mut site = secured(Site::to(&[]), root.issue(named(&["shop.example"])));
    site.limits.head_timeout_ms = 1;
    let edge = Edge::start(&site).await;
    let mut silent = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    silent.write_all(&[22, 3, 1]).await.unwrap();
    let mut answer = Vec::new();
    // It may end with a reset: what was sent was not understood.
    let _ = silent.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
    edge.metrics_with("sluice_tls_handshake_failures_total{reason=\"timeout\"} 1")
        .await;
}
