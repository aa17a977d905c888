//! Values of headers that rules spell out: what a hash may turn out to be of.

use std::collections::BTreeMap;

use http::HeaderName;
use sluice_model::ValueMatch;

use super::{is_credential, sampled_value};
use crate::Snapshot;

/// The values that rules of some snapshots ask for, by the header and their hash under one key.
#[derive(Debug, Default)]
pub struct Spelt(BTreeMap<(String, [u8; 16]), Box<str>>);

impl Spelt {
    /// Those of all rules of `snapshots`, but for headers with credentials: of these nobody may find out by guesses
    /// whether a value was sent.
    pub fn of<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>, key: &[u8; 32]) -> Self {
        let mut spelt = BTreeMap::new();
        for snapshot in snapshots {
            let matches = snapshot.rules().flat_map(|rule| &rule.rule.matches);
            let headers = matches.flat_map(|one| &one.headers);
            for header in headers.filter(|header| !is_credential(header.name.as_str())) {
                if let ValueMatch::Exact(value) = &header.value {
                    let hash = sampled_value(key, &header.name, value);
                    spelt.insert((header.name.to_string(), hash), value.clone());
                }
            }
        }
        Self(spelt)
    }

    /// The value that has this hash, if a rule spells it out.
    pub fn value(&self, name: &HeaderName, hash: &[u8]) -> Option<&str> {
        let hash = hash.try_into().ok()?;
        self.0.get(&(name.to_string(), hash)).map(AsRef::as_ref)
    }
}
