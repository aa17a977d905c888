//! When revisions became live here, by the wall clock: since when a proxy is behind follows from it.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use sluice_model::{HistoryId, Revision};
use tokio::time::Instant;

use super::member::Member;
use crate::live::Published;
use crate::store::UnixMillis;

/// Revisions whose dates are kept. A proxy that is further behind is so since the first of them, at
/// least.
pub(super) const KEPT: u32 = 1_024;

/// The dates of recent revisions of one history.
#[derive(Debug, Default)]
pub(super) struct Dates {
    history: Option<HistoryId>,
    live: BTreeMap<Revision, UnixMillis>,
}

impl Dates {
    /// Takes the dates of revisions from before this process, as the store has them.
    pub(super) fn adopt(
        &mut self,
        history: HistoryId,
        dates: impl IntoIterator<Item = (Revision, UnixMillis)>,
    ) {
        self.begin(history);
        self.live.extend(dates);
        self.trim();
    }

    /// Takes note of revisions that were published since the last call. `now` and `date` are one moment
    /// on two clocks.
    pub(super) fn observe(&mut self, published: &Published, now: Instant, date: UnixMillis) {
        let history = published.version.history;
        self.begin(history);
        for version in published.recent().filter(|version| version.history == history) {
            let revision = version.position.revision;
            if self.live.contains_key(&revision) {
                break;
            }
            let ago = now.saturating_duration_since(version.at).as_millis();
            let ago = u64::try_from(ago).unwrap_or(u64::MAX);
            self.live.insert(revision, UnixMillis(date.0.saturating_sub(ago)));
        }
        self.trim();
    }

    /// Since when `member` is behind `head`: since the first revision that it lacks. Of one that runs
    /// nothing of this history, since it is here; nothing of one that is not behind.
    pub(super) fn behind_since(&self, head: (HistoryId, Revision), member: &Member) -> Option<UnixMillis> {
        match member.revision_in(head.0) {
            Some(held) if held >= head.1 => None,
            Some(held) => {
                let lacking = self.live.range((Excluded(held), Unbounded)).next();
                lacking.map(|(_, date)| *date)
            }
            None => {
                let first = self.live.values().next();
                first.map(|first| member.since.max(*first))
            }
        }
    }

    fn begin(&mut self, history: HistoryId) {
        if self.history.replace(history) != Some(history) {
            self.live.clear();
        }
    }

    fn trim(&mut self) {
        while self.live.len() > KEPT as usize {
            self.live.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::compile::{DanglingRefs, World};
    use crate::fleet::member::tests::member;

    const HISTORY: HistoryId = HistoryId([3; 16]);

    fn next(published: &Published, at: Instant) -> Published {
        let revision = Revision(published.revision().0 + 1);
        let changed = published.world.change(Vec::new(), revision, DanglingRefs::Refuse);
        published.next(changed.unwrap().world, at)
    }

    /// Since when a proxy that connected at 500 s and runs `held` is behind.
    fn since(dates: &Dates, head: u64, held: Option<(HistoryId, u64)>) -> Option<u64> {
        let held = held.map(|(history, revision)| (history, Revision(revision)));
        let member = member(UnixMillis(500_000), held);
        let since = dates.behind_since((HISTORY, Revision(head)), &member);
        since.map(|since| since.0)
    }

    #[test]
    fn a_proxy_is_behind_since_the_first_revision_that_it_lacks() {
        let start = Instant::now();
        let second = |seconds: u64| start + Duration::from_secs(seconds);
        let mut published = Published::first(World::empty(HISTORY), start);
        for at in [10, 20, 30] {
            published = next(&published, second(at));
        }
        // Looked at only now: 15 s after the last of them.
        let mut dates = Dates::default();
        dates.observe(&published, second(45), UnixMillis(1_000_000));
        for (held, expected) in [
            (3, None),
            (4, None),
            (2, Some(985_000)),
            (1, Some(975_000)),
            (0, Some(965_000)),
        ] {
            assert_eq!(since(&dates, 3, Some((HISTORY, held))), expected, "{held}");
        }
        // What comes later leaves the dates as they are, also when the clock was set.
        published = next(&published, second(50));
        dates.observe(&published, second(50), UnixMillis(1_700_000));
        assert_eq!(since(&dates, 4, Some((HISTORY, 2))), Some(985_000));
        assert_eq!(since(&dates, 4, Some((HISTORY, 3))), Some(1_700_000));
    }

    #[test]
    fn who_runs_nothing_of_the_history_is_behind_since_it_came_or_the_history_did() {
        let mut dates = Dates::default();
        let other = HistoryId([9; 16]);
        assert_eq!(since(&dates, 7, None), None);
        dates.adopt(HISTORY, [(Revision(7), UnixMillis(400_000))]);
        assert_eq!(since(&dates, 7, None), Some(500_000));
        dates.adopt(HISTORY, [(Revision(7), UnixMillis(600_000))]);
        assert_eq!(since(&dates, 7, Some((other, 9))), Some(600_000));
        // Nothing of another history is remembered.
        dates.adopt(other, []);
        assert_eq!(since(&dates, 7, Some((HISTORY, 5))), None);
    }

    #[test]
    fn dates_from_before_this_process_hold_and_only_so_many_are_kept() {
        let start = Instant::now();
        let mut published = Published::first(World::empty(HISTORY), start);
        published = next(&published, start);
        let mut dates = Dates::default();
        dates.adopt(HISTORY, [(Revision(1), UnixMillis(7_000))]);
        dates.observe(&published, start, UnixMillis(900_000));
        assert_eq!(since(&dates, 1, Some((HISTORY, 0))), Some(7_000));

        let many = (1..=2_000u64).map(|revision| (Revision(revision), UnixMillis(revision)));
        dates.adopt(HISTORY, many);
        assert_eq!(dates.live.len(), KEPT as usize);
        let first = 2_001 - u64::from(KEPT);
        assert_eq!(since(&dates, 2_000, Some((HISTORY, 3))), Some(first));
    }
}
