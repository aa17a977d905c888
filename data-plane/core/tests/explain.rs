//! What an explanation tells: of copies, cross-origin requests and the filters of one backend; of the way
//! through the table; and of near misses, against a reference that asks every predicate of every rule.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};
use sluice_core::{Difference, Entry, ExplainBounds, Explanation, RequestView, ResourceSet, Snapshot, Unmet};
use sluice_model::{Key, PathMatch};
use sluice_proto::v1;
use world::{Request, World, full, key, request, world};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn mirror(backend: &str, numerator: u32) -> v1::Mirror {
    v1::Mirror {
        backend: backend.into(),
        numerator,
        denominator: 4,
    }
}

fn split() -> v1::Split {
    let rewrite = v1::Rewrite {
        hostname: "new.example".into(),
        path: None,
    };
    let filters = v1::BackendFilters {
        rewrite: Some(rewrite),
        mirrors: vec![mirror("", 1)],
        ..Default::default()
    };
    v1::Split {
        backends: vec![v1::WeightedBackend {
            backend: "backend/default/web".into(),
            weight: 1,
            filters: Some(filters),
        }],
    }
}

fn snapshot() -> Snapshot {
    let listener = v1::Listener {
        port: 80,
        protocol: v1::listener::Protocol::Http.into(),
        ..Default::default()
    };
    let backend = v1::Backend {
        protocol: v1::backend::Protocol::Http.into(),
        ..Default::default()
    };
    let route = v1::Route {
        creation_revision: 1,
        attachments: vec![v1::Attachment {
            listener: "listener/default/edge/http".into(),
            hostnames: vec![String::new()],
        }],
    };
    let rule = v1::Rule {
        target: "split/default/shop/all".into(),
        mirrors: vec![mirror("backend/default/web", 3)],
        cors: Some(v1::Cors {
            allow_origins: vec!["https://a.example".into()],
            ..Default::default()
        }),
        ..Default::default()
    };
    let upserts = vec![
        Entry::new(key("listener/default/edge/http"), &listener),
        Entry::new(key("backend/default/web"), &backend),
        Entry::new(key("route/default/shop"), &route),
        Entry::new(key("split/default/shop/all"), &split()),
        Entry::new(key("rule/default/shop/all"), &rule),
    ];
    let difference = Difference {
        upserts,
        removals: vec![],
    };
    full(&ResourceSet::empty().apply(&difference), 1)
}

fn explain(method: &Method, headers: &[(&'static str, &'static str)]) -> Value {
    let header = |&(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let request = RequestView {
        method,
        host: "shop.example",
        path: "/",
        query: None,
        headers: &headers,
    };
    serde_json::to_value(snapshot().explain(Some(80), &request, CLIENT, 0)).unwrap()
}

#[test]
fn copies_and_the_filters_of_a_backend_are_told_where_they_apply() {
    let told = explain(&Method::GET, &[("origin", "https://b.example")]);
    assert_eq!(told["listener"], "listener/default/edge/http");
    assert_eq!(
        told["mirrors"],
        json!([{"backend": "backend/default/web", "percent": 75.0}])
    );
    assert_eq!(
        told["cors"],
        json!({"origin": "https://b.example", "allowed": false})
    );
    let outlier = json!({
        "failures": 5, "baseEjectionMs": 30_000, "maxEjectionMs": 300_000, "maxEjectedPercent": 50,
    });
    let expected = json!([{
        "backend": "backend/default/web", "percent": 100.0, "endpoints": 0,
        "policy": {
            "protocol": "http", "connectTimeoutMs": 5_000, "balancing": "twoChoices", "outlier": outlier,
        },
        "filters": ["rewrite"], "mirrors": [{"percent": 25.0}],
    }]);
    assert_eq!(told["decision"]["backends"], expected);
    assert_eq!(told["policy"], json!({"bodyBytes": 1_073_741_824, "attempts": 2}));
}

#[test]
fn a_preflight_is_answered_and_not_sent_on() {
    let asks = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PUT"),
    ];
    let told = explain(&Method::OPTIONS, &asks);
    assert_eq!(told["decision"]["outcome"], "preflight");
    assert_eq!(told["cors"]["allowed"], true);
    assert_eq!(
        explain(&Method::OPTIONS, &asks[..1])["decision"]["outcome"],
        "split"
    );
}

