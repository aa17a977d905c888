//! How old what a write creates is.
//!
//! An age is a number, and the smaller one is older. It is the revision that created the resource, so that
//! nothing that comes later gets ahead of what is there. What comes from elsewhere brings its age along
//! ([`CarriedAge`]), which puts what is new by the same write in order and does no more than that: all of it is
//! younger than everything that was there before.

use std::collections::{BTreeMap, BTreeSet};

use sluice_intent::CarriedAge;
use sluice_model::Revision;

use super::World;
use super::change::Change;

/// The largest number that is kept as it was brought along. From there on there is room for 2^62 more.
const MAX_KEPT: Revision = Revision(1 << 53);

/// The ages of what one write creates.
#[derive(Debug)]
pub(super) struct Ages {
    /// Of what brings one along.
    carried: BTreeMap<CarriedAge, Revision>,
    /// Of everything else.
    newest: Revision,
}

impl Ages {
    /// The ages of what `changes` create in `world`, as `revision`. Numbers stay as they are where all of them are
    /// younger than what is there, as in a world that is empty; else only their order does.
    pub(super) fn given(world: &World, changes: &[Change], revision: Revision) -> Self {
        let created = changes.iter().filter_map(|change| match change {
            Change::Put(resource) if world.get(&resource.id).is_none() => resource.carried_age().ok()?,
            Change::Put(_) | Change::Restore(_) | Change::Delete(_) => None,
        });
        let wanted: BTreeSet<CarriedAge> = created.collect();
        let first = revision.max(after(world.youngest));
        let is_younger = wanted.first().is_some_and(|age| age.revision() >= first);
        let is_kept = is_younger && wanted.last().is_some_and(|age| age.revision() <= MAX_KEPT);
        let mut next = first;
        let mut carried = BTreeMap::new();
        for age in wanted {
            let given = if is_kept { age.revision() } else { next };
            carried.insert(age, given);
            next = after(given);
        }
        let newest = next;
        Self { carried, newest }
    }

    /// The age of something new.
    pub(super) fn of_new(&self, brought_along: Option<CarriedAge>) -> Revision {
        let age = brought_along.and_then(|age| self.carried.get(&age));
        age.copied().unwrap_or(self.newest)
    }
}

fn after(age: Revision) -> Revision {
    Revision(age.0.saturating_add(1))
}
