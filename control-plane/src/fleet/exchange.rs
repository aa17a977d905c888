//! Tells the other replicas of this one's proxies, and hears of theirs, through the store.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::Instant;

use super::peers::BEAT;
use super::registry::Fleet;
use crate::store::{Extent, Store, StoreError};

/// What happens within this time is told at once.
const LINGER: Duration = Duration::from_millis(10);
/// Least time between two tellings.
const GAP: Duration = Duration::from_millis(150);

/// This replica's end of the exchange.
#[derive(Debug)]
pub struct Exchange {
    fleet: Arc<Fleet>,
    store: Store,
    beat: u64,
    /// Whether the last beat is in the store, so that changes suffice.
    follows: bool,
}

impl Exchange {
    /// Hears of the others once, so that a proxy that comes from one of them is known.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn begin(fleet: Arc<Fleet>, store: Store) -> Result<Self, StoreError> {
        let exchange = Self {
            fleet,
            store,
            beat: 0,
            follows: false,
        };
        exchange.hear().await?;
        Ok(exchange)
    }

    /// Goes on for ever. What changes is told [`LINGER`] later, and then not again for [`GAP`].
    pub async fn run(mut self) {
        let mut changed = self.fleet.follow();
        let mut news = self.store.fleet_notifications();
        let mut forgotten = self.store.forgotten();
        let (mut told, mut due) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(due) => {
                    let done = self.turn().await;
                    told = Instant::now();
                    due = told + if done.is_ok() { BEAT } else { BEAT / 2 };
                }
                Ok(()) = changed.changed() => {
                    if self.fleet.has_news() {
                        due = due.min((told + GAP).max(Instant::now() + LINGER));
                    }
                }
                Ok(()) = news.changed() => {
                    // Logged where it failed; the next beat asks again.
                    let _ = self.hear().await;
                }
                proxy = forgotten.recv() => match proxy {
                    Ok(proxy) => drop(self.fleet.forget(&proxy)),
                    // Whoever asked looks whether it is gone.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                else => return,
            }
        }
    }

    async fn turn(&mut self) -> Result<(), StoreError> {
        self.tell().await?;
        self.hear().await
    }

    /// One beat. What could not be told is told with everything else the next time.
    async fn tell(&mut self) -> Result<(), StoreError> {
        loop {
            let extent = match std::mem::replace(&mut self.follows, false) {
                true => Extent::Changes,
                false => Extent::Whole,
            };
            let parts = self.fleet.unsaid(extent, Instant::now());
            self.beat += 1;
            let replica = self.fleet.replica();
            self.follows = self.store.beat(replica, self.beat, extent, &parts).await?;
            if self.follows {
                return Ok(());
            }
        }
    }

    async fn hear(&self) -> Result<(), StoreError> {
        let rows = self.store.peers(&self.fleet.beats()).await?;
        self.fleet.hear(rows, Instant::now());
        Ok(())
    }
}
