//! What a change brings about for others than those that it touches.

use sluice_intent::{Format, ResourceId, parse};
use sluice_model::{HistoryId, Revision};

use super::change::{judged, told};
use super::{A, B, EDGE, ROOT, document, policy, put, route, said};
use crate::compile::tests::certificates::certificate;
use crate::compile::{Change, Changed, DanglingRefs, World};
use crate::lint::{Author, judge};

const NOBODY: [&str; 0] = [];

/// What taking a resource away from these documents is answered with.
fn deleted(before: &[&str], id: &str) -> Result<Vec<String>, Vec<String>> {
    let before = put(World::empty(HistoryId([0; 16])), before).world;
    let change = Change::Delete(id.parse().unwrap());
    let changed = before
        .change(vec![change], Revision(2), DanglingRefs::Warn)
        .unwrap();
    weighed(&before, changed, |_| true)
}

fn weighed(
    before: &World,
    changed: Changed,
    sees: impl Fn(&ResourceId) -> bool,
) -> Result<Vec<String>, Vec<String>> {
    let author = Author {
        may_be_refused: true,
        sees: &sees,
    };
    match judge(before, changed, author) {
        Ok(changed) => Ok(told(changed.warnings)),
        Err(refused) => Err(told(refused)),
    }
}

fn ok(lines: &[&str]) -> Result<Vec<String>, Vec<String>> {
    Ok(lines.iter().map(ToString::to_string).collect())
}

fn refused(lines: &[&str]) -> Result<Vec<String>, Vec<String>> {
    Err(lines.iter().map(ToString::to_string).collect())
}

/// A match for a header and an expression.
fn header(pattern: &str) -> String {
    format!("{{headers: [{{name: x, value: '{pattern}', type: RegularExpression}}]}}")
}

fn exact(path: &str) -> String {
    format!("{{path: {{value: {path}, type: Exact}}}}")
}

#[test]
fn what_several_cover_together_is_told_of_whoever_comes_last() {
    let [with, without, any] = ["a[\\s\\S]*", "([^a][\\s\\S]*)?", "[\\s\\S]*"].map(header);
    let with = route("default", "r", "shop.x", &[(&with, A)]);
    let without = route("default", "s", "shop.x", &[(&without, A)]);
    let any = route("default", "t", "shop.x", &[(&any, A)]);
    let line = "shadowed HTTPRoute/default/t spec.rules[0].matches[0]";
    assert_eq!(judged(&["a", &with, &without], &[&any]), ok(&[line]));
    assert_eq!(judged(&["a", &with], &[&any]), ok(&NOBODY));
    let strict = policy("default", "shadowed: error");
    assert_eq!(
        judged(&["a", &with, &without, &strict], &[&any]),
        refused(&[line])
    );
    let touched = any.replace("{name: a}", "{name: a, weight: 2}");
    assert_eq!(
        judged(&["a", &with, &without, &any, &strict], &[&touched]),
        ok(&[line]),
        "it was so before"
    );
}

#[test]
fn who_is_shadowed_by_a_change_of_others_is_told_and_refuses_it() {
    let regex = "{path: {value: '/a/(b|c)', type: RegularExpression}}";
    let last = route("default", "z", "shop.x", &[(regex, A)]);
    let one = route("default", "r", "shop.x", &[(&exact("/a/b"), A)]);
    let other = route("default", "s", "shop.x", &[(&exact("/a/c"), B)]);
    let line = "shadowed HTTPRoute/default/z spec.rules[0].matches[0]";
    let strict = policy("default", "shadowed: error");
    assert_eq!(judged(&["a", "b", &last, &one], &[&other]), ok(&[line]));
    assert_eq!(
        judged(&["a", "b", &last, &one, &strict], &[&other]),
        refused(&[line])
    );
    let moved = other.replace("{name: b}", "{name: a}, {name: b}");
    assert_eq!(
        judged(&["a", "b", &last, &one, &other, &strict], &[&moved]),
        ok(&NOBODY),
        "it was so before, and is not told of others"
    );
}

