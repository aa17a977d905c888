//! Memory and time of a difference: among many routes, and where everything collides.

use std::time::{Duration, Instant};

use sluice_core::{
    Difference, Entry, ResourceSet, Snapshot,
    diff::{Bounds, Diff, diff},
};
use sluice_proto::v1;

use crate::{
    meter::measure,
    state::weighted,
    world::{full, key},
};

/// One route: on which host, with which path and conditions, to which backend.
pub(crate) struct One {
    pub(crate) namespace: &'static str,
    pub(crate) host: String,
    pub(crate) path: (v1::path_match::Kind, String),
    pub(crate) headers: Vec<v1::ValueMatch>,
    pub(crate) backend: &'static str,
}

use v1::path_match::Kind::{Exact, Prefix, Regex};

pub(crate) fn one(host: &str, path: (v1::path_match::Kind, String), backend: &'static str) -> One {
    One {
        namespace: "default",
        host: host.into(),
        path,
        headers: vec![],
        backend,
    }
}

fn with_header(at: usize, name: String, value: &str, regex: bool, backend: &'static str) -> One {
    let header = v1::ValueMatch {
        name,
        value: value.into(),
        regex,
    };
    One {
        headers: vec![header],
        ..one(
            "shop.example.com",
            (Prefix, "/".into()),
            if at == 0 { "web" } else { backend },
        )
    }
}

pub(crate) fn set(routes: impl Iterator<Item = One>, connect_timeout_ms: u64) -> ResourceSet {
    let protocol = v1::listener::Protocol::Http as i32;
    let listener = v1::Listener {
        port: 80,
        protocol,
        ..Default::default()
    };
    let mut upserts = vec![Entry::new(key("listener/default/edge/http"), &listener)];
    for name in ["web", "api", "new"] {
        let backend = v1::Backend {
            protocol: v1::backend::Protocol::Http as i32,
            connect_timeout_ms,
            ..Default::default()
        };
        upserts.push(Entry::new(key(&format!("backend/default/{name}")), &backend));
    }
    for (at, one) in routes.enumerate() {
        let route = v1::Route {
            creation_revision: 1,
            attachments: vec![v1::Attachment {
                listener: "listener/default/edge/http".into(),
                hostnames: vec![one.host],
            }],
        };
        let name = format!("{}/r{at:06}", one.namespace);
        let target = format!("split/{name}/main");
        let (kind, value) = one.path;
        let path = v1::PathMatch {
            kind: kind.into(),
            value,
        };
        let matches = vec![v1::Match {
            path: Some(path),
            headers: one.headers,
            ..Default::default()
        }];
        let rule = v1::Rule {
            matches,
            target: target.clone(),
            ..Default::default()
        };
        let split = v1::Split {
            backends: vec![weighted(one.backend, 1)],
        };
        upserts.push(Entry::new(key(&target), &split));
        upserts.push(Entry::new(key(&format!("route/{name}")), &route));
        upserts.push(Entry::new(key(&format!("rule/{name}/main")), &rule));
    }
    ResourceSet::empty().apply(&Difference {
        upserts,
        removals: vec![],
    })
}

/// Hosts of ten routes each, every fifth with an exact path.
pub(crate) fn shop(routes: usize, change: impl Fn(usize) -> bool) -> ResourceSet {
    let route = move |at: usize| {
        let path = match at % 5 {
            4 => (Exact, format!("/item/{}", at % 10)),
            _ => (Prefix, format!("/service-{}", at % 10)),
        };
        let backend = if change(at) { "new" } else { "web" };
        one(&format!("shop-{}.example.com", at / 10), path, backend)
    };
    set((0..routes).map(route), 0)
}

/// The difference of two that share nothing, and what it took.
fn compared(name: &str, before: &ResourceSet, after: &ResourceSet) -> (Diff, Duration, i64) {
    let (old, new): (Snapshot, Snapshot) = (full(before, 1), full(after, 2));
    let start = Instant::now();
    let (found, tally) = measure(|| diff(&old, &new, &Bounds::default()));
    let time = start.elapsed();
    println!(
        "{name}: {time:?}, {} kB at most, {} classes, {} cells, {} pairs, {} not proven",
        tally.peak_bytes / 1000,
        found.class_count,
        found.coverage.cells,
        found.coverage.pairs,
        found.coverage.unproven_count,
    );
    (found, time, tally.peak_bytes)
}

const MEGABYTE: i64 = 1_000_000;

fn twenty_changes(routes: usize) -> (Diff, Duration, i64) {
    let every = routes / 20;
    let name = format!("{routes} routes, 20 changes");
    compared(
        &name,
        &shop(routes, |_| false),
        &shop(routes, |at| at % every == 3),
    )
}

#[test]
fn what_a_difference_holds_follows_the_change_and_not_the_table() {
    let (found, _, peak) = twenty_changes(2_000);
    assert_eq!((found.class_count, found.classes[0].place_count), (1, 20));
    assert_eq!(found.coverage.unproven_count, 0);
    assert!(found.coverage.cells <= 60, "{:?}", found.coverage);
    assert!(peak < 2 * MEGABYTE, "{peak} bytes");
}

#[test]
#[ignore = "times mean something only in a release build"]
fn twenty_changes_among_many_routes_are_found_within_seconds() {
    let (found, time, peak) = twenty_changes(10_000);
    assert_eq!(found.classes[0].place_count, 20);
    assert!(
        time < Duration::from_secs(1) && peak < 500 * MEGABYTE,
        "{time:?}, {peak}"
    );
    let (found, time, peak) = twenty_changes(100_000);
    assert_eq!(found.classes[0].place_count, 20);
    assert!(
        time < Duration::from_secs(5) && peak < 500 * MEGABYTE,
        "{time:?}, {peak}"
    );
}

