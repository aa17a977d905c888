//! Secrets and ConfigMaps: a certificate with its key, or roots of trust, as far as something uses it.

use std::collections::BTreeSet;

use sluice_core::Entry;
use sluice_intent::{ConfigMapSpec, ResourceId, SecretRef, SecretSpec, SecretType, Spec};
use sluice_model::{Key, Kind};
use sluice_proto::v1;
use sluice_tls::{Fault, Staple};

use super::entry;
use crate::compile::World;
use crate::compile::reference::{self, CHAIN, CRLS, OCSP, PASSWORD, PRIVATE_KEY, ROOTS, Role, USERNAME};

/// What is wrong with the value under one data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compile) struct Wrong {
    pub(in crate::compile) data_key: &'static str,
    pub(in crate::compile) fault: Fault,
}

/// What begins the name of the wire resource of a ConfigMap: a Secret may have the same name. No name
/// has a colon.
const CONFIG_MAP: &str = "configmap:";

/// Why a reference gives no Secret or ConfigMap that can be used as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Lost {
    UnknownKind,
    NotPermitted(ResourceId),
    Missing(ResourceId),
    /// It exists, but has not what this role needs.
    Unsuitable(ResourceId),
}

/// What holds values by name.
pub(in crate::compile) trait Values {
    /// The value under `key`.
    fn value(&self, key: &str) -> Option<&[u8]>;
}

impl Values for SecretSpec {
    fn value(&self, key: &str) -> Option<&[u8]> {
        self.get(key)
    }
}

impl Values for ConfigMapSpec {
    fn value(&self, key: &str) -> Option<&[u8]> {
        self.get(key)
    }
}

pub(super) fn config_map_entries(world: &World, id: &ResourceId, spec: &ConfigMapSpec) -> Vec<Entry> {
    let mut users = world.index.users(id, Role::Trust);
    if !users.any(|user| world.permits(user, id)) {
        return Vec::new();
    }
    let trust = trust(spec).ok().flatten();
    let entry = trust.and_then(|message| entry(Kind::Trust, &segments(id), &message));
    entry.into_iter().collect()
}

pub(super) fn entries(world: &World, id: &ResourceId, spec: &SecretSpec) -> Vec<Entry> {
    let segments = segments(id);
    let used = |role| world.index.users(id, role).any(|user| world.permits(user, id));
    // What does not read was refused before; it would be left out.
    let certificate = used(Role::Certificate)
        .then(|| certificate(spec).ok().flatten())
        .flatten();
    let trust = used(Role::Trust).then(|| trust(spec).ok().flatten()).flatten();
    let certificate = certificate.and_then(|message| entry(Kind::Certificate, &segments, &message));
    let trust = trust.and_then(|message| entry(Kind::Trust, &segments, &message));
    certificate.into_iter().chain(trust).collect()
}

/// Namespace and name of the wire resource that a Secret or a ConfigMap becomes.
fn segments(id: &ResourceId) -> [String; 2] {
    let name = match id.kind {
        sluice_intent::Kind::ConfigMap => format!("{CONFIG_MAP}{}", id.name),
        _ => id.name.to_string(),
    };
    [id.namespace.to_string(), name]
}

/// The kind and name of what became the wire resource with this name.
pub(in crate::compile) fn origin(name: &str) -> (sluice_intent::Kind, &str) {
    match name.strip_prefix(CONFIG_MAP) {
        Some(name) => (sluice_intent::Kind::ConfigMap, name),
        None => (sluice_intent::Kind::Secret, name),
    }
}

/// What a Secret or a ConfigMap can be used as; nothing else can be used.
pub(in crate::compile) fn roles(spec: &Spec) -> BTreeSet<Role> {
    let (is_certificate, has_roots, is_login) = match spec {
        Spec::Secret(spec) => (
            spec.secret_type == SecretType::Tls,
            spec.get(ROOTS).is_some(),
            spec.get(USERNAME).is_some() && spec.get(PASSWORD).is_some(),
        ),
        Spec::ConfigMap(spec) => (false, spec.get(ROOTS).is_some(), false),
        _ => (false, false, false),
    };
    let roles = [
        (Role::Certificate, is_certificate),
        (Role::OwnCertificate, is_certificate),
        (Role::Trust, has_roots),
        (Role::OwnTrust, has_roots),
        (Role::Login, is_login),
    ];
    let possible = roles.into_iter().filter(|(_, possible)| *possible);
    possible.map(|(role, _)| role).collect()
}

