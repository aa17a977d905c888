//! What is sent a second time, and what is not.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::Request;

use crate::{
    client::{Client, empty, full},
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, nobody, read_head, write},
};

/// Answers the first request of a connection; closes at the second, after reading its head.
/// Counts the heads that it reads.
async fn dying() -> (Upstream, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heads);
    let upstream = Upstream::start(move |mut stream| {
        let heads = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            heads.fetch_add(1, Ordering::SeqCst);
            write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            if !read_head(&mut stream).await.is_empty() {
                heads.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    (upstream, heads)
}

async fn edge_to(upstreams: &[&str]) -> (Edge, Client) {
    let edge = Edge::start(&Site::to(upstreams)).await;
    let client = edge.client().await;
    (edge, client)
}

#[tokio::test]
async fn a_get_on_a_kept_connection_that_dies_is_sent_again_on_a_new_one() {
    let (upstream, heads) = dying().await;
    let (_edge, mut client) = edge_to(&[&upstream.name()]).await;
    assert_eq!(client.get("/").await.body, "ok");
    assert_eq!(client.get("/").await.body, "ok");
    assert_eq!(heads.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_post_that_was_written_is_not_sent_again() {
    let (upstream, heads) = dying().await;
    let (_edge, mut client) = edge_to(&[&upstream.name()]).await;
    client.get("/").await;
    let request = Request::post("/").header("host", "a").body(empty()).unwrap();
    assert_eq!(client.send(request).await.reason(), (502, "upstream_reset"));
    assert_eq!(heads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_put_whose_body_was_touched_is_not_sent_again() {
    let (upstream, heads) = dying().await;
    let (_edge, mut client) = edge_to(&[&upstream.name()]).await;
    client.get("/").await;
    let request = Request::put("/").header("host", "a").body(full("body")).unwrap();
    assert_eq!(client.send(request).await.reason(), (502, "upstream_reset"));
    assert_eq!(heads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_get_on_a_new_connection_that_dies_is_not_sent_again() {
    let heads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heads);
    let upstream = Upstream::start(move |mut stream| {
        let heads = Arc::clone(&counted);
        async move {
            read_head(&mut stream).await;
            heads.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let (_edge, mut client) = edge_to(&[&upstream.name()]).await;
    assert_eq!(client.get("/").await.reason(), (502, "upstream_reset"));
    assert_eq!(heads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_cannot_connect_goes_to_another_endpoint_whatever_the_method() {
    let upstream = Upstream::saying("alive").await;
    let (edge, mut client) = edge_to(&[&nobody(), &upstream.name()]).await;
    for _ in 0..20 {
        let request = Request::post("/").header("host", "a").body(full("body")).unwrap();
        assert_eq!(client.send(request).await.body, "alive");
    }
    drop(edge);
}
