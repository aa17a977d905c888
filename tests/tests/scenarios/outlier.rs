//! Endpoints that fail, and connections that died in the pool.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::bail;
use http::Method;
use serde_json::{Value, json};
use sluice_tests::client::{Connection, Protocol, request};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, backend_with, gateway, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An upstream that ends every connection at the first request, and how many it got.
async fn failing() -> (Upstream, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let upstream = Upstream::serve(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { bail!("fails") }
    })
    .await
    .unwrap();
    (upstream, count)
}

fn pair(endpoints: &[SocketAddr]) -> Value {
    let outlier = json!({"consecutiveFailures": 3, "baseEjectionTime": "60s"});
    backend_with("web", endpoints, &json!({"outlierDetection": outlier}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_fails_is_left_out_and_stays_out_over_a_swap() {
    let good = Upstream::echo("good").await.unwrap();
    let (bad, hits) = failing().await;
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        pair(&[good.address, bad.address]),
        route_to("shop", HOST, "web"),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    // POST is not tried again, so every failure is seen.
    let post = || request(Method::POST, HOST, "/", &[]);
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let mut failed = 0;
    for _ in 0..200 {
        match connection.send(post()).await.unwrap().status.as_u16() {
            200 => {}
            502 => failed += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(failed, 3, "failures until the ejection");
    assert_eq!(hits.load(Ordering::SeqCst), 3);
    let bad_address = bad.address.to_string();
    eventually("the fleet view tells", SOON, async || {
        let answer = site.rest().send(Method::GET, "/v1/fleet/edge-1", None).await?;
        let text = answer.body.to_string();
        anyhow::ensure!(
            text.contains(&bad_address) && text.to_lowercase().contains("ejected"),
            "{text}"
        );
        Ok(())
    })
    .await
    .unwrap();

    // The swap changes the Backend's endpoints around it.
    let third = Upstream::echo("third").await.unwrap();
    site.apply(&[pair(&[third.address, bad.address, good.address])])
        .await
        .unwrap();
    for _ in 0..200 {
        assert_eq!(connection.send(post()).await.unwrap().status, 200);
    }
    assert_eq!(hits.load(Ordering::SeqCst), 3, "the ejection was forgotten");
}

/// When every endpoint fails, trying them is better than refusing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_all_fail_are_still_tried() {
    let ((one, one_hits), (two, two_hits)) = (failing().await, failing().await);
    let site = Site::start(1).await.unwrap();
    site.apply(&[
        gateway(),
        pair(&[one.address, two.address]),
        route_to("shop", HOST, "web"),
    ])
    .await
    .unwrap();
    let mut connection = Connection::open(site.address().await.unwrap(), Protocol::Http1)
        .await
        .unwrap();
    for _ in 0..50 {
        let answer = connection
            .send(request(Method::POST, HOST, "/", &[]))
            .await
            .unwrap();
        assert_eq!(answer.status, 502, "{answer:?}");
    }
    let hits = one_hits.load(Ordering::SeqCst) + two_hits.load(Ordering::SeqCst);
    assert_eq!(hits, 50);
}

/// Answers one request, promising to keep the connection, and closes it.
async fn closing(mut stream: TcpStream) {
    let mut head = vec![0; 4096];
    let mut filled = 0;
    while let Ok(length @ 1..) = stream.read(&mut head[filled..]).await {
        filled += length;
        if head[..filled].ends_with(b"\r\n\r\n") {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await;
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_died_in_the_pool_is_nobodys_failure() {
    let upstream = Upstream::accept(closing).await.unwrap();
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let mut connection = Connection::open(site.address().await.unwrap(), Protocol::Http1)
        .await
        .unwrap();
    for number in 0..300 {
        let answer = connection
            .send(request(Method::GET, HOST, "/", &[]))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "request {number}: {answer:?}");
    }
}
