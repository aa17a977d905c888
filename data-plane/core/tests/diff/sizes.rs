//! What there is too much of, and what may be as large as it likes.

use sluice_core::diff::{Bounds, Facet, diff};
use sluice_proto::v1;

use crate::cases::only;
use crate::table::{Table, on, prefix};

#[test]
fn what_there_is_too_much_of_is_said_and_samples_are_given() {
    let rule = |at: usize| {
        let header = v1::ValueMatch {
            name: format!("x-{at}"),
            value: "1".into(),
            regex: false,
        };
        v1::Rule {
            matches: vec![v1::Match {
                headers: vec![header],
                ..prefix("/")
            }],
            ..Default::default()
        }
    };
    let table = |backend| {
        (0..100).fold(Table::new(), |table, at| {
            table.split(&format!("r{at:03}"), "shop.x", rule(at), &[(backend, 1)])
        })
    };
    let bounds = Bounds {
        work: 1_000,
        ..Bounds::default()
    };
    let found = diff(&table("web").open(), &table("api").open(), &bounds);
    assert!(found.coverage.unproven_count > 0);
    let (class, facets) = only(&found);
    assert_eq!((facets, class.is_proven), (vec![Facet::Backends], false));
    assert!((1..100).contains(&class.place_count));
}

#[test]
fn outcomes_of_any_size_are_compared_within_bounds() {
    let heavy = |name: &str, salt: usize| v1::Rule {
        request_headers: Some(v1::HeaderEdit {
            set: (0..60)
                .map(|at| v1::Header {
                    name: format!("x-{at}"),
                    value: format!("{salt}-{}", "v".repeat(4_000)),
                })
                .collect(),
            ..Default::default()
        }),
        ..on(name)
    };
    let table = |salt: usize| {
        (0..40).fold(Table::new(), |table, at| {
            table.split(
                &format!("r{at}"),
                "shop.example",
                heavy("/", salt + at),
                &[("web", 1), ("api", 1)],
            )
        })
    };
    let bounds = Bounds {
        bytes: 1_000_000,
        ..Bounds::default()
    };
    let found = diff(&table(0).open(), &table(1_000).open(), &bounds);
    assert!(found.classes.is_empty() && found.coverage.unproven_count == 1);
    assert_eq!(
        found.coverage.unproven[0].reason,
        "outcomes with too many headers"
    );
    let found = diff(&table(0).open(), &table(1_000).open(), &Bounds::default());
    assert_eq!((found.classes.len(), found.coverage.unproven_count), (1, 0));
}
