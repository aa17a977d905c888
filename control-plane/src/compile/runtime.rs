//! What changes without a revision: the addresses that DNS names lead to, and the keys of session
//! tickets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use sluice_core::{Difference, Entry};
use sluice_model::{Class, Key, KeyError, Kind, Violation};
use sluice_proto::v1;

use super::World;
use super::emit;

/// Where names lead: each with its addresses, in no order.
pub type Addresses = BTreeMap<Arc<str>, Vec<IpAddr>>;

impl World {
    /// The DNS names that endpoints are given by.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.index.names()
    }

    /// Where names led when they were last looked up.
    pub fn addresses(&self) -> Addresses {
        self.addresses
            .iter()
            .map(|(name, found)| (Arc::clone(name), found.to_vec()))
            .collect()
    }

    /// The world in which these names lead to these addresses, at the same revision; `None` when
    /// that changes nothing. Names that no endpoint has are ignored.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub fn resolved(&self, addresses: &Addresses) -> Result<Option<Self>, Vec<Violation>> {
        let mut next = self.clone();
        let mut backends = BTreeSet::new();
        for (name, found) in addresses {
            let mut found = found.clone();
            found.sort_unstable();
            found.dedup();
            let known = self.addresses.get(&**name).map(|known| &**known);
            if known == Some(&*found) {
                continue;
            }
            let users: Vec<_> = self.index.named(name).cloned().collect();
            if !users.is_empty() {
                next.addresses.insert(Arc::clone(name), found.into());
                backends.extend(users);
            }
        }
        let mut difference = Difference::default();
        for intent in backends.iter().filter_map(|id| next.intents.get(id)) {
            let entries = emit::entries(&next, intent).into_iter();
            let runtime = entries.filter(|entry| entry.key.kind().class() == Class::Runtime);
            difference
                .upserts
                .extend(runtime.filter(|entry| self.resources().get(&entry.key) != Some(entry)));
        }
        if difference.upserts.is_empty() {
            return Ok(None);
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

/// All proxies share their tickets.
fn tickets_key() -> Result<Key, KeyError> {
    Key::new(Kind::Tickets, &["default", "fleet"])
}
