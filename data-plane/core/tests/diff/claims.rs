//! Who claims the same requests, and who gets none.

use std::collections::BTreeSet;

use sluice_core::claims::{Budget, Claim, Clashes, Meeting, Reason, captures, clashes, moved, near};
use sluice_core::{Cause, Snapshot, reach, reach_of};
use sluice_proto::v1;

use crate::table::{Table, expression, on, prefix, redirect};
use crate::world::key;

fn named(claim: &Claim) -> (&str, usize) {
    (claim.rule.as_str(), claim.match_index)
}

/// A rule for `GET` or another method, and this header, on `path`; it does what no other does.
fn asks(path: &str, method: &str, header: &str) -> v1::Rule {
    let header = header.split_once('=').map(|(name, value)| v1::ValueMatch {
        name: name.into(),
        value: value.trim_start_matches('~').into(),
        regex: value.starts_with('~'),
    });
    v1::Rule {
        matches: vec![v1::Match {
            method: method.into(),
            headers: header.into_iter().collect(),
            ..prefix(path)
        }],
        ..redirect(&format!("{}.example", path.len() + method.len()))
    }
}

/// A rule for the paths that match; it does what no other does.
fn matching(pattern: &str) -> v1::Rule {
    v1::Rule {
        redirect: redirect(&format!("{}.example", pattern.len())).redirect,
        ..expression(pattern)
    }
}

fn all(snapshot: &Snapshot) -> Clashes {
    let found = clashes(snapshot, None, 2_000, &mut Budget::new(Budget::TABLE));
    assert!(found.is_complete && found.omitted == 0);
    found
}

/// Meeting, winner, loser and reason of the only clash of two routes, `a` the older, in namespaces of their own
/// when `is_foreign`.
fn met(a: &v1::Rule, b: &v1::Rule, is_foreign: bool) -> Option<(Meeting, String, Reason)> {
    let second = if is_foreign { "team/b" } else { "default/b" };
    let table = Table::new().aged(1, "default/a", "shop.x", a);
    let found = all(&table.aged(2, second, "shop.x", b).open());
    assert!(found.found.len() <= 1, "{:?}", found.found);
    let one = found.found.into_iter().next()?;
    Some((one.meeting, one.winner.rule.segment(1).to_owned(), one.reason))
}

#[test]
fn what_two_rules_at_one_path_have_in_common_is_told_unless_one_is_plainly_narrower() {
    let a = |meeting, reason| Some((meeting, "a".to_owned(), reason));
    let get = || asks("/a", "GET", "");
    let header = || asks("/a", "", "x-a=1");
    assert_eq!(met(&on("/a"), &on("/a"), false), a(Meeting::Same, Reason::Age));
    assert_eq!(
        met(&on("/a"), &on("/a/"), false),
        a(Meeting::Same, Reason::Age),
        "the same path"
    );
    assert_eq!(met(&get(), &header(), false), a(Meeting::Crossed, Reason::Method));
    assert_eq!(
        met(&header(), &get(), false),
        Some((Meeting::Crossed, "b".to_owned(), Reason::Method)),
        "age comes after"
    );
    let other = asks("/a", "", "x-b=1");
    assert_eq!(met(&header(), &other, false), None, "both do the same");
    let other = v1::Rule {
        redirect: redirect("else.example").redirect,
        ..other
    };
    assert_eq!(met(&header(), &other, false), a(Meeting::Crossed, Reason::Age));
    let open = asks("/a", "", "x-a=~[0-9]+");
    assert_eq!(met(&open, &header(), false), a(Meeting::Covered, Reason::Age));
    assert_eq!(met(&header(), &open, false), None, "the older is the narrower");
    let open = |pattern: &str| v1::Rule {
        redirect: redirect(&format!("p{}.example", pattern.len())).redirect,
        ..asks("/a", "", &format!("x-a=~{pattern}"))
    };
    assert_eq!(
        met(&open("a.*"), &open(".*bc"), false),
        a(Meeting::Crossed, Reason::Age)
    );
    assert_eq!(met(&open("a.*"), &open("b.*c"), false), None);
    for (one, other) in [
        (on("/a"), on("/b")),
        (on("/a"), on("/a/b")),
        (on("/a"), get()),
        (get(), asks("/a", "POST", "")),
        (header(), asks("/a", "", "x-a=2")),
    ] {
        assert_eq!(met(&one, &other, false), None, "{one:?} {other:?}");
    }
}

#[test]
fn expressions_of_paths_are_compared_by_what_they_match() {
    let a = |meeting| Some((meeting, "a".to_owned(), Reason::Age));
    let met = |one: &str, other: &str| met(&matching(one), &matching(other), false);
    assert_eq!(met("/v[0-9]+/.*", "/.*/pay"), a(Meeting::Crossed));
    assert_eq!(met("/v[0-9]+/.*", "/v1/pay/[a-z]*"), a(Meeting::Covered));
    assert_eq!(met("/v1/pay", "/v[0-9]+/.*"), None, "an exception, and older");
    assert_eq!(met("/v[0-9]+", "/w[0-9]+"), None);
    assert_eq!(met("/a|/bb", "/bb|/a"), a(Meeting::Same));
}

