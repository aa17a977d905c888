//! What is live, and the versions before it that proxies may still hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sluice_core::{Difference, Entry, ResourceSet, Snapshot};
use sluice_intent::Labels;
use sluice_model::{Class, CommitId, Digest, HistoryId, Key, Kind, Position, Revision};
use tokio::time::Instant;

use super::labels::OperatorLabels;
use crate::compile::{ViewKey, World};

/// Most versions that a difference can start from at once. What a proxy further behind holds is made
/// again from the store.
pub const RECENT: usize = 64;
/// Fewer are kept once more of the table has changed since than one resource in so many: each holds
/// what others do not share.
const SHARE: usize = 8;
/// Changes since then that are always allowed.
const ALLOWED: usize = 4_096;

/// The resources of one view at one position.
#[derive(Clone, Debug)]
pub struct Version {
    /// The history that the position is in.
    pub history: HistoryId,
    /// Revision and digests.
    pub position: Position,
    /// Which commit the revision is.
    pub commit: CommitId,
    /// What proxies hold when they are there.
    pub resources: ResourceSet,
    /// When this process committed the revision, or heard of it.
    pub at: Instant,
}

/// What each part of the fleet should hold, at one moment.
#[derive(Debug)]
struct Round {
    views: BTreeMap<ViewKey, Arc<Version>>,
    /// Resources that the round before does not have so, of all views.
    changes: usize,
}

/// The live world and the recent versions. Immutable; the next one replaces it whole.
#[derive(Clone, Debug)]
pub struct Published {
    /// Everything.
    pub world: World,
    /// What proxies that match no selector should hold.
    pub version: Arc<Version>,
    /// Oldest first; the last is what all proxies should hold.
    recent: Vec<Arc<Round>>,
    labels: OperatorLabels,
    /// Counts how often it may have changed which view a proxy has.
    membership: u64,
}

impl Published {
    /// The first publication of this process.
    pub fn first(world: World, at: Instant) -> Self {
        let version = Arc::new(Version::of(&world, world.snapshot(), at));
        let mut published = Self {
            recent: Vec::new(),
            version,
            world,
            labels: OperatorLabels::default(),
            membership: 0,
        };
        published.recent = vec![Arc::new(published.round(&published.world, at))];
        published
    }

    /// The publication of `world` after this one.
    pub fn next(&self, world: World, at: Instant) -> Self {
        let history = world.history();
        let same_revision = history == self.version.history && world.revision() == self.revision();
        let round = self.round(&world, if same_revision { self.version.at } else { at });
        // What proxies get may be the same: an address was found that gets no traffic, say.
        let is_news = self.recent.last().is_none_or(|last| !last.is_same(&round));
        let version = round.views.get(&ViewKey::default()).unwrap_or(&self.version);
        let version = Arc::clone(version);
        let mut recent = self.recent.clone();
        if is_news {
            recent.push(Arc::new(round));
        }
        recent.drain(..outdated(&recent, world.resources().len()));
        Self {
            membership: self.membership + u64::from(!world.has_selectors_of(&self.world)),
            labels: self.labels.clone(),
            world,
            version,
            recent,
        }
    }

    /// The same with these labels of proxies.
    pub(crate) fn with_labels(&self, labels: OperatorLabels) -> Self {
        Self {
            labels,
            membership: self.membership + 1,
            ..self.clone()
        }
    }

    /// The versions of all views of `world`; those that are not news are the ones that are known.
    fn round(&self, world: &World, at: Instant) -> Round {
        let history = world.history();
        let mut changes = 0;
        let versions = world.views().map(|(key, snapshot)| {
            let known = self.view(&key);
            let same = known
                .filter(|known| known.history == history && known.position == snapshot.position())
                .cloned();
            let version = same.unwrap_or_else(|| {
                let version = Version::of(world, snapshot, at);
                changes += known.map_or(0, |known| known.resources.diff(&version.resources).len());
                Arc::new(version)
            });
            (key, version)
        });
        Round {
            views: versions.collect(),
            changes,
        }
    }

