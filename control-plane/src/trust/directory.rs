//! The identities as this replica knows them: in memory, read from the store as they change.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_tls::{KeyHash, ProxyPeer};
use thiserror::Error;
use tokio::sync::watch;

use super::metrics::Tally;
use crate::store::{Identity, Store, StoreError, UnixMillis};

/// Why a proxy is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stranger {
    /// It shows no certificate.
    #[error("a certificate is needed: join with a token")]
    NoCertificate,
    /// It says that it is another one than its certificate does.
    #[error("the certificate is another proxy's")]
    OtherId,
    /// Nobody has that identity.
    #[error("this certificate is not known here")]
    Unknown,
    /// It has had another key since, or another one has it.
    #[error("the key of this proxy is another one by now")]
    OtherKey,
    /// It was taken back.
    #[error("the certificate was revoked: join with a new token")]
    Revoked,
    /// It was not renewed in time.
    #[error("the certificate has expired: join with a new token")]
    Expired,
    /// It shows none, and the id belongs to one that does.
    #[error("this id belongs to a proxy with a certificate")]
    Taken,
    /// The store does not say.
    #[error("the store does not say whether the certificate stands")]
    Unavailable,
}

impl Stranger {
    /// The label in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::OtherId => "other_id",
            Self::Unknown => "unknown",
            Self::OtherKey => "other_key",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Taken => "taken",
            Self::Unavailable => "unavailable",
        }
    }
}

/// By id.
#[derive(Debug)]
pub(super) struct Directory {
    known: Mutex<Known>,
    /// Reads happen one after the other.
    reading: tokio::sync::Mutex<()>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    identity: Identity,
    /// `None` when the store has something else in its place: then nobody fits.
    key: Option<KeyHash>,
}

#[derive(Debug, Default)]
struct Known {
    identities: HashMap<String, Entry>,
    version: u64,
    /// How often the store had connected anew when it was read.
    reconnects: u64,
}

impl Directory {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Reads what is new; everything after the store connected anew, for numbers that a database has
    /// lost are given again.
    pub(super) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _turn = self.reading.lock().await;
        let reconnects = store.reconnects();
        let version = {
            let known = self.known();
            (known.reconnects == reconnects).then_some(known.version)
        };
        let changes = store.identities_since(version.unwrap_or_default()).await?;
        if version.is_some() && changes.is_empty() {
            return Ok(());
        }
        let mut known = self.known();
        if version.is_none() {
            known.identities.clear();
        }
        let last = changes.last().map_or(0, |last| last.version);
        (known.version, known.reconnects) = (last, reconnects);
        let entries = changes.into_iter().map(|identity| {
            let key = KeyHash::parse(&identity.key);
            (identity.proxy.clone(), Entry { identity, key })
        });
        known.identities.extend(entries);
        drop(known);
        self.changed.send_replace(last);
        Ok(())
    }

    /// Forgets those that have been of no use for long, as the store does.
    pub(super) fn prune(&self, before: UnixMillis) {
        let is_kept = |entry: &Entry| entry.identity.not_after >= before;
        self.known().identities.retain(|_, entry| is_kept(entry));
    }

    /// Told whenever an identity changed.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The identity of this peer.
    ///
    /// # Errors
    /// When it does not stand.
    pub(super) fn find(&self, peer: &ProxyPeer, now: UnixMillis) -> Result<Identity, Stranger> {
        let known = self.known();
        known.judge(peer, now).map(|entry| entry.identity.clone())
    }

    /// Whether the identity of this peer stands.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn judge(&self, peer: &ProxyPeer, now: UnixMillis) -> Result<(), Stranger> {
        self.known().judge(peer, now).map(drop)
    }

    /// Until when the proxy's certificate is good.
    pub(super) fn expiry(&self, id: &str) -> Option<UnixMillis> {
        let known = self.known();
        known.identities.get(id).map(|entry| entry.identity.not_after)
    }

    /// How many identities there are of each kind.
    pub(super) fn tally(&self, now: UnixMillis) -> Tally {
        let mut tally = Tally::default();
        for entry in self.known().identities.values() {
            let identity = &entry.identity;
            if identity.revoked_at.is_some() {
                tally.revoked += 1;
            } else if now < identity.not_after {
                tally.standing += 1;
                let next = tally
                    .next_expiry
                    .map_or(identity.not_after, |next| next.min(identity.not_after));
                tally.next_expiry = Some(next);
            } else {
                tally.expired += 1;
            }
        }
        tally
    }

    /// Whether somebody has that id for certain.
    pub(super) fn is_taken(&self, id: &str, now: UnixMillis) -> bool {
        let known = self.known();
        let identity = known.identities.get(id).map(|entry| &entry.identity);
        identity.is_some_and(|one| one.revoked_at.is_none() && now < one.not_after)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn judge(&self, peer: &ProxyPeer, now: UnixMillis) -> Result<&Entry, Stranger> {
        let entry = self.identities.get(&peer.id).ok_or(Stranger::Unknown)?;
        if entry.key != Some(peer.key) {
            return Err(Stranger::OtherKey);
        }
        if entry.identity.revoked_at.is_some() {
            return Err(Stranger::Revoked);
        }
        match now < entry.identity.not_after {
            true => Ok(entry),
            false => Err(Stranger::Expired),
        }
    }
}

/// What proxies say of themselves, overlaid with what their identity says of them.
pub(crate) fn overlay(
    said: &[sluice_proto::v1::Label],
    given: &BTreeMap<String, String>,
) -> Vec<sluice_proto::v1::Label> {
    let said = said.iter().map(|label| (&label.name, &label.value));
    let labels: BTreeMap<_, _> = said.chain(given).collect();
    let label = |(name, value): (&String, &String)| sluice_proto::v1::Label {
        name: name.clone(),
        value: value.clone(),
    };
    labels.into_iter().map(label).collect()
}