/// Compares, and holds it to the bounds of the table of 10,000 with 20 changes, times five.
fn bounded(name: &str, before: &ResourceSet, after: &ResourceSet) -> Diff {
    let (found, time, peak) = compared(name, before, after);
    assert!(time < Duration::from_secs(5), "{name}: {time:?}");
    assert!(peak < 500 * MEGABYTE, "{name}: {peak} bytes");
    found
}

#[test]
#[ignore = "times mean something only in a release build"]
fn a_change_of_everything_is_bounded() {
    let found = bounded(
        "10,000 routes, all changed",
        &shop(10_000, |_| false),
        &shop(10_000, |_| true),
    );
    assert_eq!((found.class_count, found.coverage.unproven_count), (1, 0));
    let of = |connect| {
        set(
            (0..10_000).map(|at| one("a.x", (Prefix, format!("/s{at}")), "web")),
            connect,
        )
    };
    let found = bounded("10,000 routes, one backend changed", &of(0), &of(7));
    assert_eq!((found.class_count, found.coverage.unproven_count), (1, 0));
}

#[test]
#[ignore = "times mean something only in a release build"]
fn many_rules_on_one_path_are_bounded() {
    let values = |to| {
        set(
            (0..1_000).map(|at| with_header(at, "x-user".into(), &at.to_string(), false, to)),
            0,
        )
    };
    let found = bounded(
        "1,000 values of one header, all changed",
        &values("api"),
        &values("new"),
    );
    assert_eq!((found.class_count, found.coverage.unproven_count), (1, 0));
    let names = |to| {
        set(
            (0..1_000).map(|at| with_header(at, format!("x-h{at}"), "1", false, to)),
            0,
        )
    };
    let found = bounded(
        "1,000 different headers, all changed",
        &names("api"),
        &names("new"),
    );
    assert_eq!((found.class_count, found.coverage.unproven_count), (1, 0));
    let turned = |back: bool| {
        let at = move |at: usize| if back { 999 - at } else { at };
        let backend = |at: usize| ["web", "api", "new"][at % 3];
        set(
            (0..1_000)
                .map(move |one| with_header(1, format!("x-h{}", at(one)), "1", false, backend(at(one)))),
            0,
        )
    };
    let found = bounded(
        "1,000 different headers, turned round",
        &turned(false),
        &turned(true),
    );
    assert_eq!(found.class_count, 6);
    let regexes = |to| {
        let pattern = |at: usize| format!("[a-z]*{at}[0-9]*");
        set(
            (0..200).map(move |at| with_header(at, "x-user".into(), &pattern(at), true, to)),
            0,
        )
    };
    bounded(
        "200 expressions for one header, all changed",
        &regexes("api"),
        &regexes("new"),
    );
    let hard = |to| {
        let pattern = |at: usize| format!("/.*a[a-z]{{9}}{at}");
        set((0..500).map(move |at| one("a.x", (Regex, pattern(at)), to)), 0)
    };
    let found = bounded(
        "500 large expressions of paths, all changed",
        &hard("api"),
        &hard("new"),
    );
    assert!(found.coverage.unproven_count > 0);
}

#[test]
#[ignore = "times mean something only in a release build"]
fn a_change_that_shows_through_many_others_is_bounded() {
    let wildcard = |to| {
        let hosts = (0..10_000).map(|at| one(&format!("h{at}.x.com"), (Prefix, "/a".into()), "web"));
        set(hosts.chain([one("*.x.com", (Prefix, "/".into()), to)]), 0)
    };
    let found = bounded("a wildcard over 10,000 hosts", &wildcard("api"), &wildcard("new"));
    assert_eq!((found.class_count, found.classes[0].place_count), (1, 1));
    let root = |to| {
        let paths = (0..10_000).map(|at| one("a.x", (Exact, format!("/s{at}")), "web"));
        set(paths.chain([one("a.x", (Prefix, "/".into()), to)]), 0)
    };
    let found = bounded("a root over 10,000 paths", &root("api"), &root("new"));
    assert_eq!((found.class_count, found.classes[0].place_count), (1, 1));
    let regex = |to| {
        let paths = (0..10_000).map(|at| one("a.x", (Prefix, format!("/s{at}")), "web"));
        set(paths.chain([one("a.x", (Regex, "/[a-z]+.*".into()), to)]), 0)
    };
    let found = bounded(
        "an expression beside 10,000 prefixes",
        &regex("api"),
        &regex("new"),
    );
    assert_eq!(found.class_count, 1);
    let beside = |to| {
        let paths = (0..10_000).map(|at| one("a.x", (Exact, format!("/s{at}")), "web"));
        set(paths.chain([one("a.x", (Regex, "/[a-z0-9]+/.*b".into()), to)]), 0)
    };
    let found = bounded("an expression among 10,000 paths", &beside("api"), &beside("new"));
    assert_eq!((found.class_count, found.coverage.unproven_count), (1, 0));
    let both = |to| {
        let hosts = (0..3_000).map(|at| one(&format!("h{at}.x.com"), (Prefix, "/a".into()), "web"));
        let paths = (0..3_000).map(move |at| one("*.x.com", (Prefix, format!("/s{at}")), to));
        set(hosts.chain(paths), 0)
    };
    bounded(
        "3,000 changed paths of a wildcard over 3,000 hosts",
        &both("api"),
        &both("new"),
    );
}