    /// How many views have another version than in `before`, the publication before this one.
    pub(super) fn news_since(&self, before: &Self) -> usize {
        let is_news = |(key, version): &(&ViewKey, &Arc<Version>)| {
            let known = before.view(key);
            known.is_none_or(|known| !Arc::ptr_eq(known, version))
        };
        let newest = self.recent.last();
        newest.map_or(0, |round| round.views.iter().filter(is_news).count())
    }

    /// Whether a view has other endpoints (or ticket keys) than in `before`, a publication before this one.
    pub(crate) fn has_moved_endpoints(&self, before: &Self) -> bool {
        let differs = |(key, version): (&ViewKey, &Arc<Version>)| {
            let known = before.view(key);
            known.is_some_and(|known| known.position.runtime != version.position.runtime)
        };
        let newest = self.recent.last();
        newest.is_some_and(|round| round.views.iter().any(differs))
    }

    /// The newest revision in it.
    pub fn revision(&self) -> Revision {
        self.version.position.revision
    }

    /// What operators say of proxies.
    pub fn labels(&self) -> &OperatorLabels {
        &self.labels
    }

    /// The view of the proxy `id` that says these labels of itself.
    pub fn view_of(&self, id: &str, own: &Labels) -> ViewKey {
        match self.labels.of(id) {
            Some(set) => self.world.view_of(&own.overlaid(set)),
            None => self.world.view_of(own),
        }
    }

    /// Differs between two publications of this process when any proxy may have another view.
    pub fn membership(&self) -> u64 {
        self.membership
    }

    /// What proxies of this view should hold; `None` while it is not made, see
    /// [`Live::keep_views`](super::Live::keep_views).
    pub fn view(&self, key: &ViewKey) -> Option<&Arc<Version>> {
        self.recent.last()?.views.get(key)
    }

    /// The version that a proxy says it holds, if it is recent, whichever view it is of.
    pub fn find(&self, history: HistoryId, position: Position) -> Option<&Arc<Version>> {
        let is_it = |version: &&Arc<Version>| version.history == history && version.position == position;
        let rounds = self.recent.iter().rev();
        rounds.flat_map(|round| round.views.values()).find(is_it)
    }

    /// A recent version with the revision and the config of `position`, whatever its endpoints are.
    pub(super) fn with_config(&self, position: Position) -> Option<&Arc<Version>> {
        let is_it = |version: &&Arc<Version>| {
            let at = version.position;
            (at.revision, at.config) == (position.revision, position.config)
        };
        let rounds = self.recent.iter().rev();
        rounds.flat_map(|round| round.views.values()).find(is_it)
    }

    /// The version of this view that a proxy says it holds, if it is recent.
    pub fn find_in(&self, view: &ViewKey, history: HistoryId, position: Position) -> Option<&Arc<Version>> {
        let is_it = |version: &&Arc<Version>| version.history == history && version.position == position;
        let rounds = self.recent.iter().rev();
        rounds.filter_map(|round| round.views.get(view)).find(is_it)
    }

    /// The version of a view that `revision` began with, if it is recent.
    pub fn first_of(&self, view: &ViewKey, history: HistoryId, revision: Revision) -> Option<&Arc<Version>> {
        let is_it =
            |version: &&Arc<Version>| version.history == history && version.position.revision == revision;
        let rounds = self.recent.iter();
        rounds.filter_map(|round| round.views.get(view)).find(is_it)
    }

    /// The recent versions for proxies that match no selector, newest first. Those of other views are
    /// of the same revisions and times.
    pub fn recent(&self) -> impl Iterator<Item = &Arc<Version>> {
        let rounds = self.recent.iter().rev();
        rounds.filter_map(|round| round.views.get(&ViewKey::default()))
    }
}

impl Round {
    /// Whether both are of the same views, at the same versions.
    fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other)| Arc::ptr_eq(one, other);
        self.views.keys().eq(other.views.keys()) && self.views.values().zip(other.views.values()).all(same)
    }
}

/// How many of `rounds`, which come oldest first, are not worth keeping beside a table of so many
/// resources. The last always is.
fn outdated(rounds: &[Arc<Round>], resources: usize) -> usize {
    let most = (resources / SHARE).max(ALLOWED);
    let mut since = 0;
    let kept = rounds.iter().rev().take(RECENT).take_while(|round| {
        let fits = since <= most;
        since += round.changes;
        fits
    });
    rounds.len() - kept.count()
}

