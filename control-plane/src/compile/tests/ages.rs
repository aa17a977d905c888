//! Which of what says the same is older: what came first here, or, among what comes at once, elsewhere.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sluice_intent::{CARRIED_AGE, Format};

use super::super::Intent;
use super::*;

/// Where all routes attach.
const OPEN: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: sluice
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

/// A route that asks for what all the others ask for.
fn route(namespace: &str, name: &str, age: Option<u64>) -> String {
    format!(
        "\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{{}}}\nspec:\n  \
         parentRefs: [{{name: edge, namespace: default}}]\n  hostnames: [shop.example.com]\n  \
         rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: {name}.{namespace}.example.com}}}}]}}]\n",
        metadata(namespace, name, age)
    )
}

/// A policy on what all the others are about.
fn policy(namespace: &str, name: &str, age: Option<u64>) -> String {
    let connections = 1 + name.len() * 10 + namespace.len();
    format!(
        "\napiVersion: sluice.dev/v1\nkind: TrafficPolicy\nmetadata: {{{}}}\nspec:\n  \
         targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: edge}}]\n  \
         limits: {{connections: {connections}}}\n",
        metadata(namespace, name, age)
    )
}

fn metadata(namespace: &str, name: &str, age: Option<u64>) -> String {
    let annotations = age.map_or_else(String::new, |age| {
        format!(", annotations: {{{CARRIED_AGE}: \"{age}\"}}")
    });
    format!("name: {name}, namespace: {namespace}{annotations}")
}

fn site() -> Site {
    let mut site = Site::empty();
    site.apply(OPEN).unwrap();
    site
}

/// What is live as it is exported: a manifest in JSON on each line.
fn exported(site: &Site) -> String {
    let lines = site
        .world
        .iter()
        .map(|intent| intent.to_export().to_string() + "\n");
    lines.collect()
}

/// Lines of an export as they are applied.
fn resources(lines: &str) -> Vec<Change> {
    let resources = sluice_intent::parse(lines.as_bytes(), Format::Json, "default").unwrap();
    resources.into_iter().map(Change::Put).collect()
}

/// Another site, with all of that applied at once.
fn imported(lines: &str) -> Site {
    let mut there = Site::empty();
    there.change(resources(lines), DanglingRefs::Refuse).unwrap();
    there
}

/// What proxies get, but for the revision.
fn compiled(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let entries = site.world.resources().iter();
    entries
        .map(|entry| (entry.key.to_string(), entry.body.to_vec()))
        .collect()
}

/// Routes and policies with their ages, oldest first.
fn order(site: &Site) -> Vec<(u64, String)> {
    let all = site.world.iter();
    let aged = all.filter(|intent| intent.resource.id.kind.is_aged());
    let mut order: Vec<_> = aged
        .map(|intent| (intent.created.0, intent.resource.id.to_string()))
        .collect();
    order.sort();
    order
}

/// The same without numbers: what is of one age is together.
fn ties(site: &Site) -> Vec<Vec<String>> {
    let mut ties: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (age, id) in order(site) {
        ties.entry(age).or_default().push(id);
    }
    ties.into_values().collect()
}

/// What can be there: kind, namespace and name.
const ALL: [(&str, &str, &str); 9] = [
    ("HTTPRoute", "default", "a"),
    ("HTTPRoute", "default", "bb"),
    ("HTTPRoute", "default", "ccc"),
    ("HTTPRoute", "team", "a"),
    ("HTTPRoute", "team", "bb"),
    ("HTTPRoute", "team", "ccc"),
    ("TrafficPolicy", "default", "a"),
    ("TrafficPolicy", "default", "bb"),
    ("TrafficPolicy", "default", "ccc"),
];

/// One of [`ALL`] as it is written.
fn manifest((kind, namespace, name): (&str, &str, &str), age: Option<u64>) -> String {
    match kind {
        "HTTPRoute" => route(namespace, name, age),
        _ => policy(namespace, name, age),
    }
}

/// Which of [`ALL`] are written at once, each with the age that it brings along, or deleted.
#[derive(Clone, Debug)]
enum Step {
    Put(BTreeMap<usize, Option<u64>>),
    Delete(usize),
}

