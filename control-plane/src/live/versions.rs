//! What proxies may hold: the recent versions, and older ones, made again from the store.
//!
//! A proxy that was away, or whose control plane was started anew, holds a revision that is not among
//! those in memory. What it holds is worth finding out: the difference from there is a few hundred
//! bytes where everything may be tens of megabytes, and a fleet comes back all at once.
//!
//! An old revision is made by taking the newest world back, so it costs what has changed since. Its
//! Secrets are those of today, and its endpoints, too; whether it is what the proxy holds is told by
//! the digests alone. Where only endpoints differ, all of them are sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use sluice_core::Snapshot;
use sluice_model::{HistoryId, Position};
use tokio::sync::{OnceCell, Semaphore, watch};

use super::catch_up;
use super::publication::{Published, Version};
use crate::store::{Store, StoreError};

/// Old versions that are kept, and positions that turned out to be none.
const KEPT: usize = 32;
/// Old revisions that are made at a time: it takes a core, and what is live comes first.
const AT_A_TIME: usize = 1;

/// A position that was asked for, and what came of it.
#[derive(Debug)]
struct Asked {
    at: (HistoryId, Position),
    made: Arc<OnceCell<Option<Arc<Version>>>>,
}

/// Finds versions by what proxies say they hold. Clones share it.
#[derive(Clone, Debug)]
pub struct Versions {
    store: Store,
    published: watch::Receiver<Arc<Published>>,
    asked: Arc<Mutex<VecDeque<Asked>>>,
    turns: Arc<Semaphore>,
}

impl Versions {
    pub(super) fn new(store: Store, published: watch::Receiver<Arc<Published>>) -> Self {
        Self {
            store,
            published,
            asked: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }

    /// The version at `position`; `None` when this history has none of that kind, or too much has
    /// changed since. Those who look for the same at the same time wait for the one that makes it.
    pub async fn find(&self, history: HistoryId, position: Position) -> Option<Arc<Version>> {
        let live = Arc::clone(&self.published.borrow());
        if let Some(version) = live.find(history, position) {
            return Some(Arc::clone(version));
        }
        if live.version.history != history || position.revision > live.revision() {
            return None;
        }
        let cell = self.cell((history, position));
        let made = cell.get_or_try_init(|| self.make(&live, position)).await;
        match made {
            Ok(version) => version.clone(),
            Err(error) => {
                tracing::warn!(revision = %position.revision, %error, "an old revision cannot be read");
                None
            }
        }
    }

    async fn make(&self, live: &Published, position: Position) -> Result<Option<Arc<Version>>, StoreError> {
        if let Some(recent) = live.with_config(position) {
            return Ok(Some(Arc::new(recent.with_unknown_runtime(position))));
        }
        let Ok(_turn) = self.turns.acquire().await else {
            return Ok(None);
        };
        let Some(past) = catch_up::taken_back(&self.store, position.revision, &live.world).await? else {
            return Ok(None);
        };
        // All views that are made: streams whose own is not do not ask yet.
        let snapshots = || past.views().map(|(_, snapshot)| snapshot);
        let is_same = |snapshot: &&Snapshot| snapshot.position() == position;
        let is_close = |snapshot: &&Snapshot| snapshot.position().config == position.config;
        let version = |snapshot| Version::of(&past, snapshot, live.version.at);
        let same = snapshots().find(is_same).map(version);
        let close = || snapshots().find(is_close).map(version);
        let found = same.or_else(|| close().map(|close| close.with_unknown_runtime(position)));
        Ok(found.map(Arc::new))
    }

    fn cell(&self, at: (HistoryId, Position)) -> Arc<OnceCell<Option<Arc<Version>>>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked.iter().find(|known| known.at == at) {
            return Arc::clone(&known.made);
        }
        if asked.len() == KEPT {
            asked.pop_front();
        }
        let made = Arc::default();
        asked.push_back(Asked {
            at,
            made: Arc::clone(&made),
        });
        made
    }
}

#[cfg(test)]
mod tests;
