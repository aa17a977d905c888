use super::discovery::found;
use super::*;
use crate::compile::{Findings, NO_PORT, Source};

#[test]
fn a_route_becomes_its_attachment_its_rules_and_a_split_for_each() {
    let site = Site::shop();
    let unnamed = site
        .keys()
        .into_iter()
        .find(|key| key.starts_with("rule/default/shop/_"))
        .unwrap();
    let split = unnamed.replacen("rule/", "split/", 1);
    assert_eq!(
        site.keys(),
        [
            "backend/default/a",
            "backend/default/b",
            "endpoints/default/a",
            "endpoints/default/b",
            "listener/default/edge/http",
            "route/default/shop",
            &unnamed,
            "rule/default/shop/pay",
            &split,
            "split/default/shop/pay",
        ]
    );
    let route: v1::Route = site.body("route/default/shop");
    assert_eq!(route.creation_revision, 1);
    assert_eq!(route.attachments.len(), 1);
    assert_eq!(route.attachments[0].hostnames, ["shop.example.com"]);
    let split: v1::Split = site.body(&split);
    let weights: Vec<_> = split
        .backends
        .iter()
        .map(|one| (one.backend.as_str(), one.weight))
        .collect();
    assert_eq!(weights, [("backend/default/a", 9), ("backend/default/b", 1)]);
}

#[test]
fn the_identity_of_a_rule_does_not_depend_on_its_place() {
    let mut site = Site::shop();
    let before = site.keys();
    let unnamed = before
        .iter()
        .find(|key| key.starts_with("rule/default/shop/_"))
        .unwrap();
    let swapped = SHOP.replace(
        "  - name: pay\n    matches: [{path: {value: /pay}}]\n    backendRefs: [{name: a}]\n",
        "",
    ) + "  - name: pay\n    matches: [{path: {value: /pay}}]\n    backendRefs: [{name: a}]\n";
    assert_eq!(site.rule(unnamed).index, 1);
    site.apply(&swapped).unwrap();
    assert_eq!(site.keys(), before);
    assert_eq!(site.rule(unnamed).index, 0);
}

#[test]
fn rules_with_the_same_matches_have_different_keys() {
    let mut site = Site::shop();
    site.apply(&(SHOP.to_owned() + "  - backendRefs: [{name: b}]\n"))
        .unwrap();
    let rules: Vec<_> = site
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("rule/default/shop/_"))
        .collect();
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[1], format!("{}-2", rules[0]));
}

#[test]
fn a_route_without_rules_takes_every_request_and_has_no_backend() {
    let mut site = Site::shop();
    let bare = SHOP.split("  rules:").next().unwrap();
    site.apply(bare).unwrap();
    let key = site
        .keys()
        .into_iter()
        .find(|key| key.starts_with("rule/default/shop/"))
        .unwrap();
    let rule = site.rule(&key);
    assert_eq!(rule.target, "");
    assert_eq!(rule.matches[0].path.as_ref().unwrap().value, "/");
}

#[test]
fn a_route_that_attaches_to_nothing_is_a_warning() {
    let mut site = Site::shop();
    let changed = site
        .apply(&EDGE.replace("protocol: HTTP", "protocol: HTTP, hostname: other.example.com"))
        .unwrap();
    assert_eq!(
        told(&changed.warnings),
        [("HTTPRoute/default/shop", "spec.parentRefs[0]", "unattached")]
    );
    let route: v1::Route = site.body("route/default/shop");
    assert!(route.attachments.is_empty());
}

#[test]
fn a_route_of_another_namespace_is_let_in_by_allowed_routes_only() {
    let mut site = Site::shop();
    let foreign = SHOP
        .replace(
            "metadata: {name: shop}",
            "metadata: {name: shop, namespace: team}",
        )
        .replace("{name: edge}", "{name: edge, namespace: default}")
        .replace("    backendRefs: [{name: a}]\n", "")
        .replace("  - backendRefs: [{name: a, weight: 9}, {name: b}]\n", "");
    let attached = |site: &Site| site.body::<v1::Route>("route/team/shop").attachments.len();
    let warned = site.apply(&foreign).unwrap();
    assert_eq!((attached(&site), warned.warnings.len()), (0, 1));
    let allow = |how: &str| {
        EDGE.replace(
            "protocol: HTTP}",
            &format!("protocol: HTTP, allowedRoutes: {{namespaces: {how}}}}}"),
        )
    };
    site.apply(&allow("{from: All}")).unwrap();
    assert_eq!(attached(&site), 1);
    let labelled = |name: &str| {
        allow(&format!(
            "{{from: Selector, selector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}}}"
        ))
    };
    site.apply(&labelled("other")).unwrap();
    assert_eq!(attached(&site), 0);
    site.apply(&labelled("team")).unwrap();
    assert_eq!(attached(&site), 1);
}

#[test]
fn a_names_addresses_change_without_a_revision_and_touch_nothing_else() {
    let mut site = Site::shop();
    site.apply(&backend("a", &["10.0.0.1", "a.internal"])).unwrap();
    let source = Source::Addresses("a.internal".into());
    assert_eq!(site.world.sources().keys().collect::<Vec<_>>(), [&source]);
    let found = ["10.9.0.2", "::ffff:10.0.0.1", "10.9.0.2"].map(|address| found(address, NO_PORT, 1));
    let findings = Findings::from([(source, found.to_vec())]);
    let next = site.world.with_found(&findings).unwrap().unwrap();
    assert_eq!(next.revision(), site.world.revision());
    assert_eq!(next.position().config, site.world.position().config);
    let difference = site.world.resources().diff(next.resources());
    assert_eq!(difference.upserts.len(), 1);
    // Known again changes nothing; what two names share is there once.
    assert!(next.with_found(&findings).unwrap().is_none());
    site.world = next;
    let endpoints: v1::Endpoints = site.body("endpoints/default/a");
    let listed: Vec<_> = endpoints
        .endpoints
        .iter()
        .map(|one| one.address.as_str())
        .collect();
    assert_eq!(listed, ["10.0.0.1", "10.9.0.2"]);
}

#[test]
fn the_example_compiles_without_a_warning() {
    let mut site = Site::empty();
    let changed = site
        .apply(include_str!("../../../../deploy/examples/shop.yaml"))
        .unwrap();
    assert_eq!(told(&changed.warnings), []);
    assert_eq!(
        site.rule("rule/default/shop/pay").target,
        "experiment/default/pay-button"
    );
    assert!(site.rule("rule/default/shop/old-links").redirect.is_some());
}
