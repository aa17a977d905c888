//! Which listeners a route attaches to, and with which hostnames.

use sluice_intent::{
    FromNamespaces, GATEWAY_GROUP, HostnamePattern, Kind, LabelKey, LabelValue, Labels, Listener, Namespace,
    ParentRef, Resource, ResourceId, Spec,
};
use sluice_model::Hostname;

use super::gateway::is_served;
use crate::compile::World;
use crate::compile::reference;

/// The label that Kubernetes gives to every namespace; here it is the only one.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

/// A listener that a parentRef names.
pub(in crate::compile) struct Candidate<'a> {
    pub(in crate::compile) gateway: &'a ResourceId,
    pub(in crate::compile) listener: &'a Listener,
    admitted: bool,
    served: bool,
}

/// Why a parentRef names no listener.
pub(in crate::compile) enum Denied {
    UnknownKind,
    NoGateway(ResourceId),
    NoListener(ResourceId),
    NoPort(ResourceId),
}

/// The listeners that `parent` names; at least one.
pub(in crate::compile) fn candidates<'a>(
    world: &'a World,
    namespace: &Namespace,
    parent: &ParentRef,
) -> Result<Vec<Candidate<'a>>, Denied> {
    let id = reference::gateway(parent, namespace).ok_or(Denied::UnknownKind)?;
    let Some(gateway) = world.resource(&id) else {
        return Err(Denied::NoGateway(id));
    };
    let Spec::Gateway(spec) = &gateway.spec else {
        return Err(Denied::NoGateway(id));
    };
    let named = |listener: &&Listener| {
        parent
            .section_name
            .as_ref()
            .is_none_or(|name| *name == listener.name)
    };
    let mut listeners: Vec<_> = spec.listeners.iter().filter(named).collect();
    if listeners.is_empty() {
        return Err(Denied::NoListener(id));
    }
    listeners.retain(|listener| parent.port.is_none_or(|port| port == listener.port));
    if listeners.is_empty() {
        return Err(Denied::NoPort(id));
    }
    let candidate = |listener| Candidate {
        gateway: &gateway.id,
        listener,
        admitted: admits(listener, &gateway.id.namespace, namespace),
        served: is_served(world, gateway, spec, listener),
    };
    Ok(listeners.into_iter().map(candidate).collect())
}

impl Candidate<'_> {
    /// Whether the listener's `allowedRoutes` lets the route in.
    pub(in crate::compile) fn admits(&self) -> bool {
        self.admitted
    }

    /// Whether the fleet serves the listener; what it lacks is said of its Gateway.
    pub(in crate::compile) fn is_served(&self) -> bool {
        self.served
    }

    /// The hostnames that the listener and `route` both have; none when it is not admitted.
    pub(in crate::compile) fn hostnames(&self, route: &Resource) -> Vec<Hostname> {
        let Spec::HttpRoute(spec) = &route.spec else {
            return Vec::new();
        };
        if !self.admitted {
            return Vec::new();
        }
        let own = self.listener.hostname.as_ref().map_or(Some(Hostname::Any), parse);
        let Some(own) = own else { return Vec::new() };
        if spec.hostnames.is_empty() {
            return vec![own];
        }
        let mut shared: Vec<_> = spec
            .hostnames
            .iter()
            .filter_map(parse)
            .filter_map(|name| own.intersect(&name))
            .collect();
        shared.sort_unstable();
        shared.dedup();
        shared
    }
}

/// What passed the checks of intent also parses here.
fn parse(pattern: &HostnamePattern) -> Option<Hostname> {
    Hostname::parse(pattern.as_str()).ok()
}

fn admits(listener: &Listener, own: &Namespace, other: &Namespace) -> bool {
    let Some(allowed) = &listener.allowed_routes else {
        return own == other;
    };
    let is_http_route = |kind: &sluice_intent::RouteGroupKind| {
        kind.kind.as_str() == Kind::HTTPRoute.as_str()
            && kind
                .group
                .as_ref()
                .is_none_or(|group| group.as_str() == GATEWAY_GROUP)
    };
    if !allowed.kinds.is_empty() && !allowed.kinds.iter().any(is_http_route) {
        return false;
    }
    let namespaces = allowed.namespaces.as_ref();
    match namespaces
        .and_then(|namespaces| namespaces.from)
        .unwrap_or_default()
    {
        FromNamespaces::All => true,
        FromNamespaces::Same => own == other,
        FromNamespaces::Selector => namespaces
            .and_then(|namespaces| namespaces.selector.as_ref())
            .is_some_and(|selector| selector.matches(&labels_of(other))),
    }
}

fn labels_of(namespace: &Namespace) -> Labels {
    let label = NAMESPACE_LABEL
        .parse::<LabelKey>()
        .ok()
        .zip(namespace.as_str().parse::<LabelValue>().ok());
    label.into_iter().collect()
}