#[test]
fn who_takes_requests_of_another_namespace_is_told_and_who_takes_its_own_is_not() {
    let b = Some((Meeting::Captured, "b".to_owned(), Reason::Place));
    assert_eq!(met(&on("/"), &on("/pay"), true), b);
    assert_eq!(met(&on("/"), &on("/pay"), false), None);
    assert_eq!(met(&on("/a"), &on("/pay"), true), None);
    let narrow = Some((Meeting::Captured, "b".to_owned(), Reason::Headers));
    assert_eq!(met(&on("/a"), &asks("/a", "", "x-a=1"), true), narrow);
    assert_eq!(
        met(&on("/a"), &on("/a"), true).map(|found| found.0),
        Some(Meeting::Same),
        "told once"
    );
    let hosts = |general: &str, narrow: &str| {
        let table = Table::new().aged(1, "default/a", general, &on("/"));
        let found = all(&table.aged(2, "team/b", narrow, &on("/pay")).open()).found;
        found.first().map(|one| (one.meeting, one.witness.url()))
    };
    assert_eq!(
        hosts("*.x", "shop.x"),
        Some((Meeting::Captured, "http://shop.x/pay".to_owned()))
    );
    assert_eq!(hosts("", "shop.x"), None, "every hostname is nobody's");
    assert_eq!(hosts("shop.y", "shop.x"), None);
}

#[test]
fn a_duplicate_hides_from_nobody_whose_requests_are_taken() {
    let table = Table::new()
        .aged(1, "default/a", "shop.x", &on("/"))
        .aged(2, "team/b", "shop.x", &on("/pay"))
        .aged(3, "team/c", "shop.x", &on("/pay"));
    let found = all(&table.open()).found;
    let captured = found.iter().filter(|one| one.meeting == Meeting::Captured);
    let captured: Vec<_> = captured
        .map(|one| [one.winner.rule.as_str(), one.loser.rule.as_str()])
        .collect();
    assert_eq!(captured, [["rule/team/b/main", "rule/default/a/main"]]);
}

#[test]
fn a_witness_is_told_without_the_credentials_that_rules_ask_for() {
    let table = Table::new().aged(1, "default/a", "shop.x", &on("/a")).aged(
        2,
        "team/b",
        "shop.x",
        &asks("/a", "", "authorization=Bearer-hunter2"),
    );
    let found = all(&table.open()).found;
    let witness = &found[0].witness;
    assert!(format!("{witness:?}").contains("hunter2"), "{witness:?}");
    let told = witness.clone().without_credentials();
    let named = |(name, value): &(String, String)| name == "authorization" && value == "a-certain-value";
    assert!(told.headers.iter().any(named), "{told:?}");
}

#[test]
fn a_change_is_compared_with_its_neighbours_and_with_nobody_else() {
    let table = |routes: usize| {
        let base = Table::new()
            .aged(1, "default/a", "shop.x", &asks("/a", "GET", ""))
            .aged(2, "default/b", "shop.x", &asks("/a", "", "x-a=1"));
        let more = (0..routes).fold(base, |table, at| {
            let name = format!("default/r{at}");
            table.aged(3, &name, &format!("h{at}.x"), &on("/a"))
        });
        more.open()
    };
    let look = |routes, rule: &str| {
        let of = BTreeSet::from([key(&format!("rule/default/{rule}/main"))]);
        clashes(&table(routes), Some(&of), 100, &mut Budget::new(20_000))
    };
    let [few, many] = [10, 300].map(|routes| look(routes, "b"));
    assert_eq!(few.found.len(), 1, "the one that loses is looked at");
    assert_eq!(named(&few.found[0].loser), ("rule/default/b/main", 0));
    assert_eq!(few.work, many.work);
    assert_eq!(look(10, "a").found.len(), 1, "and so is the one that wins");
    assert_eq!(look(10, "r1").found.len(), 0);
}

#[test]
fn past_the_bound_it_is_said_that_not_all_was_compared() {
    let table = (0..30).fold(Table::new(), |table, at| {
        let rule = v1::Rule {
            redirect: redirect(&format!("r{at}.example")).redirect,
            ..asks("/a", "", &format!("x-{at}=1"))
        };
        table.aged(1, &format!("default/r{at:02}"), "shop.x", &rule)
    });
    let snapshot = table.open();
    let of = |work, found| {
        let all = clashes(&snapshot, None, found, &mut Budget::new(work));
        (all.found.len(), all.omitted, all.is_complete)
    };
    assert_eq!(of(100_000, 1_000), (435, 0, true));
    assert_eq!(of(100_000, 10), (10, 425, true));
    let (found, omitted, is_complete) = of(100, 1_000);
    assert!((1..=100).contains(&found) && omitted == 0 && !is_complete);
}

