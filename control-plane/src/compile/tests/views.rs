//! Which proxies get what, against a naive reading of the same rules.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sluice_core::{Difference, ResourceSet, Snapshot, Update};
use sluice_intent::Labels;
use sluice_model::{Class, Code, Kind, Position};

use super::incremental::{change, from_scratch, metadata};
use super::*;
use crate::compile::ViewKey;

/// Bodies by key.
type Bodies = BTreeMap<String, Vec<u8>>;

fn bodies(resources: &ResourceSet) -> Bodies {
    resources
        .iter()
        .map(|entry| (entry.key.to_string(), entry.body.to_vec()))
        .collect()
}

fn labels(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

fn key(selectors: &[&str]) -> ViewKey {
    selectors.iter().map(|one| std::sync::Arc::from(*one)).collect()
}

/// What a proxy with these labels should get: from the listeners of its Gateways to all that they
/// lead to, found by searching everything.
fn reference(world: &World, labels: &Labels) -> Bodies {
    let selectors = || {
        world
            .iter()
            .map(|intent| intent.resource.proxy_selector().unwrap())
    };
    if selectors().all(|selector| selector.is_none()) {
        return bodies(world.resources());
    }
    let is_for = |owner: &str| {
        let gateway = world.get(&format!("Gateway/{owner}").parse().unwrap()).unwrap();
        let selector = gateway.resource.proxy_selector().unwrap();
        selector.is_none_or(|selector| selector.matches(labels))
    };
    let all: Vec<_> = world.resources().iter().collect();
    let mut found: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in &all {
        match entry.key.kind() {
            Kind::Tickets => {}
            Kind::Listener if is_for(entry.key.owner()) => {}
            _ => continue,
        }
        found.insert(entry.key.to_string(), entry.body.to_vec());
    }
    for entry in all.iter().filter(|entry| entry.key.kind() == Kind::Route) {
        let mut route: v1::Route = prost::Message::decode(entry.body.clone()).unwrap();
        route.attachments.retain(|one| found.contains_key(&one.listener));
        if !route.attachments.is_empty() {
            found.insert(entry.key.to_string(), prost::Message::encode_to_vec(&route));
        }
    }
    for entry in &all {
        let has_route = || found.contains_key(entry.key.sibling(Kind::Route).unwrap().as_str());
        if matches!(entry.key.kind(), Kind::Rule | Kind::Split) && has_route() {
            found.insert(entry.key.to_string(), entry.body.to_vec());
        }
    }
    // Whatever stands as text in what is found is referred to.
    loop {
        let texts: Vec<_> = found
            .values()
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect();
        let is_named = |key: &str| texts.iter().any(|text| names(text, key));
        let more: Vec<_> = all
            .iter()
            .filter(|entry| !found.contains_key(entry.key.as_str()))
            .filter(|entry| match entry.key.kind() {
                Kind::Experiment | Kind::Backend | Kind::Certificate | Kind::Trust => {
                    is_named(entry.key.as_str())
                }
                Kind::Endpoints => found.contains_key(entry.key.sibling(Kind::Backend).unwrap().as_str()),
                _ => false,
            })
            .map(|entry| (entry.key.to_string(), entry.body.to_vec()))
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Whether `key` stands in `text` as a protobuf string: after its length.
fn names(text: &str, key: &str) -> bool {
    let length = char::from(u8::try_from(key.len()).unwrap());
    text.contains(&format!("{length}{key}"))
}

const LABELS: [&str; 6] = ["", "zone=a", "zone=b", "tier=1", "zone=a,tier=1", "zone=b,tier=1"];

/// What a proxy holds that takes every step that is made for its labels.
struct Proxy {
    labels: Labels,
    snapshot: Snapshot,
}

impl Proxy {
    fn follow(&mut self, world: &World) {
        let target = world.snapshot_of(&world.view_of(&self.labels)).unwrap();
        let update = Update::between(
            world.history(),
            (self.snapshot.position(), self.snapshot.resources()),
            (target.position(), target.resources()),
        );
        self.snapshot = self.snapshot.apply(&update).unwrap();
        assert_eq!(self.snapshot.position(), target.position());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn views_made_step_by_step_are_those_made_from_scratch(
        steps in prop::collection::vec(
            (prop::collection::vec(change(), 1..4), any::<bool>(), prop::collection::vec(0..LABELS.len(), 0..3)),
            1..12,
        ),
        relabel in prop::collection::vec(0..LABELS.len(), 12),
    ) {
        let mut site = Site::empty();
        let history = site.world.history();
        let proxy = |text: &str| Proxy { labels: labels(text), snapshot: Snapshot::empty(history) };
        let mut fleet = LABELS.map(proxy);
        let mut moving = proxy("");
        for ((changes, warn, demands), relabel) in steps.into_iter().zip(relabel) {
            let dangling = if warn { DanglingRefs::Warn } else { DanglingRefs::Refuse };
            // Refused or not: what stands has the right views.
            let _ = site.change(changes, dangling);
            let demanded = demands.iter().map(|at| site.world.view_of(&labels(LABELS[*at])));
            if let Some(next) = site.world.with_views(demanded).unwrap() {
                site.world = next;
            }
            let at_once = from_scratch(&site.world);
            let at_once = at_once.with_views(site.world.demanded().clone()).unwrap().unwrap_or(at_once);
            let views = |world: &World| {
                world.views().map(|(key, one)| (key, one.position(), bodies(one.resources()))).collect::<Vec<_>>()
            };
            prop_assert_eq!(views(&site.world), views(&at_once));
            moving.labels = labels(LABELS[relabel]);
            moving.follow(&site.world);
            for proxy in &mut fleet {
                proxy.follow(&site.world);
                let held = bodies(proxy.snapshot.resources());
                prop_assert_eq!(held, reference(&site.world, &proxy.labels));
            }
        }
    }
}

/// Two Gateways that listen at the same place, for the proxies of two zones, and one for all.
fn zones() -> Site {
    let mut site = Site::empty();
    let gateway = |name: &str, selector: &str| {
        let hosts = "hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}";
        EDGE.replace("{name: edge}", &metadata(name, selector))
            .replace("protocol: HTTP}", &format!("protocol: HTTP, {hosts}}}"))
    };
    let all = [
        gateway("a", "zone=a"),
        gateway("b", "zone in (b)"),
        EDGE.replace("port: 80", "port: 90"),
        route("only-a", "{name: a}", "one"),
        route("only-b", "{name: b}", "two"),
        route("both", "{name: a}, {name: b}", "three"),
        route("all", "{name: edge}", "three"),
        backend("one", &["10.0.0.1"]),
        backend("two", &["10.0.0.2"]),
        backend("three", &["10.0.0.3"]),
        backend("idle", &["10.0.0.4"]),
    ];
    site.apply(&all.join("---")).unwrap();
    site
}

fn route(name: &str, parents: &str, backend: &str) -> String {
    SHOP.replace("name: shop", &format!("name: {name}"))
        .replace("{name: edge}", parents)
        .replace("{name: a, weight: 9}, {name: b}", &format!("{{name: {backend}}}"))
        .replace(
            "backendRefs: [{name: a}]",
            &format!("backendRefs: [{{name: {backend}}}]"),
        )
}

fn has(world: &World, view: &[&str], wanted: &str) -> bool {
    let snapshot = world.view(&key(view)).unwrap();
    snapshot.resources().get(&Key::parse(wanted).unwrap()).is_some()
}

#[test]
fn a_proxy_gets_what_hangs_on_its_gateways_and_nothing_else() {
    let world = zones().world;
    let (none, a, b): ([&str; 0], _, _) = ([], ["zone=a"], ["zone=b"]);
    for (wanted, expected) in [
        ("listener/default/a/http", [false, true, false]),
        ("listener/default/edge/http", [true, true, true]),
        ("route/default/only-a", [false, true, false]),
        ("rule/default/only-b/pay", [false, false, true]),
        ("split/default/only-b/pay", [false, false, true]),
        ("route/default/all", [true, true, true]),
        ("route/default/both", [false, true, true]),
        ("backend/default/one", [false, true, false]),
        ("endpoints/default/two", [false, false, true]),
        ("backend/default/three", [true, true, true]),
        ("backend/default/idle", [false, false, false]),
    ] {
        let found = [
            has(&world, &none, wanted),
            has(&world, &a, wanted),
            has(&world, &b, wanted),
        ];
        assert_eq!(found, expected, "{wanted}");
    }
    let attachments = |view: &[&str]| {
        let both = Key::parse("route/default/both").unwrap();
        let entry = world.view(&key(view)).unwrap().resources().get(&both).cloned();
        let route: v1::Route = prost::Message::decode(entry.unwrap().body).unwrap();
        route
            .attachments
            .into_iter()
            .map(|one| one.listener)
            .collect::<Vec<_>>()
    };
    assert_eq!(attachments(&a), ["listener/default/a/http"]);
    assert_eq!(attachments(&b), ["listener/default/b/http"]);
}

#[test]
fn gateways_share_a_place_only_when_no_proxy_can_have_both() {
    let place = |name: &str, selector: &str| EDGE.replace("{name: edge}", &metadata(name, selector));
    for (one, other, fits) in [
        ("zone=a", "zone=b", true),
        ("zone=a", "zone!=a", true),
        ("zone", "!zone", true),
        ("zone=a", "tier=1", false),
        ("zone=a", "", false),
        ("zone in (a,b)", "zone in (b,c)", false),
    ] {
        let both = [place("one", one), place("two", other)].join("---");
        let outcome = Site::empty().apply(&both).map(|_| ());
        let codes: Vec<_> = outcome
            .err()
            .unwrap_or_default()
            .iter()
            .map(|violation| violation.code)
            .collect();
        assert_eq!(codes.is_empty(), fits, "{one} | {other}: {codes:?}");
        assert!(codes.iter().all(|code| *code == Code::Conflict));
    }
}

#[test]
fn a_port_speaks_tls_to_some_proxies_and_not_to_others() {
    let mut site = Site::empty();
    let (chain, private) = certificates::pair(&["x.example.com"]);
    let certificate = [("tls.crt", chain.as_str()), ("tls.key", private.as_str())];
    let secret = certificates::secret("pair", "kubernetes.io/tls", &certificate);
    let plain = EDGE.replace("{name: edge}", &metadata("plain", "!secure"));
    let tls = EDGE.replace("{name: edge}", &metadata("tls", "secure")).replace(
        "protocol: HTTP",
        "protocol: HTTPS, tls: {certificateRefs: [{name: pair}]}",
    );
    site.apply(&[secret, plain, tls].join("---")).unwrap();
    assert!(has(&site.world, &["secure"], "certificate/default/pair"));
    assert!(!has(&site.world, &["!secure"], "certificate/default/pair"));
}

#[test]
fn a_change_costs_no_view_more_than_what_it_changes() {
    let mut site = zones();
    let before = site.world.clone();
    let changed = route("only-a", "{name: a}", "one").replace("{name: one}]", "{name: one, weight: 7}]");
    site.apply(&changed).unwrap();
    let mut differences = BTreeMap::new();
    for (key, snapshot) in site.world.views() {
        let old = before.view(&key).unwrap();
        assert_eq!(
            snapshot.position().revision,
            Revision(old.position().revision.0 + 1)
        );
        let Difference { upserts, removals } = old.resources().diff(snapshot.resources());
        assert_eq!(removals, []);
        differences.insert(key.to_string(), upserts.len());
    }
    let expected = [("", 0), ("zone=a", 2), ("zone=b", 0)];
    assert_eq!(
        differences,
        expected.map(|(key, count)| (key.to_owned(), count)).into()
    );
}

#[test]
fn endpoints_move_in_the_views_that_have_their_backend() {
    let mut site = zones();
    let before = site.world.clone();
    site.apply(&backend("one", &["10.0.0.9"])).unwrap();
    let moved: BTreeSet<String> = site
        .world
        .views()
        .filter(|(key, one)| {
            let digest = |snapshot: &Snapshot| snapshot.resources().digest(Class::Runtime);
            digest(one) != digest(before.view(key).unwrap())
        })
        .map(|(key, _)| key.to_string())
        .collect();
    assert_eq!(moved, BTreeSet::from(["zone=a".to_owned()]));
}

#[test]
fn without_selectors_there_is_one_view_and_it_has_everything() {
    let mut site = zones();
    let unaddressed = |name: &str, port: u16| {
        let plain = EDGE
            .replace("edge", name)
            .replace("port: 80", &format!("port: {port}"));
        plain.replace("protocol: HTTP}", "protocol: HTTP, hostname: '*.example.com'}")
    };
    site.apply(&[unaddressed("a", 80), unaddressed("b", 81)].join("---"))
        .unwrap();
    assert_eq!(site.world.views().count(), 1);
    assert!(has(&site.world, &[], "backend/default/idle"));
    assert_eq!(site.world.position(), from_scratch(&site.world).position());
    assert_eq!(
        bodies(site.world.resources()),
        bodies(site.world.snapshot().resources())
    );
}

#[test]
fn there_are_at_most_64_selectors() {
    let mut site = Site::empty();
    let gateway = |number: u16| {
        let edge = EDGE.replace(
            "{name: edge}",
            &metadata(&format!("g{number}"), &format!("n=v{number}")),
        );
        edge.replace("port: 80", &format!("port: {}", 1000 + number))
    };
    let most: Vec<_> = (0..64).map(gateway).collect();
    site.apply(&most.join("---")).unwrap();
    let violations = site.apply(&gateway(64)).unwrap_err();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].code, Code::OutOfRange);
    assert_eq!(
        violations[0].field,
        r#"metadata.annotations["sluice.dev/proxy-selector"]"#
    );
    // One that others have is none more.
    let again = gateway(3)
        .replace("name: g3", "name: again")
        .replace("port: 1003", "port: 80");
    site.apply(&again).unwrap();
}

#[test]
fn positions_of_views_tell_them_apart() {
    let world = zones().world;
    let positions: Vec<Position> = world.views().map(|(_, one)| one.position()).collect();
    assert_eq!(positions.len(), 3);
    for (at, one) in positions.iter().enumerate() {
        assert!(positions[at + 1..].iter().all(|other| one.config != other.config));
    }
}