impl Version {
    /// What `snapshot` of `world` is, since `at`.
    pub(crate) fn of(world: &World, snapshot: &Snapshot, at: Instant) -> Self {
        Self {
            history: world.history(),
            position: snapshot.position(),
            commit: world.commit(),
            resources: snapshot.resources().clone(),
            at,
        }
    }

    /// This version with the runtime digest of `position`, of which only the config is known: all its
    /// runtime resources count as different, and whatever is not in the target as removed.
    pub(super) fn with_unknown_runtime(&self, position: Position) -> Self {
        let unknown = |key: Key| Entry {
            key,
            body: Bytes::new(),
            hash: Digest::EMPTY,
            min_wire: 1,
        };
        let is_runtime = |entry: &&Entry| entry.key.kind().class() == Class::Runtime;
        let known = self
            .resources
            .iter()
            .filter(is_runtime)
            .map(|entry| entry.key.clone());
        // What a proxy holds of endpoints belongs to a Backend that it holds.
        let backends = self
            .resources
            .iter()
            .filter(|entry| entry.key.kind() == Kind::Backend);
        let endpoints = backends.filter_map(|entry| entry.key.sibling(Kind::Endpoints).ok());
        let upserts = known.chain(endpoints).map(unknown).collect();
        let resources = self.resources.apply(&Difference {
            upserts,
            removals: Vec::new(),
        });
        Self {
            history: self.history,
            position,
            commit: self.commit,
            resources,
            at: self.at,
        }
    }

    /// This version with endpoints and ticket keys as they are in `latest`, for a proxy that refuses
    /// the config of that: of endpoints only those that `may_move`, so that nothing of the refused
    /// change gets through by half.
    /// `None` when that makes no difference.
    pub fn with_runtime_of(&self, latest: &Self, may_move: impl Fn(&Key) -> bool) -> Option<Self> {
        let mut step = self.resources.diff(&latest.resources);
        // Endpoints of Backends that only `latest` has would dangle here, and those that only this
        // version has must stay.
        step.upserts.retain(|entry| {
            let has_backend = || {
                let backend = entry.key.sibling(Kind::Backend);
                backend.is_ok_and(|backend| self.resources.get(&backend).is_some())
            };
            match entry.key.kind() {
                Kind::Endpoints => may_move(&entry.key) && has_backend(),
                kind => kind.class() == Class::Runtime,
            }
        });
        if step.upserts.is_empty() {
            return None;
        }
        let resources = self.resources.apply(&Difference {
            upserts: step.upserts,
            removals: Vec::new(),
        });
        let runtime = resources.digest(Class::Runtime);
        let position = Position {
            runtime,
            ..self.position
        };
        Some(Self {
            history: self.history,
            position,
            commit: self.commit,
            resources,
            at: self.at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(changes: &[usize]) -> Vec<Arc<Round>> {
        let round = |changes: &usize| Round {
            views: BTreeMap::new(),
            changes: *changes,
        };
        changes.iter().map(|changes| Arc::new(round(changes))).collect()
    }

    #[test]
    fn versions_are_kept_until_much_of_the_table_has_changed_since() {
        for (changes, resources, kept) in [
            (vec![], 0, 0),
            (vec![10 * ALLOWED], 0, 1),
            (vec![1; RECENT + 9], 0, RECENT),
            // What is oldest may change all it wants, for that lies before it.
            (vec![ALLOWED + 1, ALLOWED], 0, 2),
            (vec![ALLOWED, ALLOWED + 1], 0, 1),
            (vec![9, ALLOWED / 2, ALLOWED / 2, 1], 0, 3),
            (vec![9, ALLOWED, ALLOWED], 2 * ALLOWED * SHARE, 3),
        ] {
            let rounds = rounds(&changes);
            assert_eq!(
                rounds.len() - outdated(&rounds, resources),
                kept,
                "{changes:?} of {resources}"
            );
        }
    }
}
