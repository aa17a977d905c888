//! What the members of a swarm did, written down by themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::link::Meter;

/// Faults that are told; the rest is counted.
const TOLD: usize = 10;

/// Shared by all members.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// What went over the sockets of all of them.
    pub(super) meter: Arc<Meter>,
    /// Members whose stream stands and was welcomed.
    pub(super) welcomed: AtomicUsize,
    /// Updates that came as differences.
    pub(super) differences: AtomicU64,
    /// Updates that came as everything.
    pub(super) full: AtomicU64,
    /// Times a stream was lost or could not be opened.
    pub(super) lost: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// When members that behave acknowledged a revision.
    acks: BTreeMap<u64, Vec<Instant>>,
    /// What each member runs, by its number.
    held: BTreeMap<usize, u64>,
    faults: Vec<String>,
    more_faults: usize,
}

impl Board {
    /// The member of that number runs `revision` now; `timed` when it behaves.
    pub(super) fn acked(&self, member: usize, revision: u64, timed: bool) {
        let now = Instant::now();
        let mut notes = self.notes();
        notes.held.insert(member, revision);
        if timed {
            notes.acks.entry(revision).or_default().push(now);
        }
    }

    /// What must not happen did: an update that does not read, verify or apply.
    pub(super) fn fault(&self, fault: String) {
        let mut notes = self.notes();
        if notes.faults.len() < TOLD {
            notes.faults.push(fault);
        } else {
            notes.more_faults += 1;
        }
    }

    /// When members that behave acknowledged `revision`, in the order that they did.
    pub(super) fn acks(&self, revision: u64) -> Vec<Instant> {
        self.notes().acks.get(&revision).cloned().unwrap_or_default()
    }

    /// Forgets when what was acknowledged.
    pub(super) fn forget_acks(&self) {
        self.notes().acks.clear();
    }

    /// Members that run `revision` or a later one.
    pub(super) fn at(&self, revision: u64) -> usize {
        self.notes()
            .held
            .values()
            .filter(|held| **held >= revision)
            .count()
    }

    /// The least revision that a member with one of `numbers` runs; 0 when one runs nothing.
    pub(super) fn least(&self, mut numbers: std::ops::Range<usize>) -> u64 {
        let notes = self.notes();
        let least = numbers.try_fold(u64::MAX, |least, number| {
            notes.held.get(&number).map(|held| least.min(*held))
        });
        least.unwrap_or_default()
    }

    /// Acknowledgements by members that behave, of whichever revision.
    pub(super) fn ack_count(&self) -> usize {
        self.notes().acks.values().map(Vec::len).sum()
    }

    /// What must not have happened.
    pub(super) fn faults(&self) -> Result<(), String> {
        let notes = self.notes();
        match notes.faults.is_empty() {
            true => Ok(()),
            false => Err(format!("{:?} and {} more", notes.faults, notes.more_faults)),
        }
    }

    /// Counts one in for as long as the answer lives.
    pub(super) fn welcome(self: &Arc<Self>) -> Welcomed {
        self.welcomed.fetch_add(1, Ordering::Relaxed);
        Welcomed(Arc::clone(self))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member whose stream stands.
pub(super) struct Welcomed(Arc<Board>);

impl Drop for Welcomed {
    fn drop(&mut self) {
        self.0.welcomed.fetch_sub(1, Ordering::Relaxed);
    }
}
