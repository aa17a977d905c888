//! An Experiment, and which rules it takes over.

use sluice_core::Entry;
use sluice_intent::{ExperimentSpec, ResourceId, Rule, Spec, TargetRef, Token, Unit};
use sluice_model::Kind;
use sluice_proto::v1;

use super::{entry, split};
use crate::compile::World;
use crate::compile::intent::Intent;

pub(super) fn entries(world: &World, intent: &Intent, spec: &ExperimentSpec) -> Vec<Entry> {
    let id = &intent.resource.id;
    let Some(allocation) = &intent.allocation else {
        return Vec::new();
    };
    let source = match &spec.unit {
        Unit::Cookie(name) => v1::unit::Source::Cookie(name.to_string()),
        Unit::Header(name) => v1::unit::Source::Header(name.to_string()),
        Unit::QueryParam(name) => v1::unit::Source::Query(name.to_string()),
        Unit::ClientIp => v1::unit::Source::ClientIp(true),
    };
    let variant = |variant: &sluice_intent::Variant| v1::Variant {
        name: variant.name.to_string(),
        backends: split::weighted(world, id, &variant.backend_refs),
    };
    let name = |token: Option<&Token>| token.map(ToString::to_string).unwrap_or_default();
    let message = v1::Experiment {
        unit: Some(v1::Unit { source: Some(source) }),
        salt: allocation.salt.clone(),
        variants: spec.variants.iter().map(variant).collect(),
        slot_runs: allocation.slots.to_runs(),
        override_header: name(spec.override_by.as_ref().map(|by| &by.header)),
        upstream_header: name(spec.upstream_header.as_ref()),
    };
    let segments = [id.namespace.as_str(), id.name.as_str()];
    entry(Kind::Experiment, &segments, &message).into_iter().collect()
}

/// The experiments on any rule of `route`, by id.
pub(in crate::compile) fn experiments_on<'a>(
    world: &'a World,
    route: &ResourceId,
) -> impl Iterator<Item = (&'a ResourceId, &'a ExperimentSpec)> {
    let referrers = world.index.referrers(route);
    referrers.filter_map(|id| match world.resource(id).map(|resource| &resource.spec) {
        Some(Spec::Experiment(spec)) => Some((&**id, spec)),
        _ => None,
    })
}

/// Whether `target`, of the rule's own route, means this rule: the named one, or every one.
pub(in crate::compile) fn targets(target: &TargetRef, rule: &Rule) -> bool {
    target.section_name.is_none() || target.section_name == rule.name
}
