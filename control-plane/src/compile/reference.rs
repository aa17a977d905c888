//! What references name: one reading of them, for the index, the checks and the compiler.

use std::collections::BTreeSet;

use sluice_intent::{
    ApiGroup, ApiKind, BackendRef, BackendTarget, CORE_GROUP, ClientValidation, Discovery, Filter,
    GATEWAY_GROUP, GatewaySpec, HttpRouteSpec, Kind, Namespace, ObjectName, ParentRef, Resource, ResourceId,
    SLUICE_GROUP, SecretRef, Spec, TargetRef,
};

/// Data keys that mean something here; all others are kept and not looked at.
pub(super) const CHAIN: &str = "tls.crt";
pub(super) const PRIVATE_KEY: &str = "tls.key";
pub(super) const OCSP: &str = "tls.ocsp";
pub(super) const ROOTS: &str = "ca.crt";
pub(super) const CRLS: &str = "ca.crl";
pub(super) const USERNAME: &str = "username";
pub(super) const PASSWORD: &str = "password";

/// What a Secret or a ConfigMap is used as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A certificate to show, and its key.
    Certificate,
    /// Roots of trust to verify others by.
    Trust,
    /// A certificate that the control plane itself shows, which no proxy gets.
    OwnCertificate,
    /// Roots of trust that the control plane itself verifies others by.
    OwnTrust,
    /// A name and a password of the control plane.
    Login,
}

impl Role {
    /// Whether resources of this kind can have it: what is a secret is in a Secret.
    pub(super) fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Certificate | Self::OwnCertificate | Self::Login => kind == Kind::Secret,
            Self::Trust | Self::OwnTrust => matches!(kind, Kind::Secret | Kind::ConfigMap),
        }
    }
}

/// The Backend that a backendRef names: a Service means the Backend of that name. `None` for a
/// kind that nobody here knows.
pub(super) fn backend(reference: BackendTarget<'_>, namespace: &Namespace) -> Option<ResourceId> {
    let group = reference.group.map_or(CORE_GROUP, ApiGroup::as_str);
    let kind = reference.kind.map_or("Service", ApiKind::as_str);
    let namespace = reference.namespace.unwrap_or(namespace);
    is_backend(group, kind).then(|| id(Kind::Backend, namespace, reference.name))
}

/// The Gateway that a parentRef names. Another namespace is allowed: the listener's
/// `allowedRoutes` decides.
pub(super) fn gateway(reference: &ParentRef, namespace: &Namespace) -> Option<ResourceId> {
    let group = reference.group.as_ref().map_or(GATEWAY_GROUP, ApiGroup::as_str);
    let kind = reference
        .kind
        .as_ref()
        .map_or(Kind::Gateway.as_str(), ApiKind::as_str);
    let namespace = reference.namespace.as_ref().unwrap_or(namespace);
    let is_gateway = (group, kind) == (GATEWAY_GROUP, Kind::Gateway.as_str());
    is_gateway.then(|| id(Kind::Gateway, namespace, &reference.name))
}

/// What a certificateRef, a caCertificateRef or a clientCertificateRef names: a Secret, or, for roots
/// of trust, a ConfigMap. `None` for another kind.
pub(super) fn credential(reference: &SecretRef, role: Role, namespace: &Namespace) -> Option<ResourceId> {
    let group = reference.group.as_ref().map_or(CORE_GROUP, ApiGroup::as_str);
    let kind = reference
        .kind
        .as_ref()
        .map_or(Kind::Secret.as_str(), ApiKind::as_str);
    let namespace = reference.namespace.as_ref().unwrap_or(namespace);
    let kind = Kind::by_name(kind).filter(|kind| group == CORE_GROUP && role.takes(*kind))?;
    Some(id(kind, namespace, &reference.name))
}

/// The route of this name, where a targetRef stands in `namespace`.
pub(super) fn route(name: &ObjectName, namespace: &Namespace) -> ResourceId {
    id(Kind::HTTPRoute, namespace, name)
}

/// What the targetRef of a policy in `namespace` names: a Service means the Backend of that name.
/// `None` for a kind that nobody here knows, which no policy is read with.
pub(super) fn policy_target(target: &TargetRef, namespace: &Namespace) -> Option<ResourceId> {
    let kind = match target.kind.as_str() {
        "Service" => Kind::Backend,
        name => Kind::by_name(name)?,
    };
    Some(id(kind, namespace, &target.name))
}

/// What a policy is attached to; nothing for all other kinds.
pub(super) fn attached_to(resource: &Resource) -> BTreeSet<ResourceId> {
    let targets = match &resource.spec {
        Spec::BackendTlsPolicy(spec) => spec.target_refs.as_slice(),
        Spec::TrafficPolicy(spec) => spec.target_refs.as_slice(),
        _ => &[],
    };
    targets
        .iter()
        .filter_map(|target| policy_target(target, &resource.id.namespace))
        .collect()
}

/// The Secrets and ConfigMaps that a resource uses, and as what.
struct Uses<'a> {
    namespace: &'a Namespace,
    found: BTreeSet<(ResourceId, Role)>,
}

