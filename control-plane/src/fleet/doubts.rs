//! Asks the store about what proxies say that they run. What it does not have was lost, and nobody can tell what
//! else was: the history ends.

use std::time::Duration;

use tokio::time::Instant;

use super::claims::Claim;
use super::registry::Fleet;
use crate::store::{Store, StoreError};

/// Claims that are looked at one after another.
const ASKED: usize = 64;
/// How often at most the word of proxies ends a history here. One that says what is not true makes the whole
/// fleet start over.
const RENEWALS: Duration = Duration::from_secs(60);

/// When a proxy's word last ended a history.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    renewed: Option<Instant>,
    /// The log has been told that the next renewal waits.
    is_said: bool,
}

impl Doubts {
    /// Settles what is claimed, as far as the store answers. What is not settled stays open.
    pub(super) async fn settle(&mut self, fleet: &Fleet, store: &Store, now: Instant) {
        for _ in 0..ASKED {
            let Some(claim) = fleet.take_claim() else {
                return;
            };
            match self.ask(&claim, store, now).await {
                Ok(true) => fleet.found(&claim),
                Ok(false) => return fleet.put_back(claim),
                Err(error) => {
                    let Claim { at, proxy, .. } = &claim;
                    let revision = at.revision;
                    tracing::warn!(proxy, %revision, %error, "whether the store has what it runs is not known");
                    return fleet.put_back(claim);
                }
            }
        }
    }

    /// Whether it is settled.
    async fn ask(&mut self, claim: &Claim, store: &Store, now: Instant) -> Result<bool, StoreError> {
        if store.has(claim.at, claim.commit).await? {
            return Ok(true);
        }
        let Claim { at, proxy, .. } = claim;
        let revision = at.revision;
        let since = |renewed| now.saturating_duration_since(renewed);
        if self.renewed.is_some_and(|renewed| since(renewed) < RENEWALS) {
            if !std::mem::replace(&mut self.is_said, true) {
                tracing::error!(proxy, %revision, "runs a lost revision, soon after another: the history ends later");
            }
            return Ok(false);
        }
        if store.witness(claim.at, claim.commit).await? {
            tracing::error!(proxy, %revision, "runs a revision that the database has lost");
            (self.renewed, self.is_said) = (Some(now), false);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::{CommitId, HistoryId, Position, Revision};

    use super::*;
    use crate::compile::World;
    use crate::fleet::stage::fleet;
    use crate::live::Published;
    use crate::store::KeyRing;

    /// A proxy says that it runs a commit of a history that nobody made.
    fn claim(fleet: &Fleet, history: HistoryId, revision: u64) {
        let published = Published::first(World::empty(history), Instant::now());
        let position = Position {
            revision: Revision(revision),
            ..Position::default()
        };
        let mut known = fleet.lock();
        known
            .claims
            .note("edge-1", (history, position), CommitId(7), &published, || true);
    }

    #[tokio::test]
    async fn what_is_lost_ends_the_history_once_a_minute_and_what_is_not_answered_stays_open() {
        let store = Store::open(&["sqlite::memory:".to_owned()], KeyRing::default()).await;
        let (store, fleet, mut doubts) = (store.unwrap(), fleet("test"), Doubts::default());
        let history = async || store.head().await.unwrap().history;
        let (start, first) = (Instant::now(), history().await);
        claim(&fleet, first, 5);
        doubts.settle(&fleet, &store, start).await;
        let second = history().await;
        assert_ne!(second, first);
        assert_eq!(fleet.take_claim(), None);

        claim(&fleet, second, 6);
        doubts.settle(&fleet, &store, start + RENEWALS / 2).await;
        assert_eq!(history().await, second, "it has to wait");
        doubts.settle(&fleet, &store, start + RENEWALS).await;
        let third = history().await;
        assert_ne!(third, second, "and was not forgotten");

        // Of a history that is over nothing is asked.
        claim(&fleet, second, 7);
        doubts.settle(&fleet, &store, start + 3 * RENEWALS).await;
        assert_eq!((history().await, fleet.take_claim()), (third, None));

        claim(&fleet, third, 8);
        store.close().await;
        doubts.settle(&fleet, &store, start + 5 * RENEWALS).await;
        assert_eq!(
            fleet.take_claim().map(|claim| claim.at.revision),
            Some(Revision(8))
        );
    }
}
