//! What the fleet is asked about a revision: its receipt as it is, once a quorum is decided, and for
//! good.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::{HistoryId, Revision};
use tokio::sync::watch;
use tokio::time::Instant;

use super::claims::Claim;
use super::receipt::{Quorum, Receipt};
use super::registry::{Fleet, Known};
use super::timing::{Kept, Timing};
use crate::clock;
use crate::live::Published;
use crate::store::UnixMillis;

/// Of the time that it takes to make a receipt, how much more passes before those who wait for one ask
/// for it again. With thousands of proxies an ack comes every few microseconds and a receipt takes a
/// millisecond.
const RECEIPT_PAUSE: u32 = 29;

impl Fleet {
    /// The receipt of `revision` as it is now, over all replicas.
    pub fn receipt(&self, revision: Revision, published: &Published, now: Instant) -> Receipt {
        let mut known = self.lock();
        known.observe(published, now);
        let mut receipt = known.receipt(revision, published, now);
        receipt.applied_ms = known.timings.get(revision).and_then(Timing::percentiles);
        receipt
    }

    /// Whether this process saw `revision` being made, so that [`Fleet::receipt`] knows its times.
    pub fn is_timed(&self, revision: Revision, published: &Published) -> bool {
        let mut known = self.lock();
        known.observe(published, Instant::now());
        known.timings.get(revision).is_some()
    }

    /// The receipt of `revision` once `quorum` is decided, or after `patience`.
    pub async fn wait(
        &self,
        revision: Revision,
        quorum: Quorum,
        patience: Duration,
        mut published: watch::Receiver<Arc<Published>>,
    ) -> Receipt {
        let end = Instant::now() + patience;
        let mut changed = self.follow();
        loop {
            let now = Arc::clone(&published.borrow_and_update());
            let began = Instant::now();
            let receipt = self.receipt(revision, &now, began);
            if quorum.is_decided(&receipt) {
                return receipt;
            }
            let rested = Instant::now() + began.elapsed() * RECEIPT_PAUSE;
            tokio::select! {
                () = tokio::time::sleep_until(end) => return receipt,
                // Both senders live as long as the control plane does.
                Ok(()) = changed.changed() => {}
                Ok(()) = published.changed() => {}
                else => return receipt,
            }
            tokio::time::sleep_until(rested.min(end)).await;
        }
    }

    /// Takes note of what was published: called often enough, of every revision in its time.
    pub(super) fn observe(&self, published: &Published, now: Instant) {
        self.lock().observe(published, now);
    }

    /// What a proxy runs and may not be in the store, if that was not looked at before.
    pub(super) fn take_claim(&self) -> Option<Claim> {
        self.lock().claims.take()
    }

    /// The store did not answer: it is still to be looked at.
    pub(super) fn put_back(&self, claim: Claim) {
        self.lock().claims.put_back(claim);
    }

    /// The store has it.
    pub(super) fn found(&self, claim: &Claim) {
        self.lock().claims.found(claim);
    }

    /// Takes note of when the newest revisions of `history` were written.
    pub(super) fn date(&self, history: HistoryId, dates: Vec<(Revision, UnixMillis)>) {
        self.lock().dates.adopt(history, dates);
    }

    /// Receipts that should be stored now: complete ones, and those that a newer revision left
    /// behind. Each is returned at most twice.
    pub(super) fn unkept(&self, published: &Published, now: Instant) -> Vec<Receipt> {
        let due = self.lock().due(published, now);
        // One at a time: acks come in between.
        let receipts = due
            .into_iter()
            .map(|revision| self.receipt(revision, published, now));
        receipts.collect()
    }

    /// The receipts of these revisions were not stored after all: they are due again.
    pub(super) fn not_kept(&self, revisions: impl Iterator<Item = Revision>) {
        let revisions: BTreeSet<Revision> = revisions.collect();
        let mut known = self.lock();
        for (revision, timing) in known.timings.iter_mut() {
            if revisions.contains(&revision) {
                timing.kept = Kept::Nothing;
            }
        }
    }
}

impl Known {
    /// Takes note of what was published, and of how fast that reached the proxies of others.
    pub(super) fn observe(&mut self, published: &Published, now: Instant) {
        if self.timings.observe(published) {
            self.timings.absorb(&self.peers);
            self.dates.observe(published, now, clock::wall());
        }
    }

    /// The revisions whose receipts should be stored now.
    fn due(&mut self, published: &Published, now: Instant) -> Vec<Revision> {
        self.observe(published, now);
        let (history, head) = (published.version.history, published.revision());
        let live = self.all_members(now).filter(|member| member.is_live(now));
        // What the last of them has, all have; of an empty fleet nobody has anything.
        let all_have = live.map(|member| member.revision_in(history)).min().flatten();
        let mut due = Vec::new();
        for (revision, timing) in self.timings.iter_mut() {
            let reached = match (Some(revision) <= all_have, revision < head) {
                (true, _) => Kept::Complete,
                (false, true) => Kept::Superseded,
                (false, false) => Kept::Nothing,
            };
            if reached > timing.kept {
                timing.kept = reached;
                due.push(revision);
            }
        }
        due
    }

    /// The receipt over all proxies, without times.
    fn receipt(&self, revision: Revision, published: &Published, now: Instant) -> Receipt {
        let head = (published.version.history, published.revision());
        let mut receipt = Receipt::of(revision, head, self.members.iter(), now);
        for peer in self.peers.present(now) {
            receipt.add_up(Receipt::of(revision, head, peer.visible(), now));
        }
        receipt
    }
}
