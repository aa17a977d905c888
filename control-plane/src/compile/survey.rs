//! What the linter asks of a world.

use sluice_intent::{
    BackendTarget, Kind, LintPolicySpec, Listener, ListenerTls, Namespace, Resource, ResourceId, Rule, Spec,
};
use sluice_model::{Hostname, Key};
use sluice_tls::Leaf;

use super::emit::attachment::{Candidate, candidates};
use super::emit::{backend_ref, experiment, secret};
use super::reference::{self, CHAIN, Role};
use super::world::World;

/// A listener that takes a route.
pub(crate) struct Attached<'a> {
    pub(crate) gateway: &'a ResourceId,
    pub(crate) listener: &'a Listener,
    /// Those that both have; never none.
    pub(crate) hostnames: Vec<Hostname>,
}

impl World {
    /// The listeners that take `route`, by its parents; one that several parents name comes as often.
    pub(crate) fn attached_to(&self, route: &Resource) -> Vec<Attached<'_>> {
        let Spec::HttpRoute(spec) = &route.spec else {
            return Vec::new();
        };
        let named = spec.parent_refs.iter();
        let named = named.flat_map(|parent| {
            candidates(self, &route.id.namespace, parent)
                .into_iter()
                .flatten()
        });
        let attached = named.filter(Candidate::is_served).map(|one| Attached {
            gateway: one.gateway,
            listener: one.listener,
            hostnames: one.hostnames(route),
        });
        attached.filter(|one| !one.hostnames.is_empty()).collect()
    }

    /// The routes that name `gateway` as a parent.
    pub(crate) fn routes_of(&self, gateway: &ResourceId) -> impl Iterator<Item = &ResourceId> {
        let referrers = self.index.referrers(gateway).map(|id| &**id);
        referrers.filter(|id| id.kind == Kind::HTTPRoute)
    }

    /// The Gateways that a route names as parents, whether they exist or not.
    pub(crate) fn parents(&self, route: &ResourceId) -> Vec<ResourceId> {
        let Some(route) = self.resource(route) else {
            return Vec::new();
        };
        let Spec::HttpRoute(spec) = &route.spec else {
            return Vec::new();
        };
        let parents = spec.parent_refs.iter();
        parents
            .filter_map(|parent| reference::gateway(parent, &route.id.namespace))
            .collect()
    }

    /// Whether any route hangs on `gateway`.
    pub(crate) fn has_routes(&self, gateway: &ResourceId) -> bool {
        let mut routes = self.routes_of(gateway).filter_map(|id| self.resource(id));
        routes.any(|route| self.attached_to(route).iter().any(|one| one.gateway == gateway))
    }

    /// Whether an experiment decides where requests of a rule of `route` go.
    pub(crate) fn has_experiment(&self, route: &ResourceId, rule: &Rule) -> bool {
        experiment::experiments_on(self, route).any(|(_, spec)| {
            let mut targets = spec.target_refs.iter();
            targets.any(|target| target.name == route.name && experiment::targets(target, rule))
        })
    }

    /// Whether a reference in `from` leads to a Backend that can be served from.
    pub(crate) fn leads_somewhere(&self, from: &ResourceId, reference: BackendTarget<'_>) -> bool {
        backend_ref::resolve(self, from, reference).is_ok()
    }

    /// What the certificates of a listener of `gateway` say of themselves, as far as they can be read.
    pub(crate) fn leaves(&self, gateway: &ResourceId, tls: &ListenerTls) -> Vec<Leaf> {
        let leaves = tls.certificate_refs.iter().filter_map(|reference| {
            secret::resolve(self, gateway, reference, Role::Certificate).ok()?;
            let id = reference::credential(reference, Role::Certificate, &gateway.namespace)?;
            match &self.resource(&id)?.spec {
                Spec::Secret(spec) => {
                    let chain = sluice_tls::read_chain(spec.get(CHAIN)?).ok()?;
                    Leaf::read(chain.first()?).ok()
                }
                _ => None,
            }
        });
        leaves.collect()
    }

    /// The LintPolicies of a namespace, by name.
    pub(crate) fn lint_policies<'a>(
        &'a self,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a LintPolicySpec> {
        let policies = self.in_namespace(Kind::LintPolicy, namespace);
        policies.filter_map(|intent| match &intent.resource.spec {
            Spec::LintPolicy(spec) => Some(spec),
            _ => None,
        })
    }

    /// The keys of the rules that a route became.
    pub(crate) fn rule_keys(&self, route: &ResourceId) -> impl Iterator<Item = &Key> {
        let keys = self.emitted.get(route).into_iter().flat_map(|keys| keys.iter());
        keys.filter(|key| key.kind() == sluice_model::Kind::Rule)
    }
}
