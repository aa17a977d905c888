//! The members of a swarm together.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::ensure;
use sluice_core::{Snapshot, Update};
use sluice_model::HistoryId;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

use super::board::Board;
use super::builds::Builds;
use super::health::Health;
use super::member::{Manner, Member};
use crate::eventually::eventually;
use crate::fake_proxy::FakeProxy;

/// Threads of a crowd.
const THREADS: usize = 2;

/// Members of one process, numbered in the order in which they came. Dropping it ends them all. They
/// run on threads of their own: whoever measures them does not stand in a queue behind ten thousand.
#[derive(Debug)]
pub struct Crowd {
    /// There until it is dropped.
    threads: Option<Runtime>,
    control: SocketAddr,
    board: Arc<Board>,
    builds: Arc<Builds>,
    members: Vec<AbortHandle>,
}

/// Updates that came, by kind, and the bytes of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Differences.
    pub differences: u64,
    /// Whole snapshots.
    pub full: u64,
    /// Bytes that came, headers of HTTP/2 and keep-alive included, those of TCP not.
    pub received: u64,
    /// Bytes that were sent, counted likewise.
    pub sent: u64,
}

impl Crowd {
    /// An empty crowd around the control plane at `control`.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn new(control: SocketAddr) -> io::Result<Self> {
        let threads = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()?;
        Ok(Self {
            threads: Some(threads),
            control,
            board: Arc::default(),
            builds: Arc::default(),
            members: Vec::new(),
        })
    }

    /// What a proxy holds that has everything the control plane has now.
    ///
    /// # Errors
    /// When the control plane does not send it, or it does not verify.
    pub async fn newest(&self) -> anyhow::Result<Arc<Snapshot>> {
        let mut scout = FakeProxy::join(self.control, "scout").await?;
        let wire = scout.update().await?;
        scout.leave().await?;
        let history = HistoryId::try_from(&wire.history[..])?;
        let built = Update::from_wire(wire).and_then(|update| Snapshot::empty(history).apply(&update));
        built
            .map(Arc::new)
            .map_err(|violations| anyhow::anyhow!("{violations:?}"))
    }

    /// Adds `count` members that hold `held`; their numbers.
    pub fn join(&mut self, count: usize, manner: Manner, held: Option<&Arc<Snapshot>>) -> Range<usize> {
        let numbers = self.members.len()..self.members.len() + count;
        let threads = self.threads.as_ref().map(Runtime::handle);
        for number in numbers.clone() {
            let member = Member {
                number,
                manner,
                control: self.control,
                held: held.cloned(),
                board: Arc::clone(&self.board),
                builds: Arc::clone(&self.builds),
                health: Health::new(manner.turns()),
            };
            let member = threads.map(|threads| threads.spawn(member.run()).abort_handle());
            self.members.extend(member);
        }
        numbers
    }

    /// Ends the members of these numbers, without a goodbye.
    pub fn dismiss(&self, numbers: Range<usize>) {
        let members = self.members.get(numbers).unwrap_or_default();
        members.iter().for_each(AbortHandle::abort);
    }

    /// Members whose stream stands.
    pub fn welcomed(&self) -> usize {
        self.board.welcomed.load(Ordering::Relaxed)
    }

    /// Waits until the streams of `count` members stand.
    ///
    /// # Errors
    /// When they do not `within` that time.
    pub async fn all_welcomed(&self, count: usize, within: Duration) -> anyhow::Result<()> {
        eventually("everybody is welcomed", within, async || {
            let welcomed = self.welcomed();
            ensure!(welcomed >= count, "{welcomed} of {count} streams stand");
            Ok(())
        })
        .await
    }

    /// Waits until the members of these numbers run `revision` or a later one.
    ///
    /// # Errors
    /// When they do not `within` that time.
    pub async fn all_at(&self, revision: u64, numbers: Range<usize>, within: Duration) -> anyhow::Result<()> {
        eventually("everybody runs it", within, async || {
            let least = self.board.least(numbers.clone());
            let at = self.board.at(revision);
            ensure!(least >= revision, "somebody runs {least}, {at} run {revision}");
            Ok(())
        })
        .await
    }

    /// What came and went so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            differences: self.board.differences.load(Ordering::Relaxed),
            full: self.board.full.load(Ordering::Relaxed),
            received: self.board.meter.received(),
            sent: self.board.meter.sent(),
        }
    }

    /// Streams that were lost or could not be opened so far.
    pub fn lost(&self) -> u64 {
        self.board.lost.load(Ordering::Relaxed)
    }

    /// What is written down.
    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    /// # Errors
    /// When an update that came did not read, verify or apply.
    pub fn sound(&self) -> anyhow::Result<()> {
        self.board.faults().map_err(anyhow::Error::msg)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Waiting for the threads would block whoever drops it, which may be a task.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl Traffic {
    /// What came and went since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            differences: self.differences - before.differences,
            full: self.full - before.full,
            received: self.received - before.received,
            sent: self.sent - before.sent,
        }
    }
}
