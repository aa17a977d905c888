//! Splits that sum to nothing: all their requests are answered 500.

use serde::Serialize;
use sluice_core::claims::{Budget, request_for};
use sluice_core::diff::Witness;
use sluice_intent::{BackendRef, Filter, HttpRouteSpec, LintRule, Resource, ResourceId, Rule, Spec};
use sluice_model::{Key, Kind};

use super::Finding;
use crate::compile::World;

/// Rules and variants of a resource whose requests go nowhere. That is always said; a request for each costs no more
/// than the `budget`.
pub(super) fn look(world: &World, resource: &Resource, budget: &mut Budget) -> Vec<Finding> {
    let id = &resource.id;
    let empty = |references: &[BackendRef]| why_empty(world, id, references);
    match &resource.spec {
        Spec::HttpRoute(spec) => {
            let rules = spec.rules.iter().enumerate();
            let own = rules.filter(|(_, rule)| !goes_elsewhere(world, id, rule));
            let found = own.filter_map(|(at, rule)| {
                let message = empty(&rule.backend_refs)?;
                let field = format!("spec.rules[{at}].backendRefs");
                let finding = Finding::new(LintRule::EmptySplit, id, field, message);
                let witness = request(world, id, at, budget);
                Some(finding.about(written(&rule.matches)).with(witness))
            });
            let mut found: Vec<_> = found.collect();
            found.extend(without_rules(world, id, spec, budget));
            found
        }
        Spec::Experiment(spec) => {
            let variants = spec.variants.iter().enumerate();
            let served = variants.filter(|(_, variant)| variant.share.basis_points() > 0);
            let found = served.filter_map(|(at, variant)| {
                let message = empty(&variant.backend_refs)?;
                let field = format!("spec.variants[{at}].backendRefs");
                let finding = Finding::new(LintRule::EmptySplit, id, field, message);
                Some(finding.about(variant.name.to_string()))
            });
            found.collect()
        }
        _ => Vec::new(),
    }
}

/// What something is in its manifest, to tell whether another is the same.
pub(super) fn written(one: &impl Serialize) -> String {
    // Text and numbers: there is nothing in it that JSON cannot hold.
    serde_json::to_string(one).unwrap_or_default()
}

/// A route without rules has one that takes every request and goes nowhere.
fn without_rules(
    world: &World,
    id: &ResourceId,
    spec: &HttpRouteSpec,
    budget: &mut Budget,
) -> Option<Finding> {
    let rule = Rule::default();
    if !spec.rules.is_empty() || goes_elsewhere(world, id, &rule) {
        return None;
    }
    let message = "without rules the route answers every request 500: give it a rule with backendRefs";
    let finding = Finding::new(LintRule::EmptySplit, id, "spec.rules", message);
    Some(finding.with(request(world, id, 0, budget)))
}

/// Whether something else than its backends decides where the requests of a rule go.
fn goes_elsewhere(world: &World, route: &ResourceId, rule: &Rule) -> bool {
    let redirects = |filter: &Filter| matches!(filter, Filter::RequestRedirect(_));
    rule.filters.iter().any(redirects) || world.has_experiment(route, rule)
}

/// Why no backend gets a request, if none does.
fn why_empty(world: &World, from: &ResourceId, references: &[BackendRef]) -> Option<&'static str> {
    if references.is_empty() {
        return Some("without backendRefs or a redirect every request is answered 500: name a Backend");
    }
    let weighty = || references.iter().filter(|one| one.weight() > 0);
    if weighty().next().is_none() {
        return Some("all weights are 0, so every request is answered 500: give one of them a weight");
    }
    if weighty().all(|one| !world.leads_somewhere(from, one.target())) {
        return Some(
            "none of the Backends that have a weight can be had, so every request is answered 500: \
             see what is said of the references",
        );
    }
    None
}

/// A request to a rule, in the first view that has it.
fn request(world: &World, route: &ResourceId, index: usize, budget: &mut Budget) -> Option<Witness> {
    let key = Key::new(Kind::Route, &[route.namespace.as_str(), route.name.as_str()]).ok()?;
    for (_, snapshot) in world.views() {
        if budget.is_spent() {
            break;
        }
        let found = request_for(snapshot, &key, index, budget);
        if found.is_some() {
            return found;
        }
    }
    None
}
