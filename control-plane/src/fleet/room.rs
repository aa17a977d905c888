//! How much memory what proxies report may take, over all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// A number of bytes that is shared out. Clones are the same room.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    taken: AtomicUsize,
    refused: AtomicU64,
    freed: Notify,
}

/// What one proxy has of a room; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Share {
    room: Room,
    bytes: usize,
}

impl Room {
    /// A room of that many bytes.
    pub(super) fn of(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            taken: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            freed: Notify::new(),
        }))
    }

    /// A share that has nothing yet.
    pub(super) fn share(&self) -> Share {
        Share {
            room: self.clone(),
            bytes: 0,
        }
    }

    /// Bytes that are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Bytes that are not taken.
    pub(super) fn free(&self) -> usize {
        self.0.limit.saturating_sub(self.taken())
    }

    /// Waits until something is given back; what was since the last wait counts. For one who waits.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }

    /// Entries that were not kept so far, for want of room or for other reasons.
    pub(super) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes so many bytes more; nothing, and `false`, where there are not so many.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let Inner { limit, taken, .. } = &*self.room.0;
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| sum <= limit);
        // It says how much there is, and orders nothing else.
        let took = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if took.is_ok() {
            self.bytes += bytes;
        }
        took.is_ok()
    }

    /// Gives so many of its bytes back.
    pub(super) fn give_back(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.room.0.taken.fetch_sub(bytes, Ordering::Relaxed);
        if bytes > 0 {
            self.room.0.freed.notify_one();
        }
    }

    /// Bytes that it has.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts an entry that is not kept.
    pub(super) fn refuse(&self) {
        self.room.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_never_more_than_there_is_and_comes_back_with_its_owner() {
        let room = Room::of(100);
        let (mut one, mut other) = (room.share(), room.share());
        assert!(one.take(60) && !other.take(41) && other.take(40));
        assert_eq!(room.taken(), 100);
        one.give_back(10);
        assert!(other.take(10) && !one.take(1));
        drop(other);
        assert_eq!(room.taken(), 50);
        assert!(!one.take(usize::MAX));
        one.give_back(usize::MAX);
        assert_eq!(room.taken(), 0);
    }
}
