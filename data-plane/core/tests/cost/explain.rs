//! What an explanation costs among many routes: so much, however many there are.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use sluice_core::{ExplainBounds, Explanation, RequestView, Snapshot};

use crate::meter::measure;
use crate::shop::{Backends, HOST, Shop, prefix};

const MANY: usize = 100_000;
const ROUNDS: u32 = 21;

/// Longest that an explanation by the control plane may take among [`MANY`] routes.
const MAX_TIME: Duration = Duration::from_millis(100);
/// Most bytes that it may hold at once.
const MAX_BYTES: i64 = 32 * 1024 * 1024;

fn explain(snapshot: &Snapshot, path: &str, bounds: &ExplainBounds) -> Explanation {
    let request = RequestView {
        method: &Method::GET,
        host: HOST,
        path,
        query: None,
        headers: &HeaderMap::new(),
    };
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    snapshot.explain_within(80, &request, client, 0, bounds)
}

/// One that a rule takes, one beside all others, one that nothing is near.
fn paths(routes: usize) -> [String; 3] {
    [
        format!("{}/item", prefix(routes - 1)),
        "/api/service-x".into(),
        "/elsewhere".into(),
    ]
}

#[test]
fn an_explanation_holds_no_more_among_many_routes_than_among_few() {
    let bounds = ExplainBounds {
        examined: 500,
        ..ExplainBounds::default()
    };
    let peaks = [1_000, 5_000].map(|routes| {
        let snapshot = Shop::new(routes, Backends::Shared).open();
        paths(routes).map(|path| {
            let (explained, tally) = measure(|| explain(&snapshot, &path, &bounds));
            assert!(explained.near_misses.len() <= bounds.near_misses);
            tally.peak_bytes
        })
    });
    println!("bytes at once: {peaks:?}");
    for (few, many) in peaks[0].into_iter().zip(peaks[1]) {
        assert!(many <= few + few / 10 + 4_096, "{peaks:?}");
    }
}

#[test]
#[ignore = "times mean something only in a release build"]
fn a_request_among_a_hundred_thousand_routes_is_explained_within_bounds() {
    let snapshot = Shop::new(MANY, Backends::Shared).open();
    let bounds = ExplainBounds::default();
    for path in paths(MANY) {
        let (explained, tally) = measure(|| explain(&snapshot, &path, &bounds));
        let text = serde_json::to_string(&explained).unwrap();
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let explained = explain(&snapshot, black_box(&path), &bounds);
                let time = start.elapsed();
                drop(explained);
                time
            })
            .collect();
        times.sort_unstable();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!(
            "{path}: {median:?}, at worst {worst:?}, {} bytes at once, {} near misses, {} bytes of JSON",
            tally.peak_bytes,
            explained.near_misses.len(),
            text.len()
        );
        assert!(median <= MAX_TIME, "{median:?}");
        assert!(tally.peak_bytes <= MAX_BYTES, "{tally:?}");
        assert!(explained.near_misses.len() <= bounds.near_misses);
    }
}
