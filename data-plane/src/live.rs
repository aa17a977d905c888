//! The one live cell: which snapshot new requests are answered from, and with which TLS.

use std::{cell::RefCell, ops::Deref, rc::Rc, sync::Arc};

use arc_swap::{ArcSwap, Cache};
use sluice_core::Snapshot;
use sluice_model::Backend;
use tokio::sync::mpsc;

use crate::{
    request::Reason,
    tls::{Dial, Tls},
    worker::Loads,
};

/// Snapshots on their way back to the control thread; past it a worker frees one itself.
const RETIRED: usize = 64;

/// A snapshot with what its listeners and backends do TLS with, and who is connected to whom.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) snapshot: Snapshot,
    pub(crate) tls: Tls,
    /// The connections of its listeners.
    pub(crate) loads: Loads,
}

impl Generation {
    /// One without TLS.
    pub(crate) fn plain(snapshot: Snapshot) -> Arc<Self> {
        Arc::new(Self {
            loads: Loads::of(&snapshot, &Loads::default()),
            tls: Tls::default(),
            snapshot,
        })
    }
}

impl Deref for Generation {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

/// Holds the generation that is served, and nothing else. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Live(Arc<ArcSwap<Generation>>);

impl Live {
    pub(crate) fn new(generation: Arc<Generation>) -> Self {
        Self(Arc::new(ArcSwap::new(generation)))
    }

    /// Makes `generation` the one that requests starting from now on see. Cannot fail.
    pub(crate) fn publish(&self, generation: Arc<Generation>) {
        self.0.store(generation);
    }

    /// What is served right now.
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.0.load_full()
    }
}

/// Snapshots that no request sees any more, on their way to where they are freed: dropping a large
/// table takes milliseconds that no worker has.
pub(crate) fn retirement() -> (mpsc::Sender<Arc<Generation>>, mpsc::Receiver<Arc<Generation>>) {
    mpsc::channel(RETIRED)
}

/// One worker's sight of the live snapshot.
pub(crate) struct View {
    cache: RefCell<Cache<Arc<ArcSwap<Generation>>, Arc<Generation>>>,
    pinned: RefCell<Rc<Pinned>>,
    retired: mpsc::Sender<Arc<Generation>>,
}

/// A snapshot that stays as long as a request looks at it.
///
/// The count of users is the worker's own, so that requests of two workers share no cache line.
pub(crate) struct Pinned {
    generation: Arc<Generation>,
    retired: mpsc::Sender<Arc<Generation>>,
}

impl View {
    pub(crate) fn new(live: &Live, retired: mpsc::Sender<Arc<Generation>>) -> Self {
        let mut cache = Cache::new(Arc::clone(&live.0));
        let generation = Arc::clone(cache.load());
        let pinned = Rc::new(Pinned {
            generation,
            retired: retired.clone(),
        });
        Self {
            cache: RefCell::new(cache),
            pinned: RefCell::new(pinned),
            retired,
        }
    }

    /// The newest snapshot, for one request to its end.
    #[inline]
    pub(crate) fn pin(&self) -> Rc<Pinned> {
        let mut cache = self.cache.borrow_mut();
        let newest = cache.load();
        let mut pinned = self.pinned.borrow_mut();
        if !Arc::ptr_eq(newest, &pinned.generation) {
            *pinned = Rc::new(Pinned {
                generation: Arc::clone(newest),
                retired: self.retired.clone(),
            });
        }
        Rc::clone(&pinned)
    }
}

impl Pinned {
    /// What its listeners and backends do TLS with.
    pub(crate) fn tls(&self) -> &Tls {
        &self.generation.tls
    }

    /// The connections of its listeners.
    pub(crate) fn loads(&self) -> &Loads {
        &self.generation.loads
    }

    /// How connections to `backend` are secured; `None`: they are plain.
    ///
    /// # Errors
    /// When they have to be, and there is nothing to do it with. They are never made without.
    pub(crate) fn security(&self, backend: &Backend) -> Result<Option<&Arc<Dial>>, Reason> {
        match &backend.tls {
            None => Ok(None),
            Some(_) => match self.tls().backend(&backend.key) {
                Some(dial) => Ok(Some(dial)),
                None => Err(Reason::UpstreamTls),
            },
        }
    }
}

impl Deref for Pinned {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.generation
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // When the queue is full, or its reader gone, the field below is the last reference.
        let _ = self.retired.try_send(Arc::clone(&self.generation));
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::HistoryId;

    use super::*;

    fn snapshot(history: u8) -> Arc<Generation> {
        Generation::plain(Snapshot::empty(HistoryId([history; 16])))
    }

    #[test]
    fn a_pinned_snapshot_stays_while_the_next_request_sees_the_new_one() {
        let live = Live::new(snapshot(1));
        let (retired, _keep) = retirement();
        let view = View::new(&live, retired);
        let before = view.pin();
        live.publish(snapshot(2));
        assert_eq!(view.pin().history(), HistoryId([2; 16]));
        assert_eq!(before.history(), HistoryId([1; 16]));
    }

    #[test]
    fn the_last_request_hands_its_snapshot_back() {
        let live = Live::new(snapshot(1));
        let (retired, mut returned) = retirement();
        let view = View::new(&live, retired);
        let request = view.pin();
        live.publish(snapshot(2));
        drop(view.pin());
        assert!(returned.try_recv().is_err());
        drop(request);
        let mut old = returned.try_recv().unwrap();
        assert_eq!(old.history(), HistoryId([1; 16]));
        assert!(Arc::get_mut(&mut old).is_some(), "somebody else still holds it");
    }
}
