//! What a snapshot accepts, refuses and carries over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::sync::Arc;

use proptest::prelude::*;
use sluice_core::{Difference, Entry, Millis, ResourceSet, Snapshot, Update};
use sluice_model::{Code, HistoryId, Revision, Violation};
use sluice_proto::v1;
use world::{HISTORY, full, key, position, step, world};

fn set(upserts: Vec<Entry>) -> ResourceSet {
    ResourceSet::empty().apply(&Difference {
        upserts,
        removals: vec![],
    })
}

fn listener(name: &str, port: u32, hostname: &str) -> Entry {
    let protocol = v1::listener::Protocol::Http as i32;
    let wire = v1::Listener {
        port,
        hostname: hostname.into(),
        protocol,
        ..Default::default()
    };
    Entry::new(key(&format!("listener/default/edge/{name}")), &wire)
}

fn backend(name: &str) -> Entry {
    let wire = v1::Backend {
        protocol: v1::backend::Protocol::Http as i32,
        ..Default::default()
    };
    Entry::new(key(&format!("backend/default/{name}")), &wire)
}

fn endpoints(name: &str, ports: &[(u32, u32)]) -> Entry {
    let endpoint = |(port, weight): &(u32, u32)| v1::Endpoint {
        address: "127.0.0.1".into(),
        port: *port,
        weight: *weight,
    };
    let wire = v1::Endpoints {
        endpoints: ports.iter().map(endpoint).collect(),
    };
    Entry::new(key(&format!("endpoints/default/{name}")), &wire)
}

fn split(rule: &str, backend: &str) -> Entry {
    let backends = vec![v1::WeightedBackend {
        backend: format!("backend/default/{backend}"),
        weight: 1,
        filters: None,
    }];
    Entry::new(
        key(&format!("split/default/shop/{rule}")),
        &v1::Split { backends },
    )
}

fn refused(resources: &ResourceSet) -> Vec<Violation> {
    let update = Update::full(HISTORY, position(1, resources), resources);
    Snapshot::empty(HISTORY).apply(&update).unwrap_err()
}

fn codes(violations: &[Violation]) -> Vec<(&str, Code)> {
    let mut codes: Vec<_> = violations
        .iter()
        .map(|one| (one.resource.as_str(), one.code))
        .collect();
    codes.sort_by_key(|(resource, _)| *resource);
    codes
}

#[test]
fn every_reference_to_nothing_is_told() {
    let rule = v1::Rule {
        target: "split/default/shop/none".into(),
        ..Default::default()
    };
    let attachments = vec![v1::Attachment {
        listener: "listener/default/edge/none".into(),
        hostnames: vec!["".into()],
    }];
    let route = v1::Route {
        creation_revision: 1,
        attachments,
    };
    let resources = set(vec![
        Entry::new(key("route/default/shop"), &route),
        Entry::new(key("rule/default/shop/a"), &rule),
        Entry::new(key("rule/default/orphan/a"), &v1::Rule::default()),
        split("b", "none"),
        endpoints("stray", &[(80, 1)]),
    ]);
    assert_eq!(
        codes(&refused(&resources)),
        [
            ("backend/default/none", Code::Dangling),
            ("endpoints/default/stray", Code::Dangling),
            ("route/default/shop", Code::Dangling),
            ("rule/default/orphan/a", Code::Dangling),
            ("split/default/shop/none", Code::Dangling),
        ]
    );
}

#[test]
fn two_listeners_cannot_have_one_port_and_hostname_but_may_change_places() {
    let both = |a: &str, b: &str| set(vec![listener("a", 80, a), listener("b", 80, b)]);
    assert_eq!(codes(&refused(&both("x.com", "x.com"))).len(), 1);
    let before = full(&both("x.com", "y.com"), 1);
    let after = step(&before, &both("y.com", "x.com"), 2);
    assert_eq!(after.listeners().count(), 2);
}

#[test]
fn an_update_from_elsewhere_is_refused_and_changes_nothing() {
    let snapshot = full(&set(vec![backend("a")]), 1);
    let target = set(vec![backend("b")]);
    let mut update = Update::between(
        HISTORY,
        (snapshot.position(), snapshot.resources()),
        (position(2, &target), &target),
    );
    let mut elsewhere = update.clone();
    elsewhere.base = Some(position(7, &target));
    assert_eq!(snapshot.apply(&elsewhere).unwrap_err()[0].code, Code::WrongBase);
    let mut other_history = update.clone();
    other_history.history = HistoryId([9; 16]);
    assert_eq!(
        snapshot.apply(&other_history).unwrap_err()[0].code,
        Code::WrongBase
    );
    update.target.config = snapshot.position().config;
    assert_eq!(snapshot.apply(&update).unwrap_err()[0].code, Code::Corrupt);
    assert_eq!(snapshot.position().revision, Revision(1));
}

