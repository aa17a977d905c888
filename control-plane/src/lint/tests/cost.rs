//! What looking costs: at everything, and at a write that is as large and as bad as can be.
//!
//! Times, which mean something only in a release build:
//! `cargo test --release -p sluice-control --lib lint::tests::cost -- --ignored --nocapture --test-threads 1`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sluice_model::HistoryId;

use super::{A, EDGE, put, route};
use crate::compile::{Changed, World};
use crate::lint::{Author, judge, lint_world};

/// Rules of the largest write, and of one of its routes.
const RULES: usize = 10_000;
const EACH: usize = 16;

/// Some on hosts of their own, some on one with paths of their own, some at one path with headers of their own.
#[test]
#[ignore = "a time, which means something only in a release build"]
fn ten_thousand_routes_are_linted_within_seconds() {
    let routes = (0..10_000).map(|at| {
        let name = format!("r{at}");
        match at % 3 {
            0 => route(
                "default",
                &name,
                &format!("h{at}.x"),
                &[
                    ("{path: {value: /a}}", A),
                    ("{path: {value: '/b/[0-9]+', type: RegularExpression}}", A),
                ],
            ),
            1 => route(
                "default",
                &name,
                "paths.x",
                &[(&format!("{{path: {{value: /p{at}}}}}"), A)],
            ),
            _ => route(
                "default",
                &name,
                "headers.x",
                &[(&format!("{{headers: [{{name: x-{at}, value: '1'}}]}}"), A)],
            ),
        }
    });
    let all: Vec<String> = routes.collect();
    let all: Vec<&str> = ["a"].into_iter().chain(all.iter().map(String::as_str)).collect();
    let world = put(World::empty(HistoryId([0; 16])), &all).world;
    let began = Instant::now();
    let report = lint_world(&world);
    let took = began.elapsed();
    println!(
        "10,000 routes: {took:?}, {} findings, {:?}",
        report.items.len(),
        report.notes
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(report.items.len(), 0);
}

/// Headers of a match: names, and values or expressions.
fn headers(all: impl Iterator<Item = (String, String)>, kind: &str) -> String {
    let mut text = String::from("headers: [");
    for (name, value) in all {
        let _ = write!(text, "{{name: {name}, type: {kind}, value: '{value}'}},");
    }
    text + "]"
}

/// All rules, in routes of two namespaces, on `host` with the number of the route for `N`.
fn routes(host: &str, wanted: impl Fn(usize) -> String) -> Vec<String> {
    let of = |number: usize| {
        let rules: Vec<String> = (0..EACH)
            .map(|at| format!("{{{}}}", wanted(number * EACH + at)))
            .collect();
        let refs = [A, "{name: a, weight: 2}"];
        let rules: Vec<_> = rules.iter().map(|rule| (&**rule, refs[number % 2])).collect();
        let host = host.replace('N', &number.to_string());
        route(
            ["default", "team"][number % 2],
            &format!("r{number}"),
            &host,
            &rules,
        )
    };
    (0..RULES / EACH).map(of).collect()
}

/// The name of a kind of write, and its routes.
fn writes() -> Vec<(&'static str, Vec<String>)> {
    let regex = |pattern: String| format!("path: {{type: RegularExpression, value: '{pattern}'}}");
    let one = |at: usize| headers([(format!("x-{at}"), "1".to_owned())].into_iter(), "Exact");
    let many = |at: usize| {
        headers(
            (0..16).map(|one| (format!("x-{}", (at + one * 7) % 97), "1".into())),
            "Exact",
        )
    };
    let open = |at: usize| {
        let all = (0..8).map(|one| (format!("x-{one}"), format!("[a-z]*{at}.*{one}")));
        headers(all, "RegularExpression")
    };
    vec![
        (
            "hosts of their own",
            routes("hN.x", |at| format!("path: {{value: /p{at}}}")),
        ),
        (
            "paths of their own",
            routes("a.x", |at| format!("path: {{value: /p{at}}}")),
        ),
        (
            "wildcards of their own",
            routes("'*.hN.x'", |at| format!("path: {{value: /p{at}}}")),
        ),
        ("all the same", routes("a.x", |_| "path: {value: /}".into())),
        ("a header each", routes("a.x", one)),
        ("sixteen headers each", routes("a.x", many)),
        ("expressions of headers", routes("a.x", open)),
        (
            "expressions of paths",
            routes("a.x", |at| regex(format!("/[a-z]*{at}.*"))),
        ),
        (
            "large expressions",
            routes("a.x", |at| regex(format!("/.*a[a-z]{{9}}{at}"))),
        ),
        (
            "expressions of Unicode",
            routes("a.x", |at| regex(format!("/\\w+{at}\\W*\\w+"))),
        ),
    ]
}

/// As large a write as there may be, and one route of it that is written again among the others.
#[test]
#[ignore = "a time, which means something only in a release build"]
fn the_largest_write_holds_the_writer_for_less_than_a_moment() {
    let of_team = super::document("a").replace("{name: a}", "{name: a, namespace: team}");
    let strict = ["default", "team"].map(|namespace| {
        super::policy(
            namespace,
            "duplicate: error, overlap: error, shadowed: error, capture: error",
        )
    });
    let before: Vec<&str> = ["a", &of_team, &strict[0], &strict[1]].into();
    let empty = put(World::empty(HistoryId([0; 16])), &before).world;
    for views in [1, 8] {
        let gateways: Vec<String> = (1..views)
            .map(|at| {
                let named =
                    format!("{{name: g{at}, annotations: {{sluice.dev/proxy-selector: zone=z{at}}}}}");
                EDGE.replace("{name: edge}", &named)
                    .replace("port: 80,", "port: 81,")
            })
            .collect();
        let gateways: Vec<&str> = gateways.iter().map(String::as_str).collect();
        let empty = put(empty.clone(), &gateways).world;
        for (name, routes) in writes() {
            let all: Vec<&str> = routes.iter().map(String::as_str).collect();
            let changed = put(empty.clone(), &all);
            judged(&format!("{name}, {views} views"), &empty, &changed);
            let again = routes[0].replace(A, "{name: a, weight: 5}");
            let one = put(changed.world.clone(), &[&again]);
            judged(
                &format!("{name}, {views} views, one of them again"),
                &changed.world,
                &one,
            );
        }
    }
}

/// Judges a change three times, and prints the shortest time.
fn judged(name: &str, before: &World, changed: &Changed) {
    let times = (0..3).map(|_| {
        let changed = changed.clone();
        let began = Instant::now();
        let author = Author {
            may_be_refused: true,
            sees: &|_| true,
        };
        let told = judge(before, changed, author).map(|changed| changed.warnings);
        (
            began.elapsed(),
            told.as_ref().err().map_or(0, Vec::len),
            told.map_or(0, |told| told.len()),
        )
    });
    let (took, refused, warned) = times.min_by_key(|(took, ..)| *took).unwrap();
    println!("{name}: {took:?}, {refused} refusals, {warned} warnings");
    assert!(took < Duration::from_millis(400), "{name}: {took:?}");
}
