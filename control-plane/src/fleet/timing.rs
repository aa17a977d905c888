//! How fast revisions reach proxies: per revision, from the commit (or from hearing of it) to each
//! acknowledgement, on this process's monotonic clock.

use std::collections::BTreeMap;

use sketches_ddsketch::{Config, DDSketch};
use sluice_model::{HistoryId, Revision};
use sluice_proto::v1;
use tokio::time::Instant;

use super::member::Member;
use super::peers::Peers;
use super::receipt::AppliedMs;
use crate::live::Published;

/// Revisions that are timed; older ones live on as stored summaries.
const TRACKED: usize = 256;

/// The recent revisions.
#[derive(Debug, Default)]
pub(super) struct Timings {
    history: Option<HistoryId>,
    revisions: BTreeMap<Revision, Timing>,
}

pub(super) struct Timing {
    committed: Instant,
    sketch: DDSketch,
    /// The times at other replicas, by replica.
    peers: BTreeMap<String, DDSketch>,
    /// How much of its receipt is in the store.
    pub(super) kept: Kept,
}

/// How much of a receipt is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kept {
    #[default]
    Nothing,
    /// As it was when a newer revision came.
    Superseded,
    /// With every proxy.
    Complete,
}

impl Timings {
    /// Takes note of revisions that were published since the last call; whether there are any.
    pub(super) fn observe(&mut self, published: &Published) -> bool {
        let history = published.version.history;
        if self.history.replace(history) != Some(history) {
            self.revisions.clear();
        }
        let before = self.revisions.len();
        for version in published.recent().filter(|version| version.history == history) {
            let revision = version.position.revision;
            if self.revisions.contains_key(&revision) {
                break;
            }
            self.revisions.insert(revision, Timing::new(version.at));
        }
        let news = self.revisions.len() > before;
        while self.revisions.len() > TRACKED {
            self.revisions.pop_first();
        }
        news
    }

    /// Since when `member` lacks a revision: since the first of those that it does not have was live here, or
    /// since it is here. Nothing of one that has them all.
    pub(super) fn lacking_since(&self, member: &Member) -> Option<Instant> {
        let held = self.history.and_then(|history| member.revision_in(history));
        let first = held.map_or(Revision(0), |held| Revision(held.0 + 1));
        let (_, timing) = self.revisions.range(first..).next()?;
        Some(timing.committed.max(member.here))
    }

    /// A proxy that was there since `joined` moved from `from` to `to`: it has every revision up to
    /// that now. One that came later than the commit is not timed.
    pub(super) fn moved(&mut self, joined: Instant, from: Option<Revision>, to: Revision, now: Instant) {
        let first = from.map_or(Revision(0), |from| Revision(from.0 + 1));
        if first > to {
            return;
        }
        for (_, timing) in self.revisions.range_mut(first..=to) {
            if joined <= timing.committed {
                let elapsed = now.saturating_duration_since(timing.committed);
                timing.sketch.add(elapsed.as_secs_f64() * 1_000.0);
            }
        }
    }

    /// Takes in what other replicas tell of their proxies' times. It stays when they are gone.
    pub(super) fn absorb(&mut self, peers: &Peers) {
        let Some(history) = self.history else { return };
        for (replica, revision, sketch) in peers.times(history) {
            if let Some(timing) = self.revisions.get_mut(&revision) {
                timing.peers.insert(replica.to_owned(), sketch.clone());
            }
        }
    }

    /// The times of this replica's proxies, for others: of the newest revisions that have any.
    pub(super) fn newest(&self, count: usize) -> (Option<HistoryId>, Vec<v1::Timed>) {
        let timed = self.revisions.iter().rev();
        let timed = timed.filter(|(_, timing)| timing.sketch.count() > 0).take(count);
        let timed = timed.map(|(revision, timing)| v1::Timed {
            revision: revision.0,
            sketch: timing.sketch.to_java_bytes(),
        });
        (self.history, timed.collect())
    }

    pub(super) fn get(&self, revision: Revision) -> Option<&Timing> {
        self.revisions.get(&revision)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Revision, &mut Timing)> {
        let revisions = self.revisions.iter_mut();
        revisions.map(|(revision, timing)| (*revision, timing))
    }
}

impl Timing {
    fn new(committed: Instant) -> Self {
        Self {
            committed,
            sketch: DDSketch::new(Config::defaults()),
            peers: BTreeMap::new(),
            kept: Kept::default(),
        }
    }

    /// Percentiles by nearest rank, so that of two proxies the 99th is the slower one; nothing while
    /// nobody is timed.
    pub(super) fn percentiles(&self) -> Option<AppliedMs> {
        let mut sketch = self.sketch.clone();
        for peer in self.peers.values() {
            // Only a build with other sketches could tell of those.
            if sketch.merge(peer).is_err() {
                tracing::warn!("times of another replica cannot be merged");
            }
        }
        let (max, count) = (sketch.max()?, sketch.count());
        let at = |share: f64| {
            let rank = ((share * count as f64).ceil() as usize).max(1);
            if rank >= count {
                return Some(max);
            }
            // The sketch takes the whole part of `quantile * (count - 1)`; half a rank more keeps
            // rounding from taking one too low.
            let quantile = (rank as f64 - 0.5) / (count - 1) as f64;
            // The sketch is off by 1 % and must not tell of more than the slowest.
            sketch
                .quantile(quantile.min(1.0))
                .ok()
                .flatten()
                .map(|ms| ms.min(max))
        };
        Some(AppliedMs {
            p50: at(0.5)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max,
            proxies: count,
        })
    }
}

impl std::fmt::Debug for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timing")
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of the sketches' defaults, to which their portable encoding is bound.
    const ALPHA: f64 = 0.01;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        for (count, p50, p95, p99) in [
            (1, 1.0, 1.0, 1.0),
            (2, 1.0, 2.0, 2.0),
            (10, 5.0, 10.0, 10.0),
            (200, 100.0, 190.0, 198.0),
        ] {
            let mut timing = Timing::new(Instant::now());
            (1..=count).for_each(|ms| timing.sketch.add(f64::from(ms)));
            let told = timing.percentiles().unwrap();
            assert_eq!(told.max, f64::from(count));
            for (told, exact) in [(told.p50, p50), (told.p95, p95), (told.p99, p99)] {
                assert!(
                    (told - exact).abs() <= exact * ALPHA + 1e-9,
                    "{told} is not {exact} of {count}"
                );
            }
        }
        assert_eq!(Timing::new(Instant::now()).percentiles(), None);
    }
}