/// A match as a test writes it: path, method, header, query.
fn wanted(path: &str, method: &str, header: Option<(&str, &str)>, query: Option<(&str, &str)>) -> v1::Match {
    let value = |(name, value): (&str, &str)| v1::ValueMatch {
        name: name.into(),
        value: value.into(),
        regex: false,
    };
    v1::Match {
        path: Some(v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: path.into(),
        }),
        method: method.into(),
        headers: header.map(value).into_iter().collect(),
        query: query.map(value).into_iter().collect(),
    }
}

/// One rule for each of `matches`, all of one route at `hostnames` of the listener at that place in
/// [`world::LISTENERS`].
fn ruled(world: &mut World, route: u8, listener: usize, hostname: &'static str, matches: Vec<v1::Match>) {
    world.routes.insert(route, (1, vec![(listener, vec![hostname])]));
    for (rule, one) in (0..).zip(matches) {
        let rule_of = v1::Rule {
            matches: vec![one],
            ..Default::default()
        };
        world.rules.insert((route, rule), rule_of);
    }
}

fn asked(host: &'static str, path: &str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("x-a", HeaderValue::from_static("secret-of-the-client"));
    Request {
        port: 80,
        method: Method::GET,
        host,
        path: path.into(),
        query: Some("q=secret-of-the-query"),
        headers,
    }
}

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
fn the_way_is_told_from_the_port_to_the_decision() {
    let mut world = World::default();
    let matches = vec![wanted("/a/b", "POST", None, None), wanted("/a", "", None, None)];
    ruled(&mut world, 0, 1, "*.x.com", matches);
    let explained = full(&world.resources(), 1).explain(None, &asked("b.x.com", "/a/b").view(), CLIENT, 0);
    let steps: Vec<_> = explained
        .steps
        .iter()
        .map(|step| (step.stage, &*step.found, step.considered.clone()))
        .collect();
    let listener =
        "listener/default/edge/wild: of the hostnames of port 80, *.x.com is the most specific for b.x.com";
    let expected = [
        (
            "port",
            "80: the first where a rule takes the request",
            vec!["81".to_owned()],
        ),
        (
            "listener",
            listener,
            vec!["listener/default/edge/any (port 80, any host): less specific".to_owned()],
        ),
        ("host", "b.x.com is below *.x.com", vec![]),
        (
            "path",
            "/a/b is below /a",
            vec!["below /a/b: 1 match, none takes it".to_owned()],
        ),
        (
            "order",
            "match 0 of rule/default/r0/1 is number 1 of 1 there",
            vec![],
        ),
        (
            "decision",
            "sent on by weight: backend/default/web 100.0%",
            vec![],
        ),
    ];
    assert_eq!(steps, expected);
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

/// The first predicate of a match that does not hold, asked one by one.
fn first_unmet(
    snapshot: &Snapshot,
    request: &Request,
    listener: Option<&Key>,
    rule: &str,
    at: usize,
) -> &'static str {
    let rules: Vec<_> = snapshot
        .rules()
        .filter(|one| one.rule.key.as_str() == rule)
        .collect();
    let attachments = &rules[0].route.attachments;
    let here: Vec<_> = attachments
        .iter()
        .filter(|to| Some(&to.listener) == listener)
        .collect();
    if here.is_empty() {
        return "listener";
    }
    if !here
        .iter()
        .flat_map(|to| &to.hostnames)
        .any(|name| name.matches(request.host))
    {
        return "host";
    }
    let one = &rules[0].rule.matches[at];
    let is_on_path = match &one.path {
        PathMatch::Exact(path) => **path == *request.path,
        PathMatch::Prefix(prefix) => format!("{}/", request.path).starts_with(&format!("{prefix}/")),
        PathMatch::Regex(regex) => regex.is_match(&request.path),
    };
    if !is_on_path {
        return "path";
    }
    match request.view().unmet(one) {
        Some(Unmet::Method(_)) => "method",
        Some(Unmet::Header(_)) => "header",
        Some(Unmet::Query(_)) => "query",
        None => "precedence",
    }
}

