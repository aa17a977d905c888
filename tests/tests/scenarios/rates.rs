//! Minimum rates: whoever is slower than a listener allows is let go, however regularly something comes;
//! whoever is faster is served, however long it takes.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sluice_proto::v1;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::HOST;
use sluice_tests::upstream::{Upstream, full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{interval, timeout};

use crate::limits::Limited;

/// Between two pieces: far below what a body may pause.
const TICK: Duration = Duration::from_millis(100);
/// An average says something after 5 seconds, so whoever is fast enough goes on for longer.
const TICKS: usize = 60;
/// Longest wait for an end.
const END: Duration = Duration::from_secs(30);

/// Bytes per second that a request's body has to come with.
const SENT: usize = 10_000;
/// Bytes per second that an answer has to be taken with: so many that what the sockets' buffers take at
/// once, some megabytes, makes no slow reader fast.
const TAKEN: usize = 4_000_000;

/// Bytes of a piece at this many times `rate`.
fn piece(rate: usize, times: f64) -> usize {
    (rate as f64 * times * TICK.as_secs_f64()) as usize
}

async fn limited(upstream: &Upstream) -> Limited {
    let limits = v1::Limits {
        body_min_rate: SENT as u64,
        response_min_rate: TAKEN as u64,
        ..v1::Limits::default()
    };
    Limited::start(upstream.address, limits, &[]).await
}

/// Posts `TICKS` pieces, one each tick; all that comes back.
async fn post(limited: &Limited, piece: usize) -> String {
    let stream = TcpStream::connect(limited.address).await.unwrap();
    let (mut answers, mut stream) = stream.into_split();
    let send = async {
        let length = piece * TICKS;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut ticks = interval(TICK);
        for _ in 0..TICKS {
            ticks.tick().await;
            stream.write_all(&vec![b'x'; piece]).await?;
        }
        std::io::Result::Ok(())
    };
    let mut answer = String::new();
    let exchange = async { tokio::join!(send, answers.read_to_string(&mut answer)) };
    // Whoever is let go may find that out by writing.
    let (_, read) = timeout(END, exchange).await.expect("an end");
    read.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_below_the_minimum_rate_is_cut_and_one_above_it_arrives() {
    let upstream = Upstream::serve(async |asked: Request<Incoming>, _| {
        let body = asked.into_body().collect().await?.to_bytes();
        Ok(Response::new(full(body.len().to_string())))
    });
    let upstream = upstream.await.unwrap();
    let limited = limited(&upstream).await;
    let fast = piece(SENT, 3.0);
    let (slow, fast_answer) = tokio::join!(post(&limited, piece(SENT, 0.5)), post(&limited, fast));
    assert!(slow.starts_with("HTTP/1.1 408 "), "{slow}");
    assert!(slow.contains("x-sluice-reason: body_too_slow\r\n"), "{slow}");
    assert!(slow.contains("connection: close\r\n"), "{slow}");
    limited.counted("body_too_slow", 1).await;
    assert!(fast_answer.starts_with("HTTP/1.1 200 "), "{fast_answer}");
    assert!(
        fast_answer.ends_with(&(fast * TICKS).to_string()),
        "{fast_answer}"
    );
}

/// Asks for `length` bytes and takes a piece each tick, until all is there or `until` says that it is over;
/// then takes the rest at once. How many bytes came.
async fn take(limited: &Limited, length: usize, piece: usize, until: impl Future<Output = ()>) -> usize {
    let socket = TcpSocket::new_v4().unwrap();
    // What waits in here counts as taken.
    socket.set_recv_buffer_size(64 << 10).unwrap();
    let mut stream = socket.connect(limited.address).await.unwrap();
    let head = format!("GET /{length} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut taken = 0;
    let mut buffer = vec![0; piece];
    let paced = async {
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            let mut room = &mut buffer[..];
            while !room.is_empty() {
                match stream.read(room).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => {
                        taken += read;
                        room = &mut room[read..];
                    }
                }
            }
        }
    };
    tokio::select! {
        () = paced => {}
        () = until => {}
    }
    let mut rest = Vec::new();
    // A connection that was reset has no end in good order.
    let _ = timeout(END, stream.read_to_end(&mut rest)).await.expect("an end");
    taken + rest.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_taken_below_the_minimum_rate_is_cut_and_one_above_it_is_whole() {
    let upstream = Upstream::serve(async |asked: Request<Incoming>, _| {
        let length: usize = asked.uri().path().trim_start_matches('/').parse()?;
        Ok(Response::new(full(Bytes::from(vec![b'x'; length]))))
    });
    let upstream = upstream.await.unwrap();
    let limited = limited(&upstream).await;
    let cut = async {
        let metric = async || limited.proxy.metric("sluice_connections_slow_total", &[]).await;
        let counted = eventually("a slow reader is counted", END, async || {
            let count = metric().await?;
            anyhow::ensure!(count >= 1.0, "{count}");
            Ok(())
        });
        counted.await.unwrap();
    };
    let fast = piece(TAKEN, 2.0);
    let all = fast * TICKS;
    let (slow_taken, fast_taken) = tokio::join!(
        take(&limited, all, piece(TAKEN, 0.25), cut),
        take(&limited, all, fast, std::future::pending()),
    );
    assert!(slow_taken < all, "all of it came");
    assert!(fast_taken > all, "{fast_taken} bytes, head included");
    let count = limited.proxy.metric("sluice_connections_slow_total", &[]).await;
    assert!((count.unwrap() - 1.0).abs() < f64::EPSILON, "only the slow one");
}
