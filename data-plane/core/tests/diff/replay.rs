//! Replayed requests against the plain definition: each of them looked at by itself.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use sluice_core::{
    RequestView, Snapshot,
    diff::{
        Facet, Outcome, Verdict, changes, outcome,
        replay::{Recorded, Replay, ReplayBounds, Replayed, Sample},
    },
};
use sluice_proto::v1;

use crate::{
    cost::shop,
    grid,
    meter::measure,
    state::{State, change},
    world::{full, step},
};

/// A request that was made some times.
#[derive(Clone, Debug)]
struct Made {
    port: u16,
    method: Method,
    host: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
    weight: u64,
}

const X_A: HeaderName = HeaderName::from_static("x-a");
const X_B: HeaderName = HeaderName::from_static("x-b");

impl Made {
    fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            host: self.host,
            path: self.path,
            query: self.query,
            headers: &self.headers,
        }
    }

    /// All of it is known.
    fn sample(&self) -> Sample<'_> {
        Sample {
            port: Some(self.port),
            is_secure: None,
            request: self.view(),
            recorded: Recorded::Everything,
            hidden: &[],
            unknown: &[],
            has_query: true,
            weight: self.weight,
        }
    }
}

fn made() -> impl Strategy<Value = Made> {
    let select = |values: &'static [Option<&'static str>]| prop::sample::select(values);
    (
        prop::sample::select(&grid::PORTS),
        prop::sample::select(&grid::METHODS),
        prop::sample::select(&grid::HOSTS),
        prop::sample::select(&grid::PATHS),
        select(&grid::QUERIES),
        (select(&grid::VALUES), select(&[None, Some("1")])),
        1..1_000_u64,
    )
        .prop_map(|(port, method, host, path, query, (a, b), weight)| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(X_A, a), (X_B, b)] {
                headers.extend(value.map(|value| (name, HeaderValue::from_static(value))));
            }
            Made {
                port,
                method,
                host,
                path,
                query,
                headers,
                weight,
            }
        })
}

/// A state, another that is a step away, and requests.
fn traffic() -> impl Strategy<Value = (State, State, Vec<Made>)> {
    let made = prop::collection::vec(made(), 1..80);
    (change(), made).prop_map(|((before, after), made)| (before, after, made))
}

fn snapshots(before: &State, after: &State) -> (Snapshot, Snapshot) {
    let old = full(&before.resources(), 1);
    let new = step(&old, &after.resources(), 2);
    (old, new)
}

fn replayed<'a>(
    (old, new): (&Snapshot, &Snapshot),
    samples: impl Iterator<Item = Sample<'a>>,
    bounds: ReplayBounds,
) -> Replayed {
    let mut replay = Replay::new(old, new, bounds);
    samples.for_each(|sample| replay.add(&sample));
    replay.finish()
}

/// Who answers the requests of one slot, and which part of them.
fn answered(outcome: &Outcome, slot: u16) -> BTreeMap<String, f64> {
    let whole = |name: String| BTreeMap::from([(name, 1.0)]);
    let forward = match &outcome.verdict {
        Verdict::Forward(forward) => forward,
        Verdict::NoBackends => return whole("500".into()),
        other => return whole(format!("{other:?}")),
    };
    let mut end = 0;
    let owner = forward.experiment.as_ref().and_then(|terms| {
        let mut runs = terms.slots.iter();
        let run = runs.find(|(length, _)| {
            end += length;
            slot < end
        });
        run.map(|(_, name)| name.clone())
    });
    let arms = forward
        .arms
        .iter()
        .filter(|arm| owner.is_none() || arm.variant == owner);
    let mut parts = BTreeMap::new();
    for arm in arms {
        let name = arm.backend.clone().unwrap_or_else(|| "500".into());
        *parts.entry(name).or_default() += arm.share.percent();
    }
    let all: f64 = parts.values().sum();
    parts.values_mut().for_each(|part| *part /= all);
    parts
}

/// The part of the requests that is answered by somebody else, slot by slot; their bounds are hundreds.
fn moved(outcomes: &[Outcome; 2], facets: &BTreeSet<Facet>) -> f64 {
    if let [Verdict::Redirect(_), Verdict::Redirect(_)] = [&outcomes[0].verdict, &outcomes[1].verdict] {
        return if facets.contains(&Facet::Redirect) {
            1.0
        } else {
            0.0
        };
    }
    let slots = (0..100).map(|at| at * 100);
    let apart = slots.map(|slot| {
        let [old, new] = [0, 1].map(|side| answered(&outcomes[side], slot));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let part = |parts: &BTreeMap<String, f64>, name| parts.get(name).copied().unwrap_or(0.0);
        let apart = names
            .into_iter()
            .map(|name| (part(&old, name) - part(&new, name)).abs());
        apart.sum::<f64>() / 2.0
    });
    apart.sum::<f64>() / 100.0
}

