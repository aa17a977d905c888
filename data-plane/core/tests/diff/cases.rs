//! What is found, by example.

use sluice_core::{
    Difference, Entry, ResourceSet, Snapshot,
    diff::{Bounds, Class, Diff, Facet, PathPlace, Verdict, diff},
    reach,
};
use sluice_proto::v1;

use crate::{
    state::weighted,
    world::{full, key},
};

const LISTENER: &str = "listener/default/edge/http";

/// Resources by hand.
#[derive(Default)]
struct Table(Vec<Entry>);

fn listener(port: u32, hostname: &str) -> v1::Listener {
    v1::Listener {
        port,
        hostname: hostname.into(),
        protocol: v1::listener::Protocol::Http as i32,
        ..Default::default()
    }
}

fn prefix(path: &str) -> v1::Match {
    let path = v1::PathMatch {
        kind: v1::path_match::Kind::Prefix.into(),
        value: path.into(),
    };
    v1::Match {
        path: Some(path),
        ..Default::default()
    }
}

fn redirect(hostname: &str) -> v1::Rule {
    v1::Rule {
        redirect: Some(v1::Redirect {
            hostname: hostname.into(),
            status: 302,
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Table {
    fn new() -> Self {
        let mut table = Self::default().put(LISTENER, &listener(80, ""));
        for name in ["web", "api"] {
            let backend = v1::Backend {
                protocol: v1::backend::Protocol::Http as i32,
                ..Default::default()
            };
            table = table.put(&format!("backend/default/{name}"), &backend);
        }
        table
    }

    fn put(mut self, name: &str, message: &impl prost::Message) -> Self {
        self.0.retain(|entry| entry.key != key(name));
        self.0.push(Entry::new(key(name), message));
        self
    }

    /// A route of one rule on `hostname`.
    fn route(self, name: &str, hostname: &str, rule: &v1::Rule) -> Self {
        let route = v1::Route {
            creation_revision: 1,
            attachments: vec![v1::Attachment {
                listener: LISTENER.into(),
                hostnames: vec![hostname.into()],
            }],
        };
        self.put(&format!("route/default/{name}"), &route)
            .put(&format!("rule/default/{name}/main"), rule)
    }

    /// The same, with a split.
    fn split(self, name: &str, hostname: &str, rule: v1::Rule, weights: &[(&str, u32)]) -> Self {
        let target = format!("split/default/{name}/main");
        let backends = weights.iter().map(|(backend, weight)| weighted(backend, *weight));
        let split = v1::Split {
            backends: backends.collect(),
        };
        let rule = v1::Rule {
            target: target.clone(),
            ..rule
        };
        self.put(&target, &split).route(name, hostname, &rule)
    }

    fn open(self) -> Snapshot {
        full(
            &ResourceSet::empty().apply(&Difference {
                upserts: self.0,
                removals: vec![],
            }),
            1,
        )
    }
}

fn on(path: &str) -> v1::Rule {
    v1::Rule {
        matches: vec![prefix(path)],
        ..Default::default()
    }
}

fn compare(before: Table, after: Table) -> Diff {
    let found = diff(&before.open(), &after.open(), &Bounds::default());
    assert_eq!(found.coverage.unproven_count, 0);
    found
}

fn only(found: &Diff) -> (&Class, Vec<Facet>) {
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
    let rule = |pattern: &str| {
        let path = v1::PathMatch {
            kind: v1::path_match::Kind::Regex.into(),
            value: pattern.into(),
        };
        v1::Rule {
            matches: vec![v1::Match {
                path: Some(path),
                ..Default::default()
            }],
            ..Default::default()
        }
    };
    let table = |pattern: &str| {
        Table::new().split("all", "shop.x", on("/"), &[("web", 1)]).split(
            "one",
            "shop.x",
            rule(pattern),
            &[("api", 1)],
        )
    };
    // Prefixes stand before expressions, so it takes nothing.
    assert!(compare(table("/v[0-9]+"), table("/v[1-9]+")).classes.is_empty());
    let table = |pattern: &str| Table::new().split("one", "shop.x", rule(pattern), &[("api", 1)]);
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
    let said: Vec<_> = found
        .unreached
        .iter()
        .map(|one| (&*one.rule, one.match_index))
        .collect();
    assert_eq!(
        said,
        [("rule/default/second/main", 0), ("rule/default/second/main", 2)]
    );
    let taken = found.unreached[0].taken.as_ref().unwrap();
    assert_eq!(
        (&*taken.rule, taken.match_index, taken.is_duplicate),
        ("rule/default/first/main", 0, true)
    );
    assert_eq!(taken.witness, "GET http://shop.example:80/a");
    assert_eq!(
        found.unreached[1].taken, None,
        "an expression that matches nothing"
    );
    assert!(found.is_proven);
}
