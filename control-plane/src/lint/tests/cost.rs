//! What looking at everything costs.

use std::time::Duration;

use sluice_model::HistoryId;

use super::{A, put, route};
use crate::compile::World;
use crate::lint::lint_world;

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
    let began = std::time::Instant::now();
    let report = lint_world(&world);
    let took = began.elapsed();
    println!("{took:?}, {} findings, {:?}", report.items.len(), report.notes);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(report.items.len(), 0);
}
