//! Certificates, trusts and ticket keys, and who refers to them.

use std::sync::Arc;

use sluice_model::{Certificate, Key, Kind, Tickets, Trust};

use crate::registry::Registry;

/// What TLS needs beside listeners and backends. Cloning shares everything.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) certificates: Registry<Certificate>,
    pub(crate) trusts: Registry<Trust>,
    pub(crate) tickets: imbl::OrdMap<Key, Arc<Tickets>>,
}

impl Credentials {
    /// Puts or replaces one of them.
    pub(crate) fn put(&mut self, credential: Credential) {
        match credential {
            Credential::Certificate(certificate) => {
                let key = certificate.key.clone();
                self.certificates.set(&key, Arc::new(certificate));
            }
            Credential::Trust(trust) => {
                let key = trust.key.clone();
                self.trusts.set(&key, Arc::new(trust));
            }
            Credential::Tickets(tickets) => {
                self.tickets.insert(tickets.key.clone(), Arc::new(tickets));
            }
        }
    }

    /// Takes away what stands under `key`; nothing, if that is no credential's.
    pub(crate) fn remove(&mut self, key: &Key) {
        match key.kind() {
            Kind::Certificate => drop(self.certificates.unset(key)),
            Kind::Trust => drop(self.trusts.unset(key)),
            Kind::Tickets => drop(self.tickets.remove(key)),
            Kind::Listener
            | Kind::Backend
            | Kind::Endpoints
            | Kind::Split
            | Kind::Experiment
            | Kind::Route
            | Kind::Rule => {}
        }
    }

    /// Notes a reference to each of `keys`, which are of certificates and trusts.
    pub(crate) fn acquire<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) {
        for key in keys {
            if key.kind() == Kind::Certificate {
                self.certificates.acquire(key);
            } else {
                self.trusts.acquire(key);
            }
        }
    }

    /// Takes those references back.
    pub(crate) fn release<'k>(&mut self, keys: impl Iterator<Item = &'k Key>) {
        for key in keys {
            if let Some(idx) = self.certificates.idx(key) {
                self.certificates.release(idx);
            } else if let Some(idx) = self.trusts.idx(key) {
                self.trusts.release(idx);
            }
        }
    }

    /// Keys that are referred to and not there.
    pub(crate) fn settle(&mut self) -> impl Iterator<Item = Key> {
        let certificates = self.certificates.settle();
        certificates.into_iter().chain(self.trusts.settle())
    }
}

/// One of them, as it was sent.
pub(crate) enum Credential {
    Certificate(Certificate),
    Trust(Trust),
    Tickets(Tickets),
}
