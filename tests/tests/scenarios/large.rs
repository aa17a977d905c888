//! 100 MB through a proxy that holds none of it.

use std::convert::Infallible;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use nix::unistd::Pid;
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get};
use sluice_tests::manifest::{backend, backend_with, gateway, route_to};
use sluice_tests::site::Site;
use sluice_tests::upstream::{Body, Upstream, full};

/// Length of a body.
const LENGTH: u64 = 100 << 20;
/// Length of a piece.
const PIECE: usize = 64 << 10;
/// Most memory that a body may take of the proxy, at its peak.
const GROWTH: u64 = 18 << 20;

fn large() -> Body {
    static ZEROES: [u8; PIECE] = [0; PIECE];
    let pieces =
        (0..LENGTH / PIECE as u64).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from_static(&ZEROES))));
    StreamBody::new(stream::iter(pieces))
        .map_err(|never| match never {})
        .boxed_unsync()
}

async fn length(mut body: Incoming) -> anyhow::Result<u64> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    Ok(length)
}

/// A line of `/proc/PID/status` in bytes.
fn memory(pid: Pid, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|text| text.strip_prefix(line));
    let kib: u64 = value.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_100_mb_takes_less_than_18_mb_of_memory_either_way() {
    let upstream = Upstream::serve(async |asked: Request<Incoming>, _| {
        Ok(match asked.uri().path() {
            "/down" => Response::new(large()),
            _ => Response::new(full(length(asked.into_body()).await?.to_string())),
        })
    });
    let upstream = upstream.await.unwrap();
    let site = Site::start(1).await.unwrap();
    let h2c = json!({"protocol": "h2c"});
    site.apply(&[
        gateway(),
        backend("http1", &[upstream.address]),
        backend_with("h2c", &[upstream.address], &h2c),
        route_to("http1", "http1.example.com", "http1"),
        route_to("h2c", "h2c.example.com", "h2c"),
    ])
    .await
    .unwrap();
    let address = site.address().await.unwrap();
    let pid = site.proxies[0].process.pid();
    for (protocol, host) in [
        (Protocol::Http1, "http1.example.com"),
        (Protocol::H2c, "h2c.example.com"),
    ] {
        let mut connection = Connection::open(address, protocol).await.unwrap();
        // Buffers that stay are not a body's.
        connection.send(get(host, "/up")).await.unwrap();
        let before = memory(pid, "VmRSS:");
        // Resets the peak (proc_pid_clear_refs(5)).
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();

        let down = connection.start(get(host, "/down")).await.unwrap();
        assert_eq!(length(down.into_body()).await.unwrap(), LENGTH, "{protocol:?}");
        let up = Request::put(format!("http://{host}/up")).body(large()).unwrap();
        let answer = connection.send(up).await.context(host).unwrap();
        assert_eq!(answer.body, LENGTH.to_string(), "{protocol:?}");

        let growth = memory(pid, "VmHWM:").saturating_sub(before);
        assert!(growth < GROWTH, "{protocol:?}: {growth} bytes");
    }
}