#[test]
fn a_listener_that_takes_hosts_of_routes_elsewhere_leaves_them_without_requests() {
    let first = route("default", "r", "shop.x", &[(ROOT, A)]);
    let second = EDGE
        .replace("{name: edge}", "{name: second}")
        .replace("port: 80,", "port: 80, hostname: '*.x',");
    let own = first
        .replace("name: edge", "name: second")
        .replace("{name: r,", "{name: own,");
    let line = "shadowed HTTPRoute/default/r spec.rules[0].matches[0]";
    assert_eq!(judged(&["a", &first], &[&second, &own]), ok(&[line]));
    let strict = policy("default", "shadowed: error");
    assert_eq!(
        judged(&["a", &first, &strict], &[&second, &own]),
        refused(&[line])
    );
    let elsewhere = second.replace("'*.x'", "'*.y'");
    let own = own.replace("shop.x", "shop.y");
    assert_eq!(judged(&["a", &first, &strict], &[&elsewhere, &own]), ok(&NOBODY));
}

#[test]
fn a_capture_is_told_also_where_the_one_that_takes_was_there_first() {
    let backend = document("a").replace("{name: a}", "{name: a, namespace: team}");
    let narrow = route("team", "s", "'*.x'", &[("{path: {value: /pay}}", A)]);
    let deep = narrow.replace("'*.x'", "a.shop.x");
    let general = route("default", "r", "'*.x'", &[(ROOT, A)]);
    let line = "capture HTTPRoute/team/s spec.rules[0].matches[0]";
    for taker in [&narrow, &deep] {
        assert_eq!(judged(&["a", &backend, taker], &[&general]), ok(&[line]));
        let strict = policy("default", "capture: error");
        assert_eq!(
            judged(&["a", &backend, taker, &strict], &[&general]),
            refused(&[line])
        );
        let weighed = general.replace("{name: a}", "{name: a, weight: 3}");
        assert_eq!(
            judged(&["a", &backend, taker, &general, &strict], &[&weighed]),
            ok(&NOBODY),
            "its claims are as they were"
        );
    }
    let own = route("team", "r", "'*.x'", &[(ROOT, A)]);
    assert_eq!(judged(&["a", &backend, &narrow], &[&own]), ok(&NOBODY));
}

#[test]
fn who_stands_behind_what_is_taken_away_takes_its_requests() {
    let of = |namespace: &str| {
        let backend = document("a").replace("{name: a}", &format!("{{name: a, namespace: {namespace}}}"));
        [
            backend,
            route(namespace, "s", "shop.x", &[("{path: {value: /pay}}", A)]),
        ]
        .join("---")
    };
    let general = route("default", "r", "shop.x", &[(ROOT, A)]);
    let before = ["a", &general, &of("one"), &of("two")];
    let line = "capture HTTPRoute/two/s spec.rules[0].matches[0]";
    let idle = "unused Backend/one/a ";
    let found = deleted(&before, "HTTPRoute/one/s");
    assert_eq!(found, ok(&[idle, line]));
    let strict = policy("default", "capture: error");
    let before = ["a", &general, &of("one"), &of("two"), &strict];
    assert_eq!(deleted(&before, "HTTPRoute/one/s"), refused(&[line]));
    assert_eq!(
        deleted(&before, "HTTPRoute/two/s"),
        ok(&["unused Backend/two/a "]),
        "the other took them before"
    );
}

#[test]
fn what_a_change_leaves_without_use_is_told() {
    let first = route("default", "r", "shop.x", &[(ROOT, A)]);
    let other = first.replace("{name: a}", "{name: b}");
    let second = route("default", "s", "other.x", &[(ROOT, B)]);
    assert_eq!(
        judged(&["a", "b", &first, &second], &[&other]),
        ok(&["unused Backend/default/a "])
    );
    let strict = policy("default", "unused: error, noRoutes: error");
    let before = ["a", "b", &*first, &second, &strict];
    assert_eq!(
        judged(&before, &[&other]),
        ok(&["unused Backend/default/a "]),
        "a write is not refused for it"
    );
    assert_eq!(judged(&before, &["c"]), ok(&["unused Backend/default/c "]));
    let lone = EDGE
        .replace("{name: edge}", "{name: second}")
        .replace("port: 80,", "port: 81,");
    assert_eq!(
        judged(&before, &[&lone]),
        ok(&["noRoutes Gateway/default/second "])
    );
    let before = ["a", &*first, &strict];
    let gone = deleted(&before, "HTTPRoute/default/r");
    assert_eq!(
        gone,
        ok(&["noRoutes Gateway/default/edge ", "unused Backend/default/a "])
    );
    assert!(
        said(&["a", &lone, &first, "c", &strict]).contains(&"error unused Backend/default/c ".to_owned()),
        "it stays an error of lint"
    );
    let idle = ["a", "b", "c", &*first, &second, &strict];
    let wider = first.replace("{name: a}", "{name: a}, {name: b}");
    assert_eq!(
        judged(&idle, &[&wider]),
        ok(&NOBODY),
        "what was idle before is not told"
    );
}

