//! Who writes next where there is one writer at a time.
//!
//! # Why
//! SQLite's own wait for its write lock is no queue: whoever finds it taken looks again after a pause of up
//! to 100 ms. Against somebody who writes back to back, with a gap of microseconds between two
//! transactions, that finds it taken until patience ends. All writers of the file are here in one process,
//! so they stand in line; the lock's own wait is left for those outside, such as a backup.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreError;
use super::target::Dialect;

/// Longest wait in line. Those ahead are bounded themselves, so this counts when a disk hardly writes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line, first come first served. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Turns(Option<Arc<Semaphore>>);

/// The right to write, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

impl Turns {
    /// Postgres orders its writers itself, and by what they touch.
    pub(super) fn of(dialect: Dialect) -> Self {
        Self(match dialect {
            Dialect::Postgres => None,
            Dialect::Sqlite => Some(Arc::new(Semaphore::new(1))),
        })
    }

    /// Waits for a turn, where there are turns.
    pub(super) async fn next(self) -> Result<Option<Turn>, StoreError> {
        let Some(line) = self.0 else { return Ok(None) };
        match tokio::time::timeout(PATIENCE, line.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            // The semaphore is never closed.
            Ok(Err(_)) => Err(StoreError::Closed),
            Err(_) => {
                tracing::warn!("store call failed: others wrote for {PATIENCE:?}");
                Err(StoreError::Timeout)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::session::Mode;
    use super::super::{KeyRing, Store};

    #[tokio::test]
    async fn whoever_waits_to_write_is_next_even_behind_one_who_never_pauses() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("a.db").display());
        let store = Store::open(&[url], KeyRing::default()).await.unwrap();
        let writes = AtomicU32::new(0);
        let back_to_back = async {
            loop {
                let session = store.begin(Mode::Write).await.unwrap();
                writes.fetch_add(1, Ordering::SeqCst);
                // Held over a few turns of the runtime, so that whoever wants it finds it taken.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                session.commit().await.unwrap();
            }
        };
        let now_and_then = async {
            for _ in 0..50 {
                let before = writes.load(Ordering::SeqCst);
                let session = store.begin(Mode::Write).await.unwrap();
                let passed = writes.load(Ordering::SeqCst) - before;
                assert!(passed <= 1, "{passed} came first");
                session.commit().await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = back_to_back => {}
            () = now_and_then => {}
        }
        assert!(writes.load(Ordering::SeqCst) >= 40);
    }
}
