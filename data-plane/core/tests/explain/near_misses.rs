//! Near misses by example: what is told of each, and how far they are looked for.

use sluice_core::ExplainBounds;

use crate::{
    CLIENT,
    rules::{asked, ruled, wanted},
    world::{World, full},
};

#[test]
fn every_near_miss_says_which_predicate_failed_first_and_never_what_the_request_said() {
    let mut world = World::default();
    let here = vec![
        wanted("/a/b", "", None, None),
        wanted("/a", "", None, None),
        wanted("/a/b", "POST", None, None),
        wanted("/a/b", "GET", Some(("x-a", "1")), None),
        wanted("/a/b", "GET", Some(("x-b", "1")), None),
        wanted("/a/b", "GET", None, Some(("q", "1"))),
        wanted("/a/b", "GET", Some(("authorization", "key")), None),
        wanted("/a/c", "", None, None),
        wanted("/z", "", None, None),
    ];
    // `a.x.com` is a listener of its own on port 80; `x.com` is for the one of any host.
    ruled(&mut world, 0, 0, "x.com", here);
    ruled(&mut world, 1, 1, "*.x.com", vec![wanted("/", "", None, None)]);
    ruled(&mut world, 2, 3, "", vec![wanted("/", "", None, None)]);
    ruled(&mut world, 3, 0, "www.x.com", vec![wanted("/", "", None, None)]);
    let explained =
        full(&world.resources(), 1).explain(Some(80), &asked("x.com", "/a/b/c").view(), CLIENT, 0);
    let told: Vec<_> = explained
        .near_misses
        .iter()
        .map(|miss| (&*miss.rule, miss.lost_by, &*miss.detail, miss.precedence))
        .collect();
    let before = "all holds, and match 0 of rule/default/r0/0 goes before it: its path is longer";
    let wild = "its route is attached to listener/default/edge/wild (port 80, *.x.com)";
    let alt = "its route is attached to listener/default/edge/alt (port 81, any host)";
    let expected = [
        ("rule/default/r0/1", "precedence", before, Some("path")),
        (
            "rule/default/r0/5",
            "query",
            "q=1 is asked for; the request has another value",
            None,
        ),
        (
            "rule/default/r0/3",
            "header",
            "x-a: 1 is asked for; the request has another value",
            None,
        ),
        (
            "rule/default/r0/4",
            "header",
            "x-b: 1 is asked for; the request lacks it",
            None,
        ),
        (
            "rule/default/r0/6",
            "header",
            "a certain authorization is asked for; the request lacks it",
            None,
        ),
        ("rule/default/r0/2", "method", "POST is asked for, not GET", None),
        ("rule/default/r0/7", "path", "/a/b/c is not below /a/c", None),
        ("rule/default/r0/8", "path", "/a/b/c is not below /z", None),
        (
            "rule/default/r3/0",
            "host",
            "its route is for www.x.com, not x.com",
            None,
        ),
        ("rule/default/r1/0", "listener", wild, None),
        ("rule/default/r2/0", "listener", alt, None),
    ];
    assert_eq!(told, expected);
    assert_eq!((explained.near_miss_count, explained.is_complete), (11, true));
    assert!(!format!("{explained:?}").contains("secret"), "{explained:?}");
}

#[test]
fn where_values_are_not_told_names_are() {
    let mut world = World::default();
    let matches = vec![
        wanted("/", "", Some(("x-a", "of-the-rule")), None),
        wanted("/", "", None, Some(("q", "of-the-rule"))),
    ];
    ruled(&mut world, 0, 0, "x.com", matches);
    let bounds = ExplainBounds {
        tells_values: false,
        ..ExplainBounds::default()
    };
    let snapshot = full(&world.resources(), 1);
    let explained = snapshot.explain_within(80, &asked("x.com", "/a").view(), CLIENT, 0, &bounds);
    let told: Vec<_> = explained.near_misses.iter().map(|miss| &*miss.detail).collect();
    let expected = [
        "a certain q is asked for; the request has another value",
        "a certain x-a is asked for; the request has another value",
    ];
    assert_eq!(told, expected);
    assert!(!format!("{explained:?}").contains("of-the-rule"), "{explained:?}");
}

#[test]
fn near_misses_are_looked_for_as_far_as_the_bounds_say_and_no_further() {
    let mut world = World::default();
    let many = |path: &'static str| (0..100).map(move |_| wanted(path, "POST", None, None));
    let matches = many("/a").chain(many("/b")).collect();
    ruled(&mut world, 0, 0, "x.com", matches);
    let snapshot = full(&world.resources(), 1);
    let request = asked("x.com", "/a");
    let found = |near_misses, examined| {
        let bounds = ExplainBounds {
            near_misses,
            examined,
            ..ExplainBounds::default()
        };
        let explained = snapshot.explain_within(80, &request.view(), CLIENT, 0, &bounds);
        (
            explained.near_misses.len(),
            explained.near_miss_count,
            explained.is_complete,
        )
    };
    assert_eq!(found(10, 50), (10, 50, false));
    assert_eq!(
        found(10, 150),
        (10, 149, false),
        "a place of the table was looked at"
    );
    assert_eq!(found(500, 1_000), (200, 200, true));
}
