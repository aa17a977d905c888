//! What nobody refers to any more after a change.

use std::collections::BTreeSet;

use sluice_intent::{Kind, ResourceId};

use super::reference;
use super::world::World;

/// Kinds that do nothing by themselves.
const PASSIVE: [Kind; 3] = [Kind::Backend, Kind::Secret, Kind::ConfigMap];

impl World {
    /// Those that something referred to here, that are there in `after`, and that nothing refers to there;
    /// `touched` are the resources that changed.
    pub fn orphans<'a>(
        &self,
        after: &Self,
        touched: impl IntoIterator<Item = &'a ResourceId>,
    ) -> BTreeSet<ResourceId> {
        let mut orphans = BTreeSet::new();
        for resource in touched.into_iter().filter_map(|id| self.resource(id)) {
            let targets = reference::targets(resource).into_iter();
            orphans.extend(targets.filter(|target| after.is_idle(target)));
        }
        orphans
    }

    /// Those that do nothing by themselves and that nothing refers to.
    pub fn idle(&self) -> BTreeSet<ResourceId> {
        let passive = PASSIVE.into_iter().flat_map(|kind| self.of_kind(kind, None));
        let ids = passive.map(|intent| &intent.resource.id);
        ids.filter(|id| self.is_idle(id)).cloned().collect()
    }

    /// Whether it is there, does nothing by itself, and nothing refers to it.
    pub(crate) fn is_idle(&self, id: &ResourceId) -> bool {
        PASSIVE.contains(&id.kind) && self.resource(id).is_some() && self.index.referrers(id).next().is_none()
    }
}
