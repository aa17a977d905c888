//! How often the fleet is told of changes. Each proxy costs the same whatever changed, so the more there
//! are, the longer is what has changed collected for them. A change after a pause is told at once.
//!
//! Endpoints should be with all proxies within a second, also when something else has just changed. Of that
//! second discovery takes a quarter ([`Hub`](crate::discovery)), and the way to ten thousand proxies about as much
//! on two cores: what is left is the longest that endpoints are collected for, however large the fleet is. With more
//! proxies than two cores can tell so often the second is given up, and not the control plane.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;
use tokio::time::{Instant, sleep_until};

use crate::live::Published;

/// Proxies that a core tells in a millisecond.
const TOLD_PER_MS: usize = 20;
/// What a proxy may take for an update, however few there are.
const PROMPT: Duration = Duration::from_millis(500);
/// Longest that endpoints are collected for, in a fleet that two cores tell in that time.
const ENDPOINTS: Duration = Duration::from_millis(400);

/// For how long is collected what changes after the fleet was told of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pauses {
    /// Where only config changes: half of one core tells it.
    config: Duration,
    /// Where endpoints do.
    endpoints: Duration,
}

impl Pauses {
    /// Those of a fleet of `size` proxies.
    fn of(size: usize) -> Self {
        let one_core = Duration::from_millis((size / TOLD_PER_MS) as u64);
        let config = 2 * one_core;
        Self {
            config,
            endpoints: config.min(ENDPOINTS.max(one_core / 2)),
        }
    }
}

/// After what time a proxy of a fleet of `size` is late by itself: several times what the way to all of them
/// takes, and the pause before it.
pub(super) fn patience(size: usize) -> Duration {
    PROMPT + 3 * Pauses::of(size).config
}

/// Passes on what is `live` to a fleet of `size` proxies, for as long as there is a control plane.
pub(super) async fn pace(
    size: impl Fn() -> usize,
    mut live: watch::Receiver<Arc<Published>>,
    told: watch::Sender<Arc<Published>>,
) {
    let mut last = None;
    while live.changed().await.is_ok() {
        if let Some(last) = last
            && due(&size, last, &mut live, &told).await.is_err()
        {
            return;
        }
        let published = Arc::clone(&live.borrow_and_update());
        told.send_replace(published);
        last = Some(Instant::now());
    }
}