impl Step {
    fn changes(&self) -> Vec<Change> {
        match self {
            Self::Put(some) => {
                let texts = some.iter().map(|(at, age)| manifest(ALL[*at], *age));
                puts(&texts.collect::<Vec<_>>().join("---"))
            }
            Self::Delete(at) => {
                let (kind, namespace, name) = ALL[*at];
                delete(&format!("{kind}/{namespace}/{name}"))
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let age = prop_oneof![
        3 => Just(None),
        3 => (1..12u64).prop_map(Some),
        1 => ((1u64 << 52)..=i64::MAX.unsigned_abs()).prop_map(Some),
    ];
    let put = prop::collection::btree_map(0..ALL.len(), age, 1..5);
    prop_oneof![
        4 => put.prop_map(Step::Put),
        1 => (0..ALL.len()).prop_map(Step::Delete),
    ]
}

proptest! {
    /// However it came about, an export says all of it: applied where nothing is, proxies get the same, bytes and
    /// ties included, and it goes on alike.
    #[test]
    fn what_is_exported_compiles_to_the_same_elsewhere(
        steps in prop::collection::vec(step(), 1..12),
        next in step(),
    ) {
        let mut here = site();
        for step in &steps {
            here.change(step.changes(), DanglingRefs::Refuse).unwrap();
        }
        let lines = exported(&here);
        let mut there = imported(&lines);
        prop_assert_eq!(ties(&there), ties(&here));
        if order(&here).iter().all(|(age, _)| *age <= 1 << 53) {
            prop_assert_eq!(compiled(&there), compiled(&here));
            prop_assert_eq!(exported(&there), lines);
        }
        prop_assert!(here.attempt(resources(&exported(&here)), DanglingRefs::Refuse).unwrap().is_empty());

        here.change(next.changes(), DanglingRefs::Refuse).unwrap();
        there.change(next.changes(), DanglingRefs::Refuse).unwrap();
        prop_assert_eq!(ties(&there), ties(&here));
    }

    /// Whatever age it brings along, what is new is younger than what was there, and what was there keeps its age.
    #[test]
    fn nothing_gets_ahead_of_what_is_there(steps in prop::collection::vec(step(), 1..12)) {
        let mut site = site();
        for step in &steps {
            let before: BTreeMap<_, _> = order(&site).into_iter().map(|(age, id)| (id, age)).collect();
            site.change(step.changes(), DanglingRefs::Refuse).unwrap();
            let youngest = before.values().max().copied().unwrap_or_default();
            for (age, id) in order(&site) {
                match before.get(&id) {
                    Some(old) => prop_assert_eq!(age, *old),
                    None => prop_assert!(age > youngest, "{} is {}, and there was {}", id, age, youngest),
                }
            }
        }
    }
}

#[test]
fn what_comes_at_once_is_in_the_order_that_it_brings_along_and_what_brings_none_comes_last() {
    let mut site = site();
    let together = |all: &[(&str, Option<u64>)]| {
        let texts = all.iter().map(|(name, age)| route("team", name, *age));
        texts.collect::<Vec<_>>().join("---")
    };
    site.apply(&together(&[("e", None)])).unwrap();
    site.apply(&together(&[
        ("a", None),
        ("b", Some(9)),
        ("c", Some(1)),
        ("d", Some(9)),
        ("e", Some(1)),
    ]))
    .unwrap();
    let names: Vec<String> = order(&site).into_iter().map(|(_, id)| id).collect();
    assert_eq!(
        names,
        ["e", "c", "b", "d", "a"].map(|name| format!("HTTPRoute/team/{name}"))
    );
    assert_eq!(
        ties(&site)[2],
        ["HTTPRoute/team/b", "HTTPRoute/team/d"],
        "of one age"
    );
}

#[test]
fn an_age_is_kept_as_a_number_and_not_as_an_annotation() {
    let mut site = Site::empty();
    site.apply(&[OPEN, &route("team", "a", Some(7))].join("---"))
        .unwrap();
    let intent = site.world.get(&"HTTPRoute/team/a".parse().unwrap()).unwrap();
    assert_eq!(intent.created, Revision(7));
    let stored = intent.to_stored();
    assert!(!stored.manifest.contains(CARRIED_AGE));
    assert_eq!(
        stored.created,
        Revision(1),
        "the store takes no revision that is to come"
    );
    let read = Intent::from_stored(&stored.manifest, None, stored.created, intent.revision);
    assert_eq!(read.unwrap(), **intent);
}
