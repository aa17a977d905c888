//! What changes without a revision: the endpoints that sources know, and the keys of session tickets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use sluice_core::{Difference, Entry};
use sluice_intent::ResourceId;
use sluice_model::{Class, Key, KeyError, Kind, Violation};
use sluice_proto::v1;

use super::World;
use super::emit;
use super::source::{Found, Source};

/// What sources know: each with its addresses, in no order. Of several with one address and port the
/// first counts.
pub type Findings = BTreeMap<Source, Vec<Found>>;

impl World {
    /// Every source of endpoints, with the Backends that depend on it.
    pub fn sources(&self) -> &OrdMap<Source, OrdSet<Arc<ResourceId>>> {
        self.index.sources()
    }

    /// What sources knew when they were last heard of, by address and port. A source that was never
    /// heard of is not in it.
    pub fn found(&self) -> &OrdMap<Source, Arc<[Found]>> {
        &self.found
    }

    /// The world in which sources know this, at the same revision; `None` when that changes nothing.
    /// Sources that nothing depends on are ignored.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub fn with_found(&self, findings: &Findings) -> Result<Option<Self>, Vec<Violation>> {
        let mut next = self.clone();
        let mut backends = BTreeSet::new();
        for (source, found) in findings {
            let found = sorted(found);
            if self.found.get(source).is_some_and(|known| **known == *found) {
                continue;
            }
            let users: Vec<_> = self.index.fed_by(source).cloned().collect();
            if !users.is_empty() {
                next.found.insert(source.clone(), found.into());
                backends.extend(users);
            }
        }
        if backends.is_empty() {
            return Ok(None);
        }
        let mut difference = Difference::default();
        for intent in backends.iter().filter_map(|id| next.intents.get(id)) {
            let entries = emit::entries(&next, intent).into_iter();
            let runtime = entries.filter(|entry| entry.key.kind().class() == Class::Runtime);
            difference
                .upserts
                .extend(runtime.filter(|entry| self.resources().get(&entry.key) != Some(entry)));
        }
        next.with_runtime(&difference).map(Some)
    }

    /// The world whose proxies make session tickets with the first of `keys` and open them with all,
    /// at the same revision; `None` when that changes nothing.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub fn with_tickets(&self, keys: &[[u8; 32]]) -> Result<Option<Self>, Vec<Violation>> {
        let keys = keys.iter().map(|key| key.to_vec()).collect();
        let entry = tickets_key().map(|key| Entry::new(key, &v1::Tickets { keys }));
        self.with_entry(entry.ok())
    }

    /// The world with the keys of session tickets that `known` has.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub fn with_tickets_of(&self, known: &Self) -> Result<Option<Self>, Vec<Violation>> {
        let entry = tickets_key().map(|key| known.resources().get(&key).cloned());
        self.with_entry(entry.ok().flatten())
    }

    fn with_entry(&self, entry: Option<Entry>) -> Result<Option<Self>, Vec<Violation>> {
        let news = entry.filter(|entry| self.resources().get(&entry.key) != Some(entry));
        let with = |entry: Entry| {
            let upserts = vec![entry];
            let removals = Vec::new();
            self.clone().with_runtime(&Difference { upserts, removals })
        };
        news.map(with).transpose()
    }
}

/// One order, and one of each address and port: so that replicas agree on every byte.
fn sorted(found: &[Found]) -> Vec<Found> {
    let canonical = |one: &Found| Found {
        address: one.address.to_canonical(),
        ..*one
    };
    let mut found: Vec<_> = found.iter().map(canonical).collect();
    found.sort_by_key(|one| (one.address, one.port));
    found.dedup_by_key(|one| (one.address, one.port));
    found
}

/// All proxies share their tickets.
fn tickets_key() -> Result<Key, KeyError> {
    Key::new(Kind::Tickets, &["default", "fleet"])
}
