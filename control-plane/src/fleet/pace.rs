//! How often the fleet is told of changes. Each proxy costs the same whatever changed, so the more there
//! are, the longer is what has changed collected for them. A change after a pause is told at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::live::Published;

/// Proxies that are told in a millisecond: half of what a core does.
const TOLD_PER_MS: usize = 10;

/// Passes on what is `live` to a fleet of `size` proxies, for as long as there is a control plane.
pub(super) async fn pace(
    size: impl Fn() -> usize,
    mut live: watch::Receiver<Arc<Published>>,
    told: watch::Sender<Arc<Published>>,
) {
    while live.changed().await.is_ok() {
        let published = Arc::clone(&live.borrow_and_update());
        told.send_replace(published);
        let pause = Duration::from_millis((size() / TOLD_PER_MS) as u64);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::{HistoryId, Revision};
    use tokio::time::Instant;

    use super::*;
    use crate::compile::{DanglingRefs, World};

    fn next(live: &watch::Sender<Arc<Published>>) -> Revision {
        let published = Arc::clone(&live.borrow());
        let revision = Revision(published.revision().0 + 1);
        let changed = published.world.change(Vec::new(), revision, DanglingRefs::Refuse);
        let now = published.next(changed.unwrap().world, Instant::now());
        live.send_replace(Arc::new(now));
        revision
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_at_once_and_those_soon_after_it_together() {
        let first = Published::first(World::empty(HistoryId([1; 16])), Instant::now());
        let live = watch::Sender::new(Arc::new(first));
        let told = watch::Sender::new(Arc::clone(&live.borrow()));
        let mut heard = told.subscribe();
        let size = || 1_000 * TOLD_PER_MS;
        let pacing = tokio::spawn(pace(size, live.subscribe(), told));
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let began = Instant::now();
            let change = next(&live);
            heard.changed().await.unwrap();
            assert_eq!(heard.borrow_and_update().revision(), change);
            assert_eq!(began.elapsed(), Duration::ZERO);
            let last = [(); 7].map(|()| next(&live))[6];
            heard.changed().await.unwrap();
            assert_eq!(heard.borrow_and_update().revision(), last);
            // Timers are as fine as a millisecond.
            let waited = began.elapsed().as_millis();
            assert!((1_000..=1_002).contains(&waited), "{waited}");
        }
        pacing.abort();
    }
}