#[test]
fn a_full_update_replaces_another_history_and_keeps_what_is_known_of_endpoints() {
    let resources = set(vec![backend("a"), endpoints("a", &[(1, 1), (2, 1)])]);
    let before = full(&resources, 5);
    let old = before.backends().next().unwrap();
    old.endpoints[0]
        .health
        .record_failure(Millis(1), &old.backend.outlier, old);
    let changed = set(vec![backend("a"), endpoints("a", &[(1, 9), (3, 1)])]);
    let after = before
        .apply(&Update::full(HistoryId([9; 16]), position(1, &changed), &changed))
        .unwrap();
    let new = after.backends().next().unwrap();
    assert_eq!(new.endpoints[0].uid, old.endpoints[0].uid);
    assert!(Arc::ptr_eq(&new.endpoints[0].health, &old.endpoints[0].health));
    assert_eq!(new.endpoints[0].weight, 9);
    assert!(old.endpoints.iter().all(|one| one.uid != new.endpoints[1].uid));
    assert_eq!(after.history(), HistoryId([9; 16]));
}

#[test]
fn a_changed_weight_leaves_every_rule_as_it_is() {
    let mut world = world::World::default();
    world.routes.insert(0, (1, vec![(0, vec![""])]));
    world.rules.insert((0, 0), v1::Rule::default());
    let before = full(&world.resources(), 1);
    world.weights.insert(0, 5);
    let after = step(&before, &world.resources(), 2);
    assert_eq!(before.resources().diff(after.resources()).upserts.len(), 1);
    assert!(
        before
            .rules()
            .zip(after.rules())
            .all(|(old, new)| Arc::ptr_eq(old, new))
    );
}

#[test]
fn rules_that_claim_one_place_are_in_one_order_whichever_came_first() {
    let attachments = vec![v1::Attachment {
        listener: "listener/default/edge/http".into(),
        hostnames: vec!["".into()],
    }];
    let route = v1::Route {
        creation_revision: 1,
        attachments,
    };
    let rules = ["rule/default/shop/a", "rule/default/shop/b"];
    for (first, second) in [(rules[0], rules[1]), (rules[1], rules[0])] {
        let one = set(vec![
            listener("http", 80, ""),
            Entry::new(key("route/default/shop"), &route),
            Entry::new(key(first), &v1::Rule::default()),
        ]);
        let both = one.apply(&Difference {
            upserts: vec![Entry::new(key(second), &v1::Rule::default())],
            removals: vec![],
        });
        let snapshot = step(&full(&one, 1), &both, 2);
        let headers = http::HeaderMap::new();
        let request = sluice_core::RequestView {
            method: &http::Method::GET,
            host: "",
            path: "/",
            query: None,
            headers: &headers,
        };
        assert_eq!(
            snapshot.route(80, &request).unwrap().rule.rule.key.as_str(),
            rules[0]
        );
    }
}

proptest! {
    #[test]
    fn bytes_from_anywhere_never_panic(
        world in world(), at: prop::sample::Index, bytes: Vec<u8>, cut: prop::sample::Index,
    ) {
        let resources = world.resources();
        let entries: Vec<Entry> = resources.iter().cloned().collect();
        let victim = at.get(&entries);
        let mut body = victim.body.to_vec();
        body.truncate(cut.index(body.len() + 1));
        body.extend(bytes);
        let mut spoilt = victim.clone();
        spoilt.hash = sluice_model::Digest::of(&body);
        spoilt.body = body.into();
        let resources = resources.apply(&Difference { upserts: vec![spoilt], removals: vec![] });
        let update = Update::full(HISTORY, position(1, &resources), &resources);
        let _ = Snapshot::empty(HISTORY).apply(&update);
    }

    #[test]
    fn emptying_a_world_leaves_nothing_behind(world in world()) {
        let before = full(&world.resources(), 1);
        let empty = step(&before, &ResourceSet::empty(), 2);
        prop_assert_eq!(empty.rules().count() + empty.listeners().count() + empty.backends().count(), 0);
        prop_assert_eq!(empty.position().config, sluice_model::Digest::EMPTY);
        let again = step(&empty, &world.resources(), 3);
        prop_assert_eq!(again.position().config, before.position().config);
    }
}
