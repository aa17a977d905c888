//! What is found, by example.

use sluice_core::diff::{Bounds, Class, Diff, Facet, PathPlace, Verdict, diff};
use sluice_proto::v1;

use crate::table::{LISTENER, Table, expression, listener, on, prefix, redirect};

fn compare(before: Table, after: Table) -> Diff {
    let found = diff(&before.open(), &after.open(), &Bounds::default());
    assert_eq!(found.coverage.unproven_count, 0);
    found
}

pub(crate) fn only(found: &Diff) -> (&Class, Vec<Facet>) {
    assert_eq!(found.classes.len(), 1, "{:#?}", found.classes);
    let class = &found.classes[0];
    (class, class.facets.iter().copied().collect())
}

#[test]
fn another_name_for_the_same_is_no_difference() {
    let table = |name| Table::new().split(name, "shop.x", on("/a"), &[("web", 1), ("api", 3)]);
    assert!(compare(table("old"), table("new")).classes.is_empty());
    // Written in another way, and still the same.
    let twice = Table::new().split("new", "shop.x", on("/a/"), &[("api", 30), ("web", 5), ("web", 5)]);
    assert!(compare(table("old"), twice).classes.is_empty());
}

#[test]
fn what_fails_from_now_on_comes_first() {
    let before = Table::new()
        .split("a", "shop.x", on("/a"), &[("web", 1)])
        .split("b", "shop.x", on("/b"), &[("web", 1), ("api", 1)])
        .split("c", "shop.x", on("/c"), &[("web", 1)])
        .route("d", "d.x", &redirect("old.x"));
    let after = Table::new()
        .split("b", "shop.x", on("/b"), &[("web", 3), ("api", 1)])
        .split("c", "shop.x", on("/c"), &[("web", 1), ("", 1)])
        .route("d", "d.x", &redirect("new.x"));
    let found = compare(before, after);
    let facets: Vec<_> = found
        .classes
        .iter()
        .map(|class| class.facets.first().copied().unwrap())
        .collect();
    assert_eq!(
        facets,
        [Facet::Status, Facet::Backends, Facet::Redirect, Facet::Shares]
    );
    let moved: Vec<_> = found
        .shifts
        .iter()
        .map(|shift| {
            (
                shift.target.as_str(),
                shift.weights_moved_percent.unwrap().round(),
            )
        })
        .collect();
    assert_eq!(
        moved,
        [("split/default/b/main", 25.0), ("split/default/c/main", 50.0)]
    );
}

#[test]
fn a_class_says_where_it_is_and_shows_a_request() {
    let header = v1::ValueMatch {
        name: "x-beta".into(),
        value: "yes".into(),
        regex: false,
    };
    let beta = v1::Match {
        method: "POST".into(),
        headers: vec![header],
        query: vec![v1::ValueMatch {
            name: "q r".into(),
            value: "1&2".into(),
            regex: false,
        }],
        ..prefix("/a")
    };
    let beta = v1::Rule {
        matches: vec![beta],
        ..Default::default()
    };
    let before = || Table::new().split("all", "*.shop.x", on("/"), &[("web", 1)]);
    let found = compare(before(), before().split("beta", "*.shop.x", beta, &[("api", 1)]));
    let (class, facets) = only(&found);
    assert_eq!(facets, [Facet::Backends]);
    let place = &class.places[0];
    assert_eq!(
        (place.host.as_str(), &place.path),
        ("*.shop.x", &PathPlace::Prefix("/a".into()))
    );
    assert_eq!(place.method.as_deref(), Some("POST"));
    assert_eq!(
        (&place.headers[..], &place.query[..]),
        (&["x-beta: yes".to_owned()][..], &["q r=1&2".to_owned()][..])
    );
    let witness = &class.witness;
    assert_eq!(
        (witness.method.as_str(), witness.url()),
        ("POST", "http://any.shop.x/a?q%20r=1%262".into())
    );
    assert_eq!(witness.headers, [("x-beta".to_owned(), "yes".to_owned())]);
}

#[test]
fn a_listener_that_takes_hosts_away_from_another_is_a_difference_without_a_changed_route() {
    let before = || Table::new().split("all", "", on("/"), &[("web", 1)]);
    let after = before().put("listener/default/edge/shop", &listener(80, "shop.x"));
    let found = compare(before(), after);
    let (class, facets) = only(&found);
    assert_eq!(facets, [Facet::Status]);
    assert_eq!(
        (class.after.is_failing(), class.witness.host.as_str()),
        (true, "shop.x")
    );
    assert_eq!(
        class.listener_after.as_deref(),
        Some("listener/default/edge/shop")
    );
    assert_eq!(found.listeners.len(), 1);
}