/// Weight, weight that moves, and facets, by outcomes.
type Classes = HashMap<[Outcome; 2], (u64, f64, BTreeSet<Facet>)>;

fn one_by_one((old, new): (&Snapshot, &Snapshot), made: &[Made]) -> Classes {
    let mut classes = Classes::new();
    for one in made {
        let facets = changes((old, new), one.port, &one.view());
        if facets.is_empty() {
            continue;
        }
        let outcomes = [old, new].map(|side| outcome(side, one.port, &one.view()));
        let moved = moved(&outcomes, &facets) * one.weight as f64;
        let class = classes.entry(outcomes).or_default();
        class.0 += one.weight;
        class.1 += moved;
        class.2.extend(facets);
    }
    classes
}

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(64)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn what_is_replayed_is_what_each_request_experiences((before, after, made) in traffic()) {
        let (old, new) = snapshots(&before, &after);
        let found = replayed((&old, &new), made.iter().map(Made::sample), ReplayBounds::default());
        let expected = one_by_one((&old, &new), &made);
        prop_assert_eq!(found.class_count, expected.len());
        let (mut changed, mut target, mut status) = (0, 0.0, 0);
        for class in &found.classes {
            let known = expected.get(&[class.before.clone(), class.after.clone()]);
            prop_assert!(known.is_some(), "{:#?}", class);
            let (weight, moved, facets) = known.unwrap();
            prop_assert_eq!((class.requests, &class.facets), (*weight, facets), "{:#?}", class);
            prop_assert!((class.target - moved).abs() < 1e-6, "{} and not {}: {:#?}", class.target, moved, class);
            changed += weight;
            target += moved;
            status += if facets.contains(&Facet::Status) { *weight } else { 0 };
            for example in &class.examples {
                let ask = |view: &RequestView<'_>| [&old, &new].map(|one| outcome(one, example.request.port, view));
                prop_assert_eq!(example.request.with_view(ask).unwrap(), [class.before.clone(), class.after.clone()]);
            }
        }
        let all: u64 = made.iter().map(|one| one.weight).sum();
        let totals = found.totals;
        prop_assert_eq!((totals.requests, totals.judged, totals.keys), (all, all, made.len() as u64));
        prop_assert_eq!((totals.changed, totals.status), (changed, status));
        prop_assert!((totals.target - target).abs() < 1e-6);
        prop_assert!((totals.target_percent - target * 100.0 / all as f64).abs() < 1e-6);
    }

    #[test]
    fn what_is_judged_of_parts_of_a_request_is_so_of_all_of_it(
        (before, after, made) in traffic(), known in 0..3_u8, has_query in any::<bool>(),
    ) {
        let (old, new) = snapshots(&before, &after);
        for one in &made {
            // What rules spell out is never hidden: whoever hides it is told.
            let is_spelt = one.headers.get(X_A).is_some_and(|value| value == "1" || value == "2");
            let (is_hidden, is_unknown) = (known == 1 && !is_spelt, known == 2);
            let has_it = one.headers.contains_key(X_A);
            let mut part = one.clone();
            part.headers.remove(X_A);
            part.query = part.query.filter(|_| has_query);
            let hidden = [X_A];
            let sample = Sample {
                recorded: Recorded::Only(&[X_B]),
                hidden: if is_hidden && has_it { &hidden } else { &[] },
                unknown: if is_unknown && has_it { &hidden } else { &[] },
                has_query,
                ..part.sample()
            };
            let found = replayed((&old, &new), [sample].into_iter(), ReplayBounds::default());
            let is_sure = found.assumed_requests == 0 && found.not_judged.requests == 0;
            prop_assert_eq!(found.totals.judged + found.not_judged.requests, one.weight);
            if is_sure {
                let whole = replayed((&old, &new), [one.sample()].into_iter(), ReplayBounds::default());
                let said = |found: &Replayed| {
                    let classes = found.classes.iter();
                    classes.map(|one| (one.before.clone(), one.after.clone(), one.facets.clone())).collect::<Vec<_>>()
                };
                prop_assert_eq!(said(&found), said(&whole), "{:?}", one);
            }
        }
    }
}

fn get(path: &str, port: Option<u16>) -> Sample<'_> {
    static NONE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
    Sample {
        port,
        is_secure: None,
        request: RequestView {
            method: &Method::GET,
            host: "shop-0.example.com",
            path,
            query: None,
            headers: &NONE,
        },
        recorded: Recorded::Everything,
        hidden: &[],
        unknown: &[],
        has_query: true,
        weight: 1,
    }
}

