//! What a stream waits for beside messages: what its proxy holds, and its turn for a whole snapshot.

use std::future::pending;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sluice_model::{HistoryId, Position};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::machine::Event;
use crate::live::{Version, Versions};

/// Memory that whole snapshots may take on their way to proxies at a time, in KiB.
const WHOLE_KIB: usize = 256 * 1024;
/// What a resource takes as it travels, in bytes, more often more than less.
const RESOURCE: usize = 512;

/// Turns to send whole snapshots, in the order in which they were asked for. Counted by memory: of a
/// small table there are many at a time, of a large one a few.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    /// All there is, in KiB.
    kib: usize,
}

/// What one stream has asked for and not got yet, and the turn that it has.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// What the proxy says it has, until that is found or not.
    sought: Option<(HistoryId, Position)>,
    /// Whether it is being looked for.
    seeking: bool,
    turn: Turn,
}

/// Whether a stream may send a whole snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Unasked,
    Asked,
    Mine,
}

/// The errands of one stream.
#[derive(Default)]
pub(super) struct Errands {
    finding: Option<BoxFuture<'static, Option<Arc<Version>>>>,
    queueing: Option<BoxFuture<'static, Option<OwnedSemaphorePermit>>>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self::of(WHOLE_KIB)
    }

    /// Turns for so many KiB at a time. A snapshot that is larger is alone.
    pub(super) fn of(kib: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(kib)),
            kib,
        }
    }

    /// The turn for a snapshot of that many resources; never while this closes.
    async fn take(self, resources: usize) -> Option<OwnedSemaphorePermit> {
        let kib = (resources * RESOURCE).div_ceil(1024).clamp(1, self.kib);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        self.free.acquire_many_owned(kib).await.ok()
    }
}

impl Awaited {
    /// The proxy says that it has this, which is not known here.
    pub(super) fn seek(&mut self, holds: Option<(HistoryId, Position)>) {
        self.sought = holds;
    }

    /// What has to be found, or not, before anything is sent.
    pub(super) fn sought(&self) -> Option<(HistoryId, Position)> {
        self.sought
    }

    /// Whether it is not being looked for yet; it is from now on.
    pub(super) fn begin_to_seek(&mut self) -> bool {
        !std::mem::replace(&mut self.seeking, true)
    }

    /// It was found, or cannot be.
    pub(super) fn found(&mut self) {
        self.sought = None;
    }

    /// Whether the turn was not asked for yet; it is from now on.
    pub(super) fn ask_for_turn(&mut self) -> bool {
        std::mem::replace(&mut self.turn, Turn::Asked) == Turn::Unasked
    }

    pub(super) fn take_turn(&mut self) {
        self.turn = Turn::Mine;
    }

    pub(super) fn has_turn(&self) -> bool {
        self.turn == Turn::Mine
    }

    /// Nothing is on its way: whoever is next may have the turn.
    pub(super) fn pass_turn_on(&mut self) {
        if self.turn == Turn::Mine {
            self.turn = Turn::Unasked;
        }
    }
}

impl Errands {
    /// Begins to look for what the proxy holds.
    pub(super) fn find(&mut self, versions: Versions, history: HistoryId, position: Position) {
        self.finding = Some(Box::pin(async move { versions.find(history, position).await }));
    }

    /// Begins to wait for the turn to send that many resources.
    pub(super) fn queue(&mut self, turns: Turns, resources: usize) {
        self.queueing = Some(Box::pin(turns.take(resources)));
    }

    /// Gives the turn back, if there is one.
    pub(super) fn done(&mut self) {
        self.turn = None;
    }

    /// What comes first. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        let Self {
            finding,
            queueing,
            turn,
        } = self;
        tokio::select! {
            found = of(finding) => {
                *finding = None;
                Event::Found(found)
            }
            permit = of(queueing) => {
                *queueing = None;
                *turn = permit;
                Event::Turn
            }
        }
    }
}

async fn of<T>(errand: &mut Option<BoxFuture<'static, T>>) -> T {
    match errand {
        Some(errand) => errand.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four KiB.
    const RESOURCES: usize = 8;

    async fn is_next(errands: &mut Errands) -> bool {
        let next = tokio::time::timeout(std::time::Duration::from_secs(1), errands.next());
        matches!(next.await, Ok(Event::Turn))
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_again_queues_behind_the_others() {
        let turns = Turns::of(8);
        let mut errands = [(); 4].map(|()| Errands::default());
        for one in &mut errands {
            one.queue(turns.clone(), RESOURCES);
        }
        let [first, second, third, fourth] = &mut errands;
        assert!(is_next(first).await && is_next(second).await);
        assert!(!is_next(third).await && !is_next(fourth).await);
        first.done();
        first.queue(turns.clone(), RESOURCES);
        assert!(!is_next(first).await, "others have asked before");
        assert!(is_next(third).await && !is_next(first).await);
        *second = Errands::default();
        assert!(is_next(fourth).await, "a stream that is gone has no turn");
        third.done();
        assert!(is_next(first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_larger_than_all_there_is_goes_alone() {
        let turns = Turns::of(8);
        let [mut large, mut small] = [(); 2].map(|()| Errands::default());
        large.queue(turns.clone(), 100 * RESOURCES);
        assert!(is_next(&mut large).await);
        small.queue(turns, 1);
        assert!(!is_next(&mut small).await);
        large.done();
        assert!(is_next(&mut small).await);
    }
}
