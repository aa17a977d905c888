//! What is live, and the versions before it that proxies may still hold.

use std::sync::Arc;

use sluice_core::{Difference, ResourceSet};
use sluice_model::{Class, HistoryId, Key, Kind, Position, Revision};
use tokio::time::Instant;

use crate::compile::World;

/// Versions that a difference can start from. A proxy further behind gets everything.
pub const RECENT: usize = 64;

/// The resources at one position.
#[derive(Clone, Debug)]
pub struct Version {
    /// The history that the position is in.
    pub history: HistoryId,
    /// Revision and digests.
    pub position: Position,
    /// What proxies hold when they are there.
    pub resources: ResourceSet,
    /// When this process committed the revision, or heard of it.
    pub at: Instant,
}

/// The live world and the recent versions. Immutable; the next one replaces it whole.
#[derive(Clone, Debug)]
pub struct Published {
    /// Everything.
    pub world: World,
    /// What proxies should hold.
    pub version: Arc<Version>,
    /// Oldest first; the last is `version`.
    recent: Vec<Arc<Version>>,
}

impl Published {
    /// The first publication of this process.
    pub fn first(world: World, at: Instant) -> Self {
        let version = Arc::new(Version::of(&world, at));
        Self {
            recent: vec![Arc::clone(&version)],
            version,
            world,
        }
    }

    /// The publication of `world` after this one.
    pub fn next(&self, world: World, at: Instant) -> Self {
        let mut version = Version::of(&world, at);
        let same_revision = version.history == self.version.history
            && version.position.revision == self.version.position.revision;
        if same_revision {
            version.at = self.version.at;
        }
        let version = Arc::new(version);
        let outdated = (self.recent.len() + 1).saturating_sub(RECENT);
        let mut recent = self.recent[outdated..].to_vec();
        recent.push(Arc::clone(&version));
        Self {
            world,
            version,
            recent,
        }
    }

    /// The newest revision in it.
    pub fn revision(&self) -> Revision {
        self.version.position.revision
    }

    /// The version that a proxy says it holds, if it is recent.
    pub fn find(&self, history: HistoryId, position: Position) -> Option<&Arc<Version>> {
        let is_it = |version: &&Arc<Version>| version.history == history && version.position == position;
        self.recent.iter().rev().find(is_it)
    }

    /// The version that `revision` began with, if it is recent.
    pub fn first_of(&self, history: HistoryId, revision: Revision) -> Option<&Arc<Version>> {
        let is_it =
            |version: &&Arc<Version>| version.history == history && version.position.revision == revision;
        self.recent.iter().find(is_it)
    }

    /// The recent versions, newest first.
    pub fn recent(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.recent.iter().rev()
    }
}

impl Version {
    fn of(world: &World, at: Instant) -> Self {
        Self {
            history: world.history(),
            position: world.position(),
            resources: world.resources().clone(),
            at,
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
            resources,
            at: self.at,
        })
    }
}