#[test]
fn the_most_frequent_examples_are_kept_and_a_port_is_found_for_those_that_have_none() {
    let (old, new) = (full(&shop(10, |_| false), 1), full(&shop(10, |at| at < 3), 2));
    let paths = [
        "/service-0/a",
        "/service-1/b",
        "/service-2/c",
        "/service-0/d",
        "/service-5",
    ];
    let samples = (1..).zip(paths).map(|(weight, path)| Sample {
        weight,
        ..get(path, None)
    });
    let bounds = ReplayBounds {
        examples: 2,
        ..ReplayBounds::default()
    };
    let found = replayed((&old, &new), samples, bounds);
    assert_eq!((found.totals.requests, found.totals.changed), (15, 10));
    assert!((found.totals.target_percent - 10.0 * 100.0 / 15.0).abs() < 1e-9);
    let class = &found.classes[0];
    let examples = class.examples.iter();
    let examples: Vec<_> = examples.map(|one| (one.request.url(), one.requests)).collect();
    let url = |path: &str| format!("http://shop-0.example.com{path}");
    assert_eq!(examples, [(url("/service-0/d"), 4), (url("/service-2/c"), 3)]);
    assert_eq!((class.keys, found.class_count), (4, 1));
}

#[test]
fn of_several_ports_the_one_where_something_changes_counts_and_that_is_said() {
    // Port 80 redirects everything, and what changes is behind it.
    let state = |action: usize| State {
        listeners: [0, 3].into(),
        routes: [(0, 0), (1, 3)]
            .map(|(name, at)| (name, (1, [(at, vec![""])].into())))
            .into(),
        rules: [((0, 0), 7), ((1, 0), action)]
            .map(|(name, act)| (name, (vec![v1::Match::default()], act)))
            .into(),
        slots: 5_000,
        connect: 1_000,
        ..State::default()
    };
    let (old, new) = snapshots(&state(14), &state(1));
    let replay = |port| {
        replayed(
            (&old, &new),
            [get("/a", port)].into_iter(),
            ReplayBounds::default(),
        )
    };
    let found = replay(None);
    assert_eq!(
        (found.totals.changed, found.port_not_recorded),
        (1, 1),
        "{found:#?}"
    );
    assert_eq!(found.classes[0].examples[0].request.port, 81);
    for (port, changed) in [(80, 0), (81, 1)] {
        let found = replay(Some(port));
        assert_eq!((found.totals.changed, found.port_not_recorded), (changed, 0));
    }
}

#[test]
fn classes_past_the_bound_are_counted_as_not_judged() {
    let (old, new) = (full(&shop(10, |_| false), 1), full(&shop(10, |at| at < 3), 2));
    let bounds = ReplayBounds {
        classes: 0,
        ..ReplayBounds::default()
    };
    let samples = ["/service-0", "/service-5"].map(|path| get(path, Some(80)));
    let found = replayed((&old, &new), samples.into_iter(), bounds);
    assert_eq!((found.not_judged.beyond, found.totals.judged), (1, 1));
}

#[test]
#[ignore = "times mean something only in a release build"]
fn a_million_requests_are_replayed_within_two_seconds() {
    let (old, new) = (
        full(&shop(10_000, |_| false), 1),
        full(&shop(10_000, |at| at % 500 == 3), 2),
    );
    let hosts: Vec<String> = (0..1_000).map(|at| format!("shop-{at}.example.com")).collect();
    let paths: Vec<String> = (0..1_000)
        .map(|at| format!("/service-{}/orders/{at}", at % 10))
        .collect();
    let all = hosts
        .iter()
        .flat_map(|host| paths.iter().map(move |path| (host, path)));
    let samples = all.map(|(host, path)| {
        let mut sample = get(path, None);
        sample.request.host = host;
        sample
    });
    let start = Instant::now();
    let (found, tally) = measure(|| replayed((&old, &new), samples, ReplayBounds::default()));
    let time = start.elapsed();
    println!(
        "1,000,000 requests, 10,000 routes: {time:?}, {} kB at most, {} blocks, {:.2} % change target",
        tally.peak_bytes / 1000,
        tally.blocks,
        found.totals.target_percent
    );
    assert_eq!((found.totals.judged, found.totals.changed), (1_000_000, 2_000));
    assert!(time < Duration::from_secs(2), "{time:?}");
    assert!(tally.blocks < 500_000, "{} blocks", tally.blocks);
}
