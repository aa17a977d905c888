//! How much is taken on at once. Past a bound the answer is 503, at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Bytes of all bodies that are being read or worked on.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;
/// Writes that are being parsed, or wait for the writer.
const MAX_WRITES: usize = 128;
/// Requests that wait for a receipt.
const MAX_WAITS: usize = 4_096;
/// Past revisions that are being rebuilt in memory.
const MAX_REBUILDS: usize = 2;
/// Exports that are being read: each keeps a world alive.
const MAX_EXPORTS: usize = 4;
/// Plans that are being made: each takes a core for as long as it lasts.
const MAX_PLANS: usize = 2;

/// What is still free.
#[derive(Debug)]
pub(super) struct Admission {
    bytes: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    rebuilds: Arc<Semaphore>,
    plans: Arc<Semaphore>,
    exports: Arc<Semaphore>,
}

/// Room that is taken until this is dropped.
pub(super) type Room = OwnedSemaphorePermit;

impl Admission {
    pub(super) fn new() -> Self {
        let bounded = |permits| Arc::new(Semaphore::new(permits));
        Self {
            bytes: bounded(MAX_BODY_BYTES),
            writes: bounded(MAX_WRITES),
            waits: bounded(MAX_WAITS),
            rebuilds: bounded(MAX_REBUILDS),
            plans: bounded(MAX_PLANS),
            exports: bounded(MAX_EXPORTS),
        }
    }

    /// Room for `bytes` of a body.
    pub(super) fn body(&self, bytes: usize) -> Result<Room, Problem> {
        let bytes = u32::try_from(bytes).map_err(|_| Problem::Busy)?;
        Arc::clone(&self.bytes)
            .try_acquire_many_owned(bytes)
            .map_err(|_| Problem::Busy)
    }

    /// Room for a write.
    pub(super) fn write(&self) -> Result<Room, Problem> {
        Arc::clone(&self.writes)
            .try_acquire_owned()
            .map_err(|_| Problem::Busy)
    }

    /// Room to wait.
    pub(super) fn wait(&self) -> Result<Room, Problem> {
        Arc::clone(&self.waits)
            .try_acquire_owned()
            .map_err(|_| Problem::Busy)
    }

    /// Room for a plan.
    pub(super) fn plan(&self) -> Result<Room, Problem> {
        Arc::clone(&self.plans)
            .try_acquire_owned()
            .map_err(|_| Problem::Busy)
    }

    /// Room for an export.
    pub(super) fn export(&self) -> Result<Room, Problem> {
        Arc::clone(&self.exports)
            .try_acquire_owned()
            .map_err(|_| Problem::Busy)
    }

    /// A turn at rebuilding a past revision.
    pub(super) async fn rebuild(&self) -> Result<Room, Problem> {
        Arc::clone(&self.rebuilds)
            .acquire_owned()
            .await
            .map_err(|_| Problem::Closing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn past_the_bound_requests_are_turned_away_until_there_is_room() {
        let admission = Admission::new();
        let most = admission.body(MAX_BODY_BYTES).unwrap();
        assert!(matches!(admission.body(1), Err(Problem::Busy)));
        drop(most);
        assert!(admission.body(1).is_ok());
    }
}