/// Every match of a hostname that takes the request on `listener`.
fn reachable(snapshot: &Snapshot, request: &Request, listener: Option<&Key>) -> BTreeSet<(String, usize)> {
    let takes = |rule: &sluice_core::CompiledRule| {
        let here = rule
            .route
            .attachments
            .iter()
            .filter(|to| Some(&to.listener) == listener);
        here.flat_map(|to| &to.hostnames)
            .any(|name| name.matches(request.host))
    };
    let rules = snapshot.rules().filter(|rule| takes(rule));
    rules
        .flat_map(|rule| (0..rule.rule.matches.len()).map(|at| (rule.rule.key.to_string(), at)))
        .collect()
}

fn rule_of(explained: &Explanation) -> Option<(String, usize)> {
    let decision = serde_json::to_value(&explained.decision).unwrap();
    let key = decision["rule"]["key"].as_str()?.to_owned();
    let at = decision["rule"]["matchIndex"].as_u64().unwrap();
    Some((key, at as usize))
}

const ORDER: [&str; 7] = [
    "precedence",
    "query",
    "header",
    "method",
    "path",
    "host",
    "listener",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_decision_is_that_of_the_table_and_every_near_miss_failed_where_it_is_said_to(
        world in world(), requests in prop::collection::vec(request(), 20),
    ) {
        let snapshot = full(&world.resources(), 1);
        for request in requests.iter().filter(|request| request.port != 82) {
            let explained = snapshot.explain(Some(request.port), &request.view(), CLIENT, 0);
            let matched = snapshot.route(request.port, &request.view());
            let won = matched.map(|won| (won.rule.rule.key.to_string(), won.match_index));
            prop_assert_eq!(rule_of(&explained), won.clone(), "{:?}", request);
            let listener = snapshot.listener_for(request.port, request.host).map(|one| &one.key);
            let mut told = BTreeSet::new();
            for miss in &explained.near_misses {
                let failed = first_unmet(&snapshot, request, listener, &miss.rule, miss.match_index);
                prop_assert_eq!(miss.lost_by, failed, "{:?} {:?}", miss, request);
                prop_assert_eq!(miss.precedence.is_some(), failed == "precedence");
                let is_new = told.insert((miss.rule.clone(), miss.match_index));
                prop_assert!(is_new, "{:?} is told twice", miss);
            }
            let distance = |miss: &sluice_core::NearMiss| ORDER.iter().position(|name| *name == miss.lost_by);
            prop_assert!(explained.near_misses.is_sorted_by_key(distance), "{:?}", explained.near_misses);
            let is_told = |one: &(String, usize)| told.contains(one) || Some(one) == won.as_ref();
            let missed: Vec<_> = reachable(&snapshot, request, listener).into_iter().filter(|one| !is_told(one)).collect();
            prop_assert!(missed.is_empty(), "{:?} of {:?} {:?}", missed, request, world);
            prop_assert_eq!(explained.near_miss_count, told.len());
            prop_assert!(explained.is_complete);
        }
    }

    #[test]
    fn a_match_that_lost_by_precedence_wins_when_the_winner_goes_before_it_no_more(
        world in world(), requests in prop::collection::vec(request(), 20),
    ) {
        let snapshot = full(&world.resources(), 1);
        for request in requests.iter().filter(|request| request.port != 82) {
            let explained = snapshot.explain(Some(request.port), &request.view(), CLIENT, 0);
            let losers = explained.near_misses.iter().filter(|miss| miss.lost_by == "precedence").count();
            // Without the winner's rule somebody else takes it exactly if a match of another rule lost so.
            let Some((winner, _)) = rule_of(&explained) else {
                prop_assert_eq!(losers, 0);
                continue;
            };
            let others = explained.near_misses.iter().filter(|miss| miss.lost_by == "precedence" && miss.rule != winner);
            let heirs: BTreeSet<_> = others.map(|miss| (miss.rule.clone(), miss.match_index)).collect();
            let mut less = world.clone();
            less.rules.retain(|(route, rule), _| format!("rule/default/r{route}/{rule}") != winner);
            let less = full(&less.resources(), 2);
            let heir = less.route(request.port, &request.view());
            let heir = heir.map(|won| (won.rule.rule.key.to_string(), won.match_index));
            prop_assert_eq!(heir.is_some(), !heirs.is_empty());
            prop_assert!(heir.is_none_or(|heir| heirs.contains(&heir)));
        }
    }
}
