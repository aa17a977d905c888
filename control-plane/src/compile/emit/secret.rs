//! A Secret: a certificate with its key, or roots of trust, as far as something uses it.

use std::collections::BTreeSet;

use sluice_core::Entry;
use sluice_intent::{ResourceId, SecretRef, SecretSpec, SecretType, Spec};
use sluice_model::{Key, Kind};
use sluice_proto::v1;
use sluice_tls::{Fault, Staple};

use super::entry;
use crate::compile::World;
use crate::compile::reference::{self, Role};

/// Data keys that mean something here; all others are kept and not looked at.
pub(in crate::compile) const CHAIN: &str = "tls.crt";
const PRIVATE_KEY: &str = "tls.key";
pub(in crate::compile) const OCSP: &str = "tls.ocsp";
pub(in crate::compile) const ROOTS: &str = "ca.crt";
pub(in crate::compile) const CRLS: &str = "ca.crl";

/// What is wrong with the value under one data key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compile) struct Wrong {
    pub(in crate::compile) data_key: &'static str,
    pub(in crate::compile) fault: Fault,
}

/// Why a reference gives no Secret that can be used as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Lost {
    UnknownKind,
    NotPermitted(ResourceId),
    Missing(ResourceId),
    /// It exists, but has not what this role needs.
    Unsuitable(ResourceId),
}

pub(super) fn entries(world: &World, id: &ResourceId, spec: &SecretSpec) -> Vec<Entry> {
    let segments = [id.namespace.as_str(), id.name.as_str()];
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

/// What a Secret can be used as.
pub(in crate::compile) fn roles(spec: &SecretSpec) -> BTreeSet<Role> {
    let is_certificate = spec.secret_type == SecretType::Tls;
    let certificate = is_certificate.then_some(Role::Certificate);
    let trust = spec.get(ROOTS).map(|_| Role::Trust);
    certificate.into_iter().chain(trust).collect()
}

/// The key of the wire resource that a reference in `from` leads to.
pub(in crate::compile) fn resolve(
    world: &World,
    from: &ResourceId,
    reference: &SecretRef,
    role: Role,
) -> Result<Key, Lost> {
    let id = reference::secret(reference, &from.namespace).ok_or(Lost::UnknownKind)?;
    // First, so that nobody learns what is there in another's namespace.
    if !world.permits(from, &id) {
        return Err(Lost::NotPermitted(id));
    }
    let Some(Spec::Secret(spec)) = world.resource(&id).map(|secret| &secret.spec) else {
        return Err(Lost::Missing(id));
    };
    let kind = match role {
        Role::Certificate => Kind::Certificate,
        Role::Trust => Kind::Trust,
    };
    let key = Key::new(kind, &[id.namespace.as_str(), id.name.as_str()]).ok();
    match key.filter(|_| roles(spec).contains(&role)) {
        Some(key) => Ok(key),
        None => Err(Lost::Unsuitable(id)),
    }
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

/// The roots of trust in a Secret, and what they have revoked; `None` without any.
pub(in crate::compile) fn trust(spec: &SecretSpec) -> Result<Option<v1::Trust>, Vec<Wrong>> {
    if spec.get(ROOTS).is_none() {
        return Ok(None);
    }
    let mut wrong = Vec::new();
    let roots = read(spec, ROOTS, sluice_tls::read_roots, &mut wrong);
    let crls = match spec.get(CRLS) {
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
    spec: &SecretSpec,
    data_key: &'static str,
    reader: impl Fn(&[u8]) -> Result<T, Fault>,
    wrong: &mut Vec<Wrong>,
) -> Option<T> {
    reader(spec.get(data_key).unwrap_or_default())
        .map_err(|fault| wrong.push(Wrong { data_key, fault }))
        .ok()
}