#[test]
fn a_port_that_opens_answers_where_nothing_did() {
    let found = compare(
        Table::new(),
        Table::new().put("listener/default/edge/b", &listener(81, "b.x")),
    );
    let verdicts: Vec<_> = found
        .classes
        .iter()
        .map(|class| (&class.before.verdict, &class.after.verdict))
        .collect();
    // With the listener of its host, and without any.
    assert_eq!(verdicts, [(&Verdict::Closed, &Verdict::NotFound); 2]);
}

#[test]
fn a_rewrite_written_in_another_way_is_the_same_where_it_leads_to_the_same() {
    use v1::path_edit::Edit;
    let rule = |path: &str, edit| v1::Rule {
        rewrite: Some(v1::Rewrite {
            path: Some(v1::PathEdit { edit: Some(edit) }),
            ..Default::default()
        }),
        ..on(path)
    };
    let table = |rule| Table::new().split("a", "shop.x", rule, &[("web", 1)]);
    let to = |edit: &str| Edit::Prefix(edit.into());
    assert!(
        compare(table(rule("/a", to("/b/"))), table(rule("/a", to("/b"))))
            .classes
            .is_empty()
    );
    assert!(
        compare(table(rule("/a", to("/a"))), table(on("/a")))
            .classes
            .is_empty()
    );
    // `/any` stands for all of them, and is not what one of them says.
    let found = compare(table(rule("/", Edit::Full("/any".into()))), table(on("/")));
    assert_eq!(only(&found).1, [Facet::Rewrite]);
}

#[test]
fn what_an_expression_takes_is_found_in_the_text_and_past_the_bound_said_to_be_unknown() {
    let table = |pattern: &str| {
        Table::new().split("all", "shop.x", on("/"), &[("web", 1)]).split(
            "one",
            "shop.x",
            expression(pattern),
            &[("api", 1)],
        )
    };
    // Prefixes stand before expressions, so it takes nothing.
    assert!(compare(table("/v[0-9]+"), table("/v[1-9]+")).classes.is_empty());
    let table = |pattern: &str| Table::new().split("one", "shop.x", expression(pattern), &[("api", 1)]);
    let found = compare(table("/v[0-9]+"), table("/v[1-9][0-9]*"));
    let (class, facets) = only(&found);
    assert_eq!(facets, [Facet::Status]);
    assert!(
        class.after.is_failing() && class.witness.path.starts_with("/v0"),
        "{:?}",
        class.witness
    );
    assert!(
        compare(table("/v[0-9]+"), table("/v[0-9][0-9]*"))
            .classes
            .is_empty()
    );
    let long = |last: &str| table(&format!("/.*a.{{6}}{last}"));
    let bounds = Bounds {
        states: 50,
        ..Bounds::default()
    };
    let found = diff(&long("").open(), &long("b").open(), &bounds);
    assert!(found.coverage.unproven_count > 0);
    assert!(found.classes.iter().all(|class| !class.is_proven));
}

#[test]
fn one_setting_of_a_backend_is_one_class_and_one_of_a_listener_is_none() {
    let routes = |table: Table| {
        (0..20).fold(table, |table, at| {
            table.split(&format!("r{at}"), "shop.x", on(&format!("/{at}")), &[("web", 1)])
        })
    };
    let slow = v1::Backend {
        protocol: v1::backend::Protocol::Http as i32,
        connect_timeout_ms: 7,
        ..Default::default()
    };
    let found = compare(
        routes(Table::new()),
        routes(Table::new()).put("backend/default/web", &slow),
    );
    let (class, facets) = only(&found);
    assert_eq!(
        (facets, class.place_count, class.places.len()),
        (vec![Facet::Policy], 20, 20)
    );
    let limits = v1::Limits {
        uri_bytes: 99,
        ..Default::default()
    };
    let strict = v1::Listener {
        limits: Some(limits),
        ..listener(80, "")
    };
    let found = compare(routes(Table::new()), routes(Table::new()).put(LISTENER, &strict));
    assert!(found.classes.is_empty());
    let settings: Vec<_> = found.listeners[0]
        .settings
        .iter()
        .map(|one| (one.name, one.after.as_str()))
        .collect();
    assert_eq!(settings, [("uriBytes", "99")]);
}

#[test]
fn a_difference_can_be_sent() {
    let table = |weight| Table::new().split("a", "shop.x", on("/a"), &[("web", weight), ("api", 1)]);
    let found = serde_json::to_value(compare(table(3), table(1))).unwrap();
    let class = &found["classes"][0];
    assert_eq!(class["facets"], serde_json::json!(["shares"]));
    assert_eq!(class["before"]["verdict"]["kind"], "forward");
    assert_eq!(class["before"]["verdict"]["arms"][0]["percent"], 25.0);
    assert_eq!(
        class["places"][0]["path"],
        serde_json::json!({ "kind": "prefix", "value": "/a" })
    );
    assert_eq!(class["witness"]["path"], "/a");
    assert_eq!(found["shifts"][0]["weightsMovedPercent"], 25.0);
    assert_eq!(found["coverage"]["unprovenCount"], 0);
}