#[test]
fn a_path_that_is_never_so_takes_nothing_and_an_expression_behind_a_prefix_is_taken() {
    let exact = |path: &str| {
        let mut rule = on(path);
        let kind = v1::path_match::Kind::Exact.into();
        rule.matches[0].path.as_mut().unwrap().kind = kind;
        rule
    };
    let snapshot = Table::new()
        .route("a", "shop.x", &on("/a"))
        .route("dots", "shop.x", &exact("/b/../c"))
        .route("late", "shop.x", &expression("/a/[0-9]+"))
        .route("never", "shop.x", &expression("a/[0-9]+"))
        .route("fine", "shop.x", &expression("/c/[0-9]+"))
        .open();
    let found = reach(&snapshot).unwrap();
    let causes: Vec<_> = found
        .unreached
        .iter()
        .map(|one| (one.claim.rule.segment(1), &one.cause))
        .collect();
    assert_eq!(causes.len(), 3, "{causes:?}");
    assert_eq!(
        (causes[0], causes[2]),
        (("dots", &Cause::Path), ("never", &Cause::Path))
    );
    let Cause::Taken(taken) = causes[1].1 else {
        panic!("{causes:?}");
    };
    assert_eq!(
        (causes[1].0, taken.by.rule.as_str()),
        ("late", "rule/default/a/main")
    );
    assert_eq!(taken.witness.path, "/a/0");
}

#[test]
fn a_match_behind_another_is_not_reached_and_who_takes_its_requests_is_said() {
    let headers = |value: &str, regex| v1::ValueMatch {
        name: "x-a".into(),
        value: value.into(),
        regex,
    };
    let both = v1::Rule {
        matches: vec![
            prefix("/a"),
            v1::Match {
                headers: vec![headers("1", false)],
                ..prefix("/b")
            },
        ],
        ..redirect("one.example")
    };
    let later = v1::Rule {
        matches: vec![
            prefix("/a"),
            prefix("/b"),
            v1::Match {
                headers: vec![headers("[^\\s\\S]", true)],
                ..prefix("/c")
            },
        ],
        ..redirect("two.example")
    };
    let snapshot = Table::new()
        .route("first", "shop.example", &both)
        .route("second", "shop.example", &later)
        .open();
    let found = reach(&snapshot).unwrap();
    let said: Vec<_> = found.unreached.iter().map(|one| named(&one.claim)).collect();
    assert_eq!(
        said,
        [("rule/default/second/main", 0), ("rule/default/second/main", 2)]
    );
    let Cause::Taken(taken) = &found.unreached[0].cause else {
        panic!("{:?}", found.unreached);
    };
    assert_eq!(named(&taken.by), ("rule/default/first/main", 0));
    assert_eq!(taken.witness.url(), "http://shop.example/a");
    assert_eq!(
        found.unreached[1].cause,
        Cause::Value,
        "an expression that matches nothing"
    );
    assert!(found.is_proven);
}

/// Rules of many kinds that stand in each other's way, all on one host.
fn crowd(rules: usize) -> Snapshot {
    let rule = |at: usize| {
        let own = match at % 4 {
            0 => matching(&format!("/[a-z]*{at}.*")),
            1 => asks("/", "", &format!("x-a=~[a-z]*{at}.*")),
            2 => asks("/", "GET", &format!("x-{at}=1")),
            _ => on(&format!("/p{at}")),
        };
        v1::Rule {
            redirect: redirect(&format!("r{at}.example")).redirect,
            ..own
        }
    };
    let namespaces = ["default", "team"];
    let routes = (0..rules).fold(Table::new(), |table, at| {
        let name = format!("{}/r{at:04}", namespaces[at % 2]);
        table.aged(1, &name, "shop.x", &rule(at))
    });
    routes.open()
}

#[test]
fn all_passes_of_a_look_share_one_budget_and_do_the_same_each_time() {
    let snapshot = crowd(60);
    let keys: BTreeSet<_> = snapshot.rules().map(|rule| rule.rule.key.clone()).collect();
    let look = |steps| {
        let mut budget = Budget::new(steps);
        let before = Snapshot::empty(sluice_model::HistoryId([0; 16]));
        let moved = moved(&before, &snapshot, &mut budget);
        let near = near(&before, &snapshot, &moved, &mut budget);
        let found = budget.part(3, |budget| clashes(&snapshot, Some(&keys), 10_000, budget));
        let taken = budget.part(2, |budget| captures(&snapshot, &keys, 10_000, budget));
        let missed = reach_of(&snapshot, &keys, &mut budget).unwrap();
        let complete = [
            near.is_complete,
            found.is_complete,
            taken.is_complete,
            missed.is_proven,
        ];
        let found = [found.found.len(), taken.found.len(), missed.unreached.len()];
        (complete, found, budget.done())
    };
    let (complete, found, done) = look(20_000_000);
    assert_eq!(complete, [true; 4], "{done}");
    assert_eq!(look(20_000_000), ([true; 4], found, done));
    for steps in [0, 1_000, done / 100, done / 10] {
        let (complete, fewer, needed) = look(steps);
        assert!(complete != [true; 4], "{steps}");
        assert!(
            fewer.iter().zip(found).all(|(fewer, all)| *fewer <= all),
            "{fewer:?} {found:?}"
        );
        // One automaton may be made with the last step.
        assert!(needed <= steps + 300_000, "{needed} of {steps}");
        assert_eq!(look(steps), (complete, fewer, needed));
    }
}