#[test]
fn routes_whose_certificate_is_another_one_now_are_told() {
    let edge = EDGE.replace(
        "{name: http, port: 80, protocol: HTTP,",
        "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: web}]},",
    );
    let strict = policy("default", "uncovered: error");
    let other = certificate("other", &["c.x.com"]);
    let routes = route("default", "r", "a.x.com, b.x.com", &[(ROOT, A)]);
    let documents = [
        &*edge,
        &certificate("web", &["a.x.com"]),
        &other,
        &document("a"),
        &routes,
        &strict,
    ];
    let read = |yaml: &str| parse(yaml.as_bytes(), Format::Yaml, "default").unwrap();
    let apply = |world: &World, yaml: &str| {
        let changes = read(yaml).into_iter().map(Change::Put).collect();
        let revision = Revision(world.revision().0 + 1);
        world.change(changes, revision, DanglingRefs::Warn).unwrap()
    };
    let before = apply(&World::empty(HistoryId([0; 16])), &documents.join("---")).world;
    let after = |yaml: &str| weighed(&before, apply(&before, yaml), |_| true);
    let line = "uncovered HTTPRoute/default/r spec.hostnames[0]";
    assert_eq!(
        after(&certificate("web", &["b.x.com"])),
        refused(&[line]),
        "the Secret's"
    );
    assert_eq!(
        after(&edge.replace("name: web", "name: other")),
        refused(&[line]),
        "the Gateway's"
    );
    assert_eq!(after(&certificate("web", &["a.x.com", "d.x.com"])), ok(&NOBODY));
}

#[test]
fn what_others_wrote_is_concealed_from_those_who_may_not_read_it() {
    let secret = "{headers: [{name: x-key, value: hunter2}], path: {value: /pay}}";
    let backend = document("a").replace("{name: a}", "{name: a, namespace: team}");
    let narrow = route("team", "s", "shop.x", &[(secret, A)]);
    let general = route("default", "r", "shop.x", &[(ROOT, A)]);
    let before = put(World::empty(HistoryId([0; 16])), &["a", &backend, &narrow]).world;
    let changed = || put(before.clone(), &[&general]);
    let author = |sees| Author {
        may_be_refused: true,
        sees,
    };
    let all = judge(&before, changed(), author(&|_| true)).unwrap().warnings;
    assert!(all[0].message.contains("hunter2"), "{all:?}");
    let own = |id: &ResourceId| id.namespace.as_str() == "default";
    let few = judge(&before, changed(), author(&own)).unwrap().warnings;
    assert_eq!(
        told(few.clone()),
        ["capture HTTPRoute/default/r spec.rules[0].matches[0]"]
    );
    let text = format!("{few:?}");
    assert!(
        !text.contains("hunter2") && !text.contains("team") && !text.contains("pay"),
        "{text}"
    );
}

#[test]
fn where_there_is_more_than_a_write_looks_at_it_says_so() {
    let crowd: Vec<String> = (0..70)
        .map(|at| {
            let rules: Vec<String> = (0..16)
                .map(|one| format!("{{path: {{value: /p{at}/{one}}}}}"))
                .collect();
            let rules: Vec<_> = rules.iter().map(|rule| (&**rule, A)).collect();
            route("team", &format!("s{at}"), "shop.x", &rules)
        })
        .collect();
    let backend = document("a").replace("{name: a}", "{name: a, namespace: team}");
    let mut before = vec!["a", &backend];
    before.extend(crowd.iter().map(String::as_str));
    let general = route("default", "r", "shop.x", &[(ROOT, A)]);
    let said = judged(&before, &[&general]).unwrap();
    assert_eq!(
        said.last().map(String::as_str),
        Some("unjudged HTTPRoute/default/r ")
    );
    let near: Vec<_> = before[..5].to_vec();
    let said = judged(&near, &[&general]).unwrap();
    assert!(
        said.iter()
            .all(|line| line.starts_with("capture HTTPRoute/team/s")),
        "{said:?}"
    );
}