impl Uses<'_> {
    fn add<'r>(&mut self, references: impl IntoIterator<Item = &'r SecretRef>, role: Role) {
        let named = |reference| Some((credential(reference, role, self.namespace)?, role));
        self.found.extend(references.into_iter().filter_map(named));
    }
}

/// The Secrets and ConfigMaps that a resource uses, and as what.
pub(super) fn credential_uses(resource: &Resource) -> BTreeSet<(ResourceId, Role)> {
    let mut uses = Uses {
        namespace: &resource.id.namespace,
        found: BTreeSet::new(),
    };
    match &resource.spec {
        Spec::Gateway(spec) => {
            for tls in spec.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
                uses.add(&tls.certificate_refs, Role::Certificate);
            }
            for (_, validation) in client_validations(spec) {
                uses.add(&validation.ca_certificate_refs, Role::Trust);
            }
        }
        Spec::Backend(spec) => {
            if let Some(tls) = &spec.tls {
                uses.add(&tls.validation.ca_certificate_refs, Role::Trust);
                uses.add(&tls.client_certificate_ref, Role::Certificate);
            }
            if let Some(Discovery::Etcd(etcd)) = &spec.discovery {
                uses.add(&etcd.credentials_ref, Role::Login);
                if let Some(tls) = &etcd.tls {
                    uses.add(&tls.ca_certificate_refs, Role::OwnTrust);
                    uses.add(&tls.client_certificate_ref, Role::OwnCertificate);
                }
            }
        }
        Spec::BackendTlsPolicy(spec) => {
            uses.add(&spec.validation.ca_certificate_refs, Role::Trust);
            uses.add(&spec.client_certificate(), Role::Certificate);
        }
        _ => {}
    }
    uses.found
}

/// Every way in which clients of a Gateway are verified, each with its field.
pub(super) fn client_validations(spec: &GatewaySpec) -> Vec<(String, &ClientValidation)> {
    let mut found = Vec::new();
    for (at, listener) in spec.listeners.iter().enumerate() {
        let own = listener
            .tls
            .as_ref()
            .and_then(|tls| tls.frontend_validation.as_ref());
        found.extend(own.map(|own| (format!("spec.listeners[{at}].tls.frontendValidation"), own)));
    }
    let Some(frontend) = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref()) else {
        return found;
    };
    let default = frontend
        .default
        .as_ref()
        .and_then(|config| config.validation.as_ref());
    found.extend(default.map(|default| ("spec.tls.frontend.default.validation".to_owned(), default)));
    for (at, port) in frontend.per_port.iter().enumerate() {
        let own = port.tls.validation.as_ref();
        found.extend(own.map(|own| (format!("spec.tls.frontend.perPort[{at}].tls.validation"), own)));
    }
    found
}

/// Everything that a resource refers to, whether it exists or not.
pub(super) fn targets(resource: &Resource) -> BTreeSet<ResourceId> {
    let namespace = &resource.id.namespace;
    let mut targets = attached_to(resource);
    targets.extend(credential_uses(resource).into_iter().map(|(id, _)| id));
    match &resource.spec {
        Spec::HttpRoute(spec) => {
            targets.extend(
                spec.parent_refs
                    .iter()
                    .filter_map(|parent| gateway(parent, namespace)),
            );
            targets.extend(backends_of(spec).filter_map(|one| backend(one, namespace)));
        }
        Spec::Experiment(spec) => {
            targets.extend(
                spec.target_refs
                    .iter()
                    .map(|target| route(&target.name, namespace)),
            );
            let references = spec.variants.iter().flat_map(|variant| &variant.backend_refs);
            targets.extend(
                references
                    .flat_map(with_mirrors)
                    .filter_map(|one| backend(one, namespace)),
            );
        }
        _ => {}
    }
    targets
}

/// Every reference to a Backend in a route: its rules', and those of mirrors.
fn backends_of(spec: &HttpRouteSpec) -> impl Iterator<Item = BackendTarget<'_>> {
    spec.rules.iter().flat_map(|rule| {
        let mirrors = rule.filters.iter().filter_map(mirrored);
        mirrors.chain(rule.backend_refs.iter().flat_map(with_mirrors))
    })
}

fn with_mirrors(reference: &BackendRef) -> impl Iterator<Item = BackendTarget<'_>> {
    std::iter::once(reference.target()).chain(reference.filters.iter().filter_map(mirrored))
}

/// Where a filter sends copies of requests.
fn mirrored(filter: &Filter) -> Option<BackendTarget<'_>> {
    match filter {
        Filter::RequestMirror(mirror) => Some(mirror.backend_ref.target()),
        _ => None,
    }
}

fn is_backend(group: &str, kind: &str) -> bool {
    matches!((group, kind), (CORE_GROUP, "Service") | (SLUICE_GROUP, "Backend"))
}

fn id(kind: Kind, namespace: &Namespace, name: &ObjectName) -> ResourceId {
    ResourceId {
        kind,
        namespace: namespace.clone(),
        name: name.clone(),
    }
}
