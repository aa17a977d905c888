//! Proxies that are late by themselves: slow ones, deaf ones, and those without a stream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::member::Member;
use super::registry::Fleet;

impl Fleet {
    /// How many proxies are to be told of changes in time. Those that are late by themselves hold up nobody
    /// else; but when most are late, it is the control plane that is, and all of them count.
    pub(super) fn told(&self) -> usize {
        let (size, late) = (self.size(), self.late.load(Ordering::Relaxed));
        match late > size / 2 {
            true => size,
            false => size - late,
        }
    }

    /// Counts the proxies that have no stream, have lacked a revision for longer than `patience`, or took
    /// longer for their last update.
    pub(super) fn count_late(&self, patience: Duration, now: Instant) {
        let known = self.lock();
        let is_late = |member: &&Member| {
            let since = known.timings.lacking_since(member);
            let lacking = since.is_some_and(|since| now.saturating_duration_since(since) > patience);
            member.broken.is_some() || lacking || member.took > patience
        };
        let late = known.members.values().filter(is_late).count();
        self.late.store(late, Ordering::Relaxed);
    }
}
