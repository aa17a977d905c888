//! Times, for a release build on a machine at rest.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use http::HeaderMap;
use sluice_core::Snapshot;

use crate::shop::{Backends, Shop, prefix, receive, visit};

const MANY: usize = 10_000;
const ROUNDS: u32 = 51;
const LOOKUPS: u32 = 200_000;

/// Longest that a proxy may take over a change of one route among [`MANY`].
const MAX_CHANGE: Duration = Duration::from_millis(3);

/// The median of [`ROUNDS`] runs; what they leave is dropped outside of them.
fn median<T>(mut work: impl FnMut() -> T) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let result = work();
            let time = start.elapsed();
            drop(result);
            time
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Time of one lookup of the route at `at`.
fn lookup(snapshot: &Snapshot, at: usize) -> Duration {
    let no_headers = HeaderMap::new();
    let path = format!("{}/item", prefix(at));
    let start = Instant::now();
    for _ in 0..LOOKUPS {
        assert!(visit(black_box(snapshot), black_box(&path), &no_headers).is_some());
    }
    start.elapsed() / LOOKUPS
}

fn change(held: &Snapshot, name: &str, after: &Shop) -> Duration {
    let wire = after.step_from(held);
    let time = median(|| receive(held, wire.clone()));
    println!("{name}: {time:?}, {} bytes travel", wire.len());
    time
}

#[test]
#[ignore = "times mean something only in a release build"]
fn a_change_of_one_route_is_live_within_milliseconds() {
    let shop = Shop::new(MANY, Backends::Shared);
    let wire = shop.full();
    let empty = Snapshot::empty(crate::shop::HISTORY);
    println!(
        "{MANY} routes from nothing: {:?}, {} bytes travel",
        median(|| receive(&empty, wire.clone())),
        wire.len()
    );
    let held = shop.open();
    let path = change(
        &held,
        "one path",
        &Shop {
            moved: Some("/api/elsewhere"),
            ..shop
        },
    );
    let weight = change(&held, "one weight", &Shop { weight: 5, ..shop });
    println!(
        "lookup: first {:?}, last {:?}",
        lookup(&held, 0),
        lookup(&held, MANY - 1)
    );
    assert!(path.max(weight) <= MAX_CHANGE, "path {path:?}, weight {weight:?}");
}
