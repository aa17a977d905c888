//! Slow clients (slowhttptest) take nothing from the others: requests are answered all the time, and
//! the slow ones are let go.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sluice_proto::v1;
use sluice_tests::client::{get, send};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::HOST;
use sluice_tests::process::{Process, command};
use sluice_tests::upstream::{Upstream, full};

use crate::limits::Limited;

/// Slow connections at a time.
const CONNECTIONS: u32 = 60;

/// Seconds after which slowhttptest ends, whatever became of its connections.
const SECONDS: u64 = 15;

/// Longest wait for an answer while the others are slow.
const ANSWER: Duration = Duration::from_secs(2);

/// Larger than what a socket's buffers take.
static LARGE: [u8; 16 << 20] = [0; 16 << 20];

fn limits() -> v1::Limits {
    v1::Limits {
        head_timeout_ms: 2_000,
        body_timeout_ms: 2_000,
        idle_timeout_ms: 2_000,
        body_min_rate: 1_000,
        response_min_rate: 100_000,
        ..v1::Limits::default()
    }
}

/// Starts slowhttptest on `path`, asks without a pause while it runs, and sees its connections go.
async fn under_attack(path: &str, options: &[&str]) -> Limited {
    let upstream = Upstream::serve(async |asked: Request<Incoming>, _| {
        let large = asked.uri().path() == "/large";
        asked.into_body().collect().await?;
        Ok(Response::new(match large {
            true => full(Bytes::from_static(&LARGE)),
            false => full("small"),
        }))
    });
    let upstream = upstream.await.unwrap();
    let limited = Limited::start(upstream.address, limits(), &[]).await;
    let mut slow = command("slowhttptest");
    slow.args(["-c", &CONNECTIONS.to_string(), "-r", &CONNECTIONS.to_string()]);
    slow.args(["-l", &SECONDS.to_string(), "-p", "3", "-i", "1"]);
    slow.args(options);
    slow.args(["-u", &format!("http://{}{path}", limited.address)]);
    let mut slow = Process::spawn("slowhttptest", slow).unwrap();

    let started = Instant::now();
    let mut answers = 0;
    let mut most = 0.0_f64;
    while slow.exited().is_none() {
        assert!(
            started.elapsed() < Duration::from_secs(SECONDS + 10),
            "{}",
            slow.log()
        );
        let answer = tokio::time::timeout(ANSWER, send(limited.address, get(HOST, "/"))).await;
        let answer = answer.expect("an answer in time").unwrap();
        assert_eq!(answer.body, "small");
        answers += 1;
        let open = limited.proxy.metric("sluice_connections", &[]).await.unwrap();
        most = most.max(open);
    }
    assert!(
        most >= f64::from(CONNECTIONS) / 2.0,
        "only {most} connections came: {}",
        slow.log()
    );
    assert!(answers >= 10, "only {answers} answers");
    eventually("the slow ones have gone", Duration::from_secs(10), async || {
        let open = limited.proxy.metric("sluice_connections", &[]).await?;
        ensure!(open < 2.0, "{open} connections");
        Ok(())
    })
    .await
    .with_context(|| slow.log())
    .unwrap();
    limited
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_keep_nobody_waiting() {
    let limited = under_attack("/", &["-H", "-x", "24"]).await;
    limited.counted("head_timeout", CONNECTIONS / 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_bodies_keep_nobody_waiting() {
    let limited = under_attack("/", &["-B", "-s", "8192", "-x", "10"]).await;
    limited.counted("body_too_slow", CONNECTIONS / 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_keep_nobody_waiting() {
    under_attack(
        "/large",
        &["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-k", "1"],
    )
    .await;
}
