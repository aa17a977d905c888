//! TLS to a Backend: as the Backend says itself, or a BackendTLSPolicy for it.

use sluice_intent::{
    BackendTlsPolicySpec, Resource, ResourceId, SecretRef, Spec, SubjectAltName, TlsValidation,
};
use sluice_proto::v1;

use super::secret;
use crate::compile::World;
use crate::compile::reference::Role;

/// TLS is wanted, but what it takes cannot be had. Rather no answer than one from anybody.
pub(in crate::compile) struct Unserved;

/// Whether requests can be sent to this Backend.
pub(in crate::compile) fn is_served(world: &World, backend: &Resource) -> bool {
    resolve(world, backend).is_ok()
}

/// TLS to `backend`; none when nobody asks for it.
pub(in crate::compile) fn resolve(
    world: &World,
    backend: &Resource,
) -> Result<Option<v1::BackendTls>, Unserved> {
    let Spec::Backend(spec) = &backend.spec else {
        return Err(Unserved);
    };
    if let Some(tls) = &spec.tls {
        return wire(
            world,
            &backend.id,
            &tls.validation,
            tls.client_certificate_ref.as_ref(),
        )
        .map(Some);
    }
    match policies(world, &backend.id).next() {
        Some((policy, spec)) => {
            let client = spec.client_certificate();
            wire(world, policy, &spec.validation, client.as_ref()).map(Some)
        }
        None => Ok(None),
    }
}

/// The policies for a Backend, the one that holds first: the oldest, then by name (Gateway API,
/// policy attachment, conflict resolution).
pub(in crate::compile) fn policies<'a>(
    world: &'a World,
    backend: &ResourceId,
) -> impl Iterator<Item = (&'a ResourceId, &'a BackendTlsPolicySpec)> {
    let policies = world.attached(backend).into_iter();
    policies.filter_map(|intent| match &intent.resource.spec {
        Spec::BackendTlsPolicy(spec) => Some((&intent.resource.id, spec)),
        _ => None,
    })
}

fn wire(
    world: &World,
    owner: &ResourceId,
    validation: &TlsValidation,
    client: Option<&SecretRef>,
) -> Result<v1::BackendTls, Unserved> {
    let resolve = |reference, role| secret::resolve(world, owner, reference, role);
    let roots = validation.ca_certificate_refs.iter();
    let mut trust: Vec<String> = roots
        .filter_map(|reference| resolve(reference, Role::Trust).ok())
        .map(|key| key.to_string())
        .collect();
    // No key means the system's roots, which is not what was asked for.
    if trust.is_empty() && !validation.ca_certificate_refs.is_empty() {
        return Err(Unserved);
    }
    trust.sort_unstable();
    trust.dedup();
    let client = client.map(|reference| resolve(reference, Role::Certificate));
    let client = client.transpose().map_err(|_| Unserved)?;
    let name = |name: &SubjectAltName| match name {
        SubjectAltName::Hostname(name) => name.to_string(),
        SubjectAltName::Uri(uri) => uri.to_string(),
    };
    Ok(v1::BackendTls {
        sni: validation.hostname.to_string(),
        names: validation.subject_alt_names.iter().map(name).collect(),
        trust,
        client_certificate: client.map(|key| key.to_string()).unwrap_or_default(),
    })
}