/// Waits until what is live should be told to a fleet that was told something at `last`. What comes meanwhile
/// goes along, and endpoints make it sooner.
async fn due(
    size: &impl Fn() -> usize,
    last: Instant,
    live: &mut watch::Receiver<Arc<Published>>,
    told: &watch::Sender<Arc<Published>>,
) -> Result<(), RecvError> {
    loop {
        let pauses = Pauses::of(size());
        let pause = match live.borrow_and_update().has_moved_endpoints(&told.borrow()) {
            true => pauses.endpoints,
            false => pauses.config,
        };
        tokio::select! {
            biased;
            () = sleep_until(last + pause) => return Ok(()),
            changed = live.changed() => changed?,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_intent::Format;
    use sluice_model::{HistoryId, Revision};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::compile::{Change, DanglingRefs, Findings, Found, NO_PORT, Source, World};

    const BACKEND: &str = "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {name: web}\n\
        spec: {endpoints: [{address: web.internal, port: 80}]}\n";

    /// A fleet that is told of what is live.
    struct Site {
        live: watch::Sender<Arc<Published>>,
        heard: watch::Receiver<Arc<Published>>,
        pacing: JoinHandle<()>,
    }

    impl Site {
        /// A fleet of this size, and a Backend whose endpoints are found.
        fn start(size: usize) -> Self {
            let world = World::empty(HistoryId([1; 16]));
            let backend = sluice_intent::parse(BACKEND.as_bytes(), Format::Yaml, "default").unwrap();
            let changes = backend.into_iter().map(Change::Put).collect();
            let changed = world.change(changes, Revision(1), DanglingRefs::Refuse).unwrap();
            let first = Published::first(changed.world, Instant::now());
            let live = watch::Sender::new(Arc::new(first));
            let (told, heard) = watch::channel(Arc::clone(&live.borrow()));
            let pacing = tokio::spawn(pace(move || size, live.subscribe(), told));
            Self { live, heard, pacing }
        }

        fn publish(&self, world: World) {
            let next = self.live.borrow().next(world, Instant::now());
            self.live.send_replace(Arc::new(next));
        }

        /// A change of config.
        fn revise(&self) -> Revision {
            let published = Arc::clone(&self.live.borrow());
            let revision = Revision(published.revision().0 + 1);
            let changed = published.world.change(Vec::new(), revision, DanglingRefs::Refuse);
            self.publish(changed.unwrap().world);
            revision
        }

        /// A change of endpoints.
        fn find(&self, last: u8) {
            let found = Found {
                address: [10, 0, 0, last].into(),
                port: NO_PORT,
                weight: 1,
            };
            let findings = Findings::from([(Source::Addresses("web.internal".into()), vec![found])]);
            let world = self.live.borrow().world.clone();
            self.publish(world.with_found(&findings).unwrap().unwrap());
        }

        /// Waits until the fleet is told of all that is live; in how many milliseconds, and of how much it
        /// was told before that.
        async fn told(&mut self) -> (u128, usize) {
            let from = Instant::now();
            for before in 0.. {
                self.heard.changed().await.unwrap();
                let heard = Arc::clone(&self.heard.borrow_and_update());
                if heard.version.position == self.live.borrow().version.position {
                    return (from.elapsed().as_millis(), before);
                }
            }
            unreachable!("it is told for ever");
        }

        /// Milliseconds pass.
        async fn wait(&self, millis: u64) {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    impl Drop for Site {
        fn drop(&mut self) {
            self.pacing.abort();
        }
    }

    /// Timers are as fine as a millisecond.
    fn assert_about(told: (u128, usize), millis: u128) {
        assert!(
            told.0 >= millis.saturating_sub(1) && told.0 <= millis + 2,
            "{told:?}, not {millis}"
        );
        assert_eq!(told.1, 0, "told in parts");
    }

    #[test]
    fn endpoints_wait_no_longer_than_leaves_time_for_their_way() {
        let millis = |size| {
            let pauses = Pauses::of(size);
            (pauses.config.as_millis(), pauses.endpoints.as_millis())
        };
        assert_eq!(millis(1), (0, 0));
        assert_eq!(millis(1_000), (100, 100));
        assert_eq!(millis(10_000), (1_000, 400));
        assert_eq!(millis(20_000), (2_000, 500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_at_once_and_those_soon_after_it_together() {
        let mut site = Site::start(10_000);
        for _ in 0..3 {
            site.wait(5_000).await;
            site.revise();
            assert_about(site.told().await, 0);
            for _ in 0..7 {
                site.revise();
            }
            assert_about(site.told().await, 1_000);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_that_change_again_within_a_second_are_told_in_half_of_it() {
        let mut site = Site::start(10_000);
        for round in 0..3 {
            site.wait(5_000).await;
            site.find(10 * round + 1);
            assert_about(site.told().await, 0);
            site.wait(300).await;
            site.find(10 * round + 2);
            assert_about(site.told().await, 100);
            // And again, without an end.
            for last in 3..8 {
                site.find(10 * round + last);
                assert_about(site.told().await, 400);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_do_not_wait_for_config_and_take_along_what_does() {
        let mut site = Site::start(10_000);
        site.revise();
        assert_about(site.told().await, 0);
        site.revise();
        site.wait(200).await;
        site.find(1);
        site.revise();
        assert_about(site.told().await, 200);
        // Nothing is left that would be told once more.
        site.wait(5_000).await;
        assert!(!site.heard.has_changed().unwrap());
        // Config that comes after endpoints waits as long as ever.
        site.find(2);
        assert_about(site.told().await, 0);
        site.revise();
        assert_about(site.told().await, 1_000);
    }
}
