//! From the model's bytes to what rustls works with, and what is wrong with them.

use std::{collections::HashMap, sync::Arc};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use sluice_core::Snapshot;
use sluice_model::{Certificate, Code, Key, Trust, Violation};
use sluice_tls::{Fault, Identity};

/// Certificates and roots that were read, with what they were read from.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    identities: HashMap<Key, (Arc<Certificate>, Identity)>,
    trusts: HashMap<Key, (Arc<Trust>, sluice_tls::Trust)>,
}

impl Credentials {
    /// Reads those of `snapshot` that `before` has not read already.
    ///
    /// # Errors
    /// What is wrong with each of them.
    pub(super) fn read(snapshot: &Snapshot, before: &Self) -> Result<Self, Vec<Violation>> {
        let mut read = Self::default();
        let mut violations = Vec::new();
        for certificate in snapshot.certificates() {
            let key = &certificate.key;
            let held = before.identities.get(key).filter(|(held, _)| held == certificate);
            match held.map_or_else(|| identity(certificate), |(_, held)| Ok(held.clone())) {
                Ok(identity) => {
                    let held = (Arc::clone(certificate), identity);
                    read.identities.insert(key.clone(), held);
                }
                Err(fault) => violations.push(violation(key, fault)),
            }
        }
        for trust in snapshot.trusts() {
            let key = &trust.key;
            let held = before.trusts.get(key).filter(|(held, _)| held == trust);
            match held.map_or_else(|| roots(trust), |(_, held)| Ok(held.clone())) {
                Ok(roots) => drop(read.trusts.insert(key.clone(), (Arc::clone(trust), roots))),
                Err(fault) => violations.push(violation(key, fault)),
            }
        }
        match violations.is_empty() {
            true => Ok(read),
            false => Err(violations),
        }
    }

    /// The certificates under `keys`.
    pub(super) fn identities<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> Vec<Identity> {
        let found = keys.into_iter().filter_map(|key| self.identities.get(key));
        found.map(|(_, identity)| identity.clone()).collect()
    }

    /// All the roots under `keys` together.
    pub(super) fn trust<'k>(&self, keys: impl IntoIterator<Item = &'k Key>) -> sluice_tls::Trust {
        let found = keys.into_iter().filter_map(|key| self.trusts.get(key));
        sluice_tls::Trust::union(found.map(|(_, trust)| trust))
    }
}

fn identity(certificate: &Certificate) -> Result<Identity, Fault> {
    let chain = certificate.chain.iter();
    let chain = chain.map(|der| CertificateDer::from(der.to_vec())).collect();
    let key: &[u8] = certificate.private_key.expose();
    let key = PrivateKeyDer::try_from(key).map_err(|_| Fault::PrivateKey)?;
    Identity::new(chain, &key, certificate.ocsp.as_deref())
}

fn roots(trust: &Trust) -> Result<sluice_tls::Trust, Fault> {
    let roots: Vec<_> = trust
        .roots
        .iter()
        .map(|der| CertificateDer::from(&**der))
        .collect();
    let crls = trust.crls.iter();
    let crls: Vec<_> = crls
        .map(|der| CertificateRevocationListDer::from(&**der))
        .collect();
    sluice_tls::Trust::new(&roots, &crls)
}

/// What a user is told; a fault never quotes what it is about.
pub(super) fn violation(key: &Key, fault: Fault) -> Violation {
    let field = match fault {
        Fault::PrivateKey | Fault::Mismatch => "private_key",
        Fault::Root { .. } => "roots",
        Fault::Crl | Fault::NoCrl => "crls",
        Fault::Ocsp(_) => "ocsp",
        _ => "chain",
    };
    Violation::new(key.as_str(), field, Code::Invalid, fault.to_string())
}
