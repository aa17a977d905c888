//! Bytes and blocks: of a table, of a change, of a lookup.

use bytes::Bytes;
use http::HeaderMap;
use sluice_core::Snapshot;

use crate::{
    meter::{Tally, measure},
    shop::{Backends, HISTORY, Shop, prefix, receive, visit},
};

const MANY: usize = 10_000;
const FEWER: usize = 1_000;

/// Most bytes that a route may occupy, with all that comes with it.
const MAX_PER_ROUTE: i64 = 4096;
/// Most bytes that a small change may allocate, kept or not.
const MAX_PER_CHANGE: u64 = 96 * 1024;

/// What the change from `before` to `after` allocates in a proxy that holds `before`.
fn change(before: &Shop, after: &Shop) -> Tally {
    let held = before.open();
    let wire = after.step_from(&held);
    let (next, tally) = measure(|| receive(&held, wire));
    assert_ne!(next.position(), held.position());
    tally
}

/// A change of the last route costs about as much among many as among a tenth of them. Not the same:
/// trees are deeper, and the bucket of the digest that is copied is longer.
fn assert_follows_the_change(name: &str, change_of: impl Fn(usize) -> Tally) {
    let (fewer, many) = (change_of(FEWER), change_of(MANY));
    println!("{name} among {FEWER}: {fewer:?}\n{name} among {MANY}: {many:?}");
    assert!(
        many.bytes < MAX_PER_CHANGE,
        "{} bytes among {MANY} routes",
        many.bytes
    );
    assert!(
        many.bytes < 3 * fewer.bytes,
        "{} bytes, {} among {FEWER} routes",
        many.bytes,
        fewer.bytes
    );
}

fn assert_fits(backends: Backends) {
    let wire = Shop::new(MANY, backends).full();
    let empty = Snapshot::empty(HISTORY);
    // Copied inside: what is read from a connection is the proxy's own.
    let (snapshot, tally) = measure(|| receive(&empty, Bytes::copy_from_slice(&wire)));
    let a_route = |total: i64| total / MANY as i64;
    println!(
        "{backends:?} backends, a route: {} bytes travel; {} bytes in {} blocks stay, {} bytes at most while it is built",
        wire.len() / MANY,
        a_route(tally.live_bytes),
        a_route(tally.live_blocks),
        a_route(tally.peak_bytes),
    );
    assert_eq!(snapshot.rules().count(), MANY);
    assert!(a_route(tally.live_bytes) < MAX_PER_ROUTE, "{tally:?}");
}

#[test]
fn a_route_occupies_less_than_four_kilobytes() {
    assert_fits(Backends::Shared);
}

#[test]
fn a_route_with_a_backend_of_its_own_occupies_less_than_four_kilobytes() {
    assert_fits(Backends::Own);
}

#[test]
fn a_changed_weight_costs_the_same_among_many_routes_as_among_fewer() {
    assert_follows_the_change("weight", |routes| {
        let shop = Shop::new(routes, Backends::Shared);
        change(&shop, &Shop { weight: 5, ..shop })
    });
}

#[test]
fn a_changed_path_costs_the_same_among_many_routes_as_among_fewer() {
    assert_follows_the_change("path", |routes| {
        let shop = Shop::new(routes, Backends::Shared);
        change(
            &shop,
            &Shop {
                moved: Some("/api/elsewhere"),
                ..shop
            },
        )
    });
}

#[test]
fn a_lookup_among_many_routes_allocates_nothing() {
    let snapshot = Shop::new(MANY, Backends::Shared).open();
    let no_headers = HeaderMap::new();
    let path = format!("{}/item", prefix(MANY - 1));
    let (matched, tally) = measure(|| visit(&snapshot, &path, &no_headers));
    assert_eq!(
        matched.unwrap().rule.rule.key.segment(1),
        format!("service-{}", MANY - 1)
    );
    assert_eq!(tally.blocks, 0);
}

#[test]
fn what_stays_of_an_update_is_not_the_buffer_it_came_in() {
    const BUFFER: usize = 1024 * 1024;
    let shop = Shop::new(FEWER, Backends::Shared);
    let held = shop.open();
    let wire = Shop { weight: 5, ..shop }.step_from(&held);
    let (_next, tally) = measure(|| {
        let mut buffer = Vec::with_capacity(BUFFER);
        buffer.extend_from_slice(&wire);
        receive(&held, Bytes::from(buffer))
    });
    assert!(tally.bytes > BUFFER as u64);
    assert!(tally.live_bytes < MAX_PER_CHANGE as i64, "{tally:?}");
}
