//! Wire resources from intent: flat and final, so that nothing is left for a proxy to decide.

pub(super) mod attachment;
mod backend;
pub(super) mod backend_ref;
pub(super) mod experiment;
mod filters;
pub(super) mod gateway;
pub(super) mod limits;
mod matches;
mod route;
pub(super) mod secret;
mod split;
pub(super) mod upstream_tls;

use sluice_core::Entry;
use sluice_intent::Spec;
use sluice_model::{Key, Kind};

use super::World;
use super::intent::Intent;

/// Everything that `intent` becomes in `world`.
pub(super) fn entries(world: &World, intent: &Intent) -> Vec<Entry> {
    let id = &intent.resource.id;
    match &intent.resource.spec {
        Spec::Gateway(spec) => gateway::entries(world, &intent.resource, spec),
        Spec::HttpRoute(spec) => route::entries(world, intent, spec),
        Spec::Backend(spec) => backend::entries(world, &intent.resource, spec),
        Spec::Experiment(spec) => experiment::entries(world, intent, spec),
        Spec::Secret(spec) => secret::entries(world, id, spec),
        Spec::ConfigMap(spec) => secret::config_map_entries(world, id, spec),
        // Wired into what they are attached to, and into what they permit.
        Spec::GatewayClass(_)
        | Spec::ReferenceGrant(_)
        | Spec::BackendTlsPolicy(_)
        | Spec::TrafficPolicy(_)
        | Spec::LintPolicy(_) => Vec::new(),
    }
}

/// An entry of `kind` under a key of these segments. Names are short and not empty, so that there
/// is a key for all of them; one that had none would be left out.
pub(super) fn entry(
    kind: Kind,
    segments: &[impl AsRef<str> + std::fmt::Debug],
    message: &impl prost::Message,
) -> Option<Entry> {
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let key = Key::new(kind, &segments);
    key.inspect_err(|error| tracing::error!(%error, ?segments, "no key"))
        .ok()
        .map(|key| Entry::new(key, message))
}