/// The Secret or ConfigMap that a reference in `from` leads to.
pub(in crate::compile) fn find(
    world: &World,
    from: &ResourceId,
    reference: &SecretRef,
    role: Role,
) -> Result<ResourceId, Lost> {
    let id = reference::credential(reference, role, &from.namespace).ok_or(Lost::UnknownKind)?;
    // First, so that nobody learns what is there in another's namespace.
    if !world.permits(from, &id) {
        return Err(Lost::NotPermitted(id));
    }
    match world.resource(&id) {
        None => Err(Lost::Missing(id)),
        Some(found) if roles(&found.spec).contains(&role) => Ok(id),
        Some(_) => Err(Lost::Unsuitable(id)),
    }
}

/// The key of the wire resource that a reference in `from` leads to.
pub(in crate::compile) fn resolve(
    world: &World,
    from: &ResourceId,
    reference: &SecretRef,
    role: Role,
) -> Result<Key, Lost> {
    let id = find(world, from, reference, role)?;
    let kind = match role {
        Role::Certificate => Kind::Certificate,
        Role::Trust => Kind::Trust,
        // The control plane's own business: proxies get nothing of it.
        Role::OwnCertificate | Role::OwnTrust | Role::Login => return Err(Lost::Unsuitable(id)),
    };
    let segments = segments(&id);
    Key::new(kind, &segments.each_ref().map(String::as_str)).map_err(|_| Lost::Unsuitable(id))
}

/// The certificate in a Secret of type `kubernetes.io/tls`; `None` in all others.
pub(in crate::compile) fn certificate(spec: &SecretSpec) -> Result<Option<v1::Certificate>, Vec<Wrong>> {
    if spec.secret_type != SecretType::Tls {
        return Ok(None);
    }
    let mut wrong = Vec::new();
    let chain = read(spec, CHAIN, sluice_tls::read_chain, &mut wrong);
    let key = read(spec, PRIVATE_KEY, sluice_tls::read_private_key, &mut wrong);
    let (Some(chain), Some(key)) = (chain, key) else {
        return Err(wrong);
    };
    if let Err(fault) = sluice_tls::check_pair(&chain, &key) {
        let data_key = match fault {
            Fault::Certificate { .. } => CHAIN,
            _ => PRIVATE_KEY,
        };
        wrong.push(Wrong { data_key, fault });
    }
    let ocsp = spec.get(OCSP);
    if ocsp.is_some() {
        read(spec, OCSP, |der| Staple::read(der, &chain), &mut wrong);
    }
    match wrong.is_empty() {
        true => Ok(Some(v1::Certificate {
            chain: chain.iter().map(|der| der.to_vec()).collect(),
            private_key: key.secret_der().to_vec(),
            ocsp: ocsp.unwrap_or_default().to_vec(),
        })),
        false => Err(wrong),
    }
}

/// The roots of trust in a Secret or a ConfigMap, and what they have revoked; `None` without any.
pub(in crate::compile) fn trust(spec: &impl Values) -> Result<Option<v1::Trust>, Vec<Wrong>> {
    if spec.value(ROOTS).is_none() {
        return Ok(None);
    }
    let mut wrong = Vec::new();
    let roots = read(spec, ROOTS, sluice_tls::read_roots, &mut wrong);
    let crls = match spec.value(CRLS) {
        Some(_) => read(spec, CRLS, sluice_tls::read_crls, &mut wrong),
        None => Some(Vec::new()),
    };
    let (Some(roots), Some(crls)) = (roots, crls) else {
        return Err(wrong);
    };
    sluice_tls::check_trust(&roots, &crls).map_err(|fault| {
        let data_key = match fault {
            Fault::Crl => CRLS,
            _ => ROOTS,
        };
        vec![Wrong { data_key, fault }]
    })?;
    Ok(Some(v1::Trust {
        roots: roots.iter().map(|der| der.to_vec()).collect(),
        crls: crls.iter().map(|der| der.to_vec()).collect(),
    }))
}

/// The value under `data_key`, read; a value that is not there reads as empty.
fn read<T>(
    spec: &impl Values,
    data_key: &'static str,
    reader: impl Fn(&[u8]) -> Result<T, Fault>,
    wrong: &mut Vec<Wrong>,
) -> Option<T> {
    reader(spec.value(data_key).unwrap_or_default())
        .map_err(|fault| wrong.push(Wrong { data_key, fault }))
        .ok()
}
