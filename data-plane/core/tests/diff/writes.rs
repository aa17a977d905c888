//! What it costs to look at all that a write claims, where everything is in everybody's way.

use std::collections::BTreeSet;
use std::time::Duration;

use sluice_core::{
    Snapshot,
    claims::{Budget, captures, clashes, moved, near},
    reach_of,
};
use sluice_model::Key;
use sluice_proto::v1::{ValueMatch, path_match::Kind};

use crate::cost::{One, one, set};
use crate::world::full;

/// Rules of the largest write.
const RULES: usize = 10_000;
/// Steps of all that such a write has, and of what a write of one rule has.
const STEPS: [u64; 2] = [2_000_000, 400_400];
const CLASHES: usize = 100;

fn regex(name: String, value: String) -> ValueMatch {
    ValueMatch {
        name,
        value,
        regex: true,
    }
}

fn plain(name: String) -> ValueMatch {
    ValueMatch {
        name,
        value: "1".into(),
        regex: false,
    }
}

/// A route of one of two namespaces.
fn on(at: usize, host: &str, path: (Kind, String), headers: Vec<ValueMatch>) -> One {
    One {
        namespace: ["default", "team"][at % 2],
        headers,
        ..one(host, path, ["web", "api", "new"][at % 3])
    }
}

/// Time that this thread has had a core, whoever else runs on the machine.
fn on_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let first = text.split_whitespace().next().unwrap();
    Duration::from_nanos(first.parse().unwrap())
}

/// Looks at the last `written` routes as if they were new, in the order in which a write does.
fn look(name: &str, of: impl Fn(usize) -> One, written: usize) -> Duration {
    let known = RULES - written;
    let before = full(&set((0..known).map(&of), 0), 1);
    let after = full(&set((0..RULES).map(&of), 0), 2);
    let is_new = |key: &Key| before.resources().get(key).is_none();
    let own: BTreeSet<_> = after
        .rules()
        .map(|rule| rule.rule.key.clone())
        .filter(is_new)
        .collect();
    let steps = if written == 1 { STEPS[1] } else { STEPS[0] };
    let times = (0..3).map(|_| looked(&before, &after, &own, steps));
    let (time, done, complete) = times.min_by_key(|(time, ..)| *time).unwrap();
    println!(
        "{name}, {written} of {RULES} written: {time:?}, {done} steps of {} ns, complete {complete:?}",
        time.as_nanos() / u128::from(done.max(1)),
    );
    time
}

/// Time, steps, and which passes were complete.
fn looked(
    before: &Snapshot,
    after: &Snapshot,
    own: &BTreeSet<Key>,
    steps: u64,
) -> (Duration, u64, [bool; 4]) {
    let began = on_core();
    let mut budget = Budget::new(steps);
    let near = budget.part(3, |budget| {
        let moved = moved(before, after, budget);
        near(before, after, &moved, budget)
    });
    let found = budget.part(2, |budget| clashes(after, Some(own), CLASHES, budget));
    let taken = budget.part(2, |budget| captures(after, &near.takers, CLASHES, budget));
    let missed = reach_of(after, own, &mut budget).unwrap();
    let complete = [
        near.is_complete,
        found.is_complete,
        taken.is_complete,
        missed.is_proven,
    ];
    (on_core() - began, budget.done(), complete)
}

#[test]
#[ignore = "times mean something only in a release build"]
fn the_largest_write_is_looked_at_in_less_than_a_moment() {
    let prefix = |path: String| (Kind::Prefix, path);
    let root = || prefix("/".into());
    let mut slowest = Duration::ZERO;
    for written in [RULES, 1] {
        slowest = slowest.max(look(
            "hosts of their own",
            |at| on(at, &format!("h{at}.x"), root(), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "paths of their own",
            |at| on(at, "a.x", prefix(format!("/p{at}")), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "hosts below one",
            |at| {
                let host = if at == 0 {
                    "*.x".to_owned()
                } else {
                    format!("h{at}.x")
                };
                on(at, &host, root(), vec![])
            },
            written,
        ));
        slowest = slowest.max(look("one path", |at| on(at, "a.x", root(), vec![]), written));
        slowest = slowest.max(look(
            "one header each",
            |at| on(at, "a.x", root(), vec![plain(format!("x-{at}"))]),
            written,
        ));
        slowest = slowest.max(look(
            "sixteen headers each",
            |at| {
                let headers = (0..16).map(|one| plain(format!("x-{}", (at + one * 7) % 97)));
                on(at, "a.x", root(), headers.collect())
            },
            written,
        ));
        slowest = slowest.max(look(
            "expressions of paths",
            |at| on(at, "a.x", (Kind::Regex, format!("/[a-z]*{at}.*")), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "large expressions of paths",
            |at| on(at, "a.x", (Kind::Regex, format!("/.*a[a-z]{{9}}{at}")), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "expressions that nearly are too large",
            |at| on(at, "a.x", (Kind::Regex, format!("/.*a[a-z]{{11}}{at}")), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "expressions of Unicode",
            |at| on(at, "a.x", (Kind::Regex, format!("/\\w+{at}\\W*\\w+")), vec![]),
            written,
        ));
        slowest = slowest.max(look(
            "expressions of headers",
            |at| {
                let headers = (0..8).map(|one| regex(format!("x-{one}"), format!("[a-z]*{at}.*{one}")));
                on(at, "a.x", root(), headers.collect())
            },
            written,
        ));
        slowest = slowest.max(look(
            "large expressions of a header",
            |at| {
                on(
                    at,
                    "a.x",
                    root(),
                    vec![regex("x".into(), format!(".*a[a-z]{{9}}{at}"))],
                )
            },
            written,
        ));
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}
