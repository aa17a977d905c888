//! Times the updates of one stream: sending, building, acknowledging.

use std::time::Duration;

use sluice_model::{HistoryId, Position};
use sluice_proto::v1;
use tokio::time::Instant;

use crate::live::Version;
use crate::measures::{Measures, Stage};

/// The watch of one stream. Only revisions that were published while the proxy was there are timed:
/// what one that comes back has missed says nothing of how fast the way is.
#[derive(Debug)]
pub(super) struct Stopwatch {
    measures: Measures,
    admitted: Option<Instant>,
    /// Where the update leads that is timed, and when it was handed to the stream.
    running: Option<(HistoryId, Position, Instant)>,
}

impl Stopwatch {
    pub(super) fn new(measures: Measures) -> Self {
        Self {
            measures,
            admitted: None,
            running: None,
        }
    }

    /// The proxy is let in.
    pub(super) fn admitted(&mut self, now: Instant) {
        self.admitted = Some(now);
    }

    /// An update from `base` to `target` was handed to the stream.
    pub(super) fn sent(&mut self, base: Option<&Version>, target: &Version, now: Instant) {
        let is_new = |base: &Version| {
            base.history == target.history && base.position.revision < target.position.revision
        };
        let was_there = self.admitted.is_some_and(|admitted| admitted <= target.at);
        self.running = None;
        if was_there && base.is_some_and(is_new) {
            let waited = now.saturating_duration_since(target.at);
            self.measures.took(Stage::Send, waited);
            self.running = Some((target.history, target.position, now));
        }
    }

    /// The proxy acknowledged this position.
    pub(super) fn applied(&mut self, ack: &v1::Ack, at: (HistoryId, Position), now: Instant) {
        let is_it = |running: &mut (HistoryId, Position, Instant)| (running.0, running.1) == at;
        let Some((.., sent)) = self.running.take_if(is_it) else {
            return;
        };
        let elapsed = now.saturating_duration_since(sent);
        // A proxy cannot have built for longer than it took to answer.
        let built = Duration::from_micros(ack.build_us).min(elapsed);
        self.measures.took(Stage::Build, built);
        self.measures.took(Stage::Ack, elapsed - built);
    }

    /// The proxy refused what was sent: whatever comes of it later, the way there is not what took so long.
    pub(super) fn refused(&mut self) {
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::Revision;

    use super::*;
    use crate::compile::{DanglingRefs, World};
    use crate::live::Published;

    const HISTORY: HistoryId = HistoryId([3; 16]);

    /// Versions that were published at these milliseconds after `start`.
    fn versions(start: Instant, at: &[u64]) -> Vec<Version> {
        let mut published = Published::first(World::empty(HISTORY), start);
        let mut versions = vec![(*published.version).clone()];
        for millis in at {
            let revision = Revision(published.revision().0 + 1);
            let changed = published.world.change(Vec::new(), revision, DanglingRefs::Refuse);
            published = published.next(changed.unwrap().world, start + Duration::from_millis(*millis));
            versions.push((*published.version).clone());
        }
        versions
    }

    fn ack(build_us: u64) -> v1::Ack {
        v1::Ack {
            build_us,
            ..v1::Ack::default()
        }
    }

    #[test]
    fn an_update_is_timed_from_its_publication_over_the_stream_to_its_acknowledgement() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let versions = versions(start, &[100, 200]);
        let (measures, position) = (Measures::default(), |index: usize| {
            (HISTORY, versions[index].position)
        });
        let mut watch = Stopwatch::new(measures.clone());
        watch.admitted(at(50));
        watch.sent(Some(&versions[0]), &versions[1], at(107));
        watch.applied(&ack(4_000), position(1), at(130));
        assert_eq!(measures.sum_of(Stage::Send), Duration::from_millis(7));
        assert_eq!(measures.sum_of(Stage::Build), Duration::from_millis(4));
        assert_eq!(measures.sum_of(Stage::Ack), Duration::from_millis(19));
        // The next one is acknowledged by a proxy that says that it built for longer than it took.
        watch.sent(Some(&versions[1]), &versions[2], at(200));
        watch.applied(&ack(u64::MAX), position(2), at(210));
        assert_eq!(measures.sum_of(Stage::Build), Duration::from_millis(14));
        assert_eq!(measures.sum_of(Stage::Ack), Duration::from_millis(19));
        // The same again is news to nobody.
        watch.applied(&ack(1_000), position(2), at(900));
        assert_eq!(measures.sum_of(Stage::Ack), Duration::from_millis(19));
    }

    #[test]
    fn what_a_proxy_missed_refused_or_holds_already_is_not_timed() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let versions = versions(start, &[100]);
        let (from, to) = (&versions[0], &versions[1]);
        let measures = Measures::default();
        let untimed = |prepare: &dyn Fn(&mut Stopwatch)| {
            let mut watch = Stopwatch::new(measures.clone());
            prepare(&mut watch);
            watch.applied(&ack(1_000), (HISTORY, to.position), at(500));
            assert_eq!(
                measures.sum_of(Stage::Build) + measures.sum_of(Stage::Ack),
                Duration::ZERO
            );
        };
        untimed(&|watch| {
            watch.admitted(at(101));
            watch.sent(Some(from), to, at(110));
        });
        untimed(&|watch| {
            watch.admitted(at(0));
            watch.sent(None, to, at(110));
            watch.sent(Some(to), to, at(110));
        });
        assert_eq!(measures.sum_of(Stage::Send), Duration::ZERO);
        untimed(&|watch| {
            watch.admitted(at(0));
            watch.sent(Some(from), to, at(110));
            watch.refused();
        });
    }
}
