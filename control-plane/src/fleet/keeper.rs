//! Keeps beyond this process what it knows of the fleet: receipts, and where newcomers start; and
//! notices leases and views that run out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;
use tokio::time::Instant;

use super::registry::Fleet;
use crate::clock;
use crate::compile::ViewKey;
use crate::live::{Live, Published, Version};
use crate::store::{Fallback, Store, StoreError, StoredReceipt};

/// How often leases are looked at, and at most how often anything is stored.
const PERIOD: Duration = Duration::from_secs(1);

/// Stores what is known of the fleet: one write per revision and state, however large the fleet.
#[derive(Debug)]
pub struct Keeper {
    fleet: Arc<Fleet>,
    live: Live,
    store: Store,
    /// The fallbacks that this process wrote last: only their changes are written.
    told: BTreeMap<ViewKey, Fallback>,
    /// Those of all replicas, as they were read last.
    read: BTreeMap<String, Fallback>,
}

impl Keeper {
    /// A keeper of what `fleet` knows.
    pub fn new(fleet: Arc<Fleet>, live: Live, store: Store) -> Self {
        Self {
            fleet,
            live,
            store,
            told: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let published = self.live.published();
            self.keep_receipts(&published).await;
            if let Err(error) = self.keep_fallbacks(&published).await {
                tracing::warn!(%error, "where newcomers start is not stored");
            }
            self.adopt().await;
            self.fleet.forget_views(Instant::now());
            if self.fleet.has_broken() {
                self.fleet.announce();
            }
        }
    }

    /// Lets newcomers start where this process, before, or other replicas found that it is good.
    pub async fn adopt(&mut self) {
        if let Err(error) = self.try_adopt().await {
            tracing::warn!(%error, "where newcomers start is not known: at the newest revision");
        }
    }

    async fn try_adopt(&mut self) -> Result<(), StoreError> {
        let published = self.live.published();
        let found = self.store.fallbacks(published.version.history).await?;
        let news: Vec<_> = found
            .iter()
            .filter(|(view, fallback)| self.read.get(*view) != Some(*fallback))
            .map(|(view, fallback)| (ViewKey::from(view.as_str()), *fallback))
            .collect();
        for (view, fallback) in news {
            let Some(world) = self.live.world_at(Revision(fallback.good)).await? else {
                continue;
            };
            let of_view = view.clone();
            let made = move || {
                let snapshot = world.snapshot_of(&of_view).ok()?;
                Some(Arc::new(Version::of(&world, &snapshot, Instant::now())))
            };
            // It only fails to run when the runtime goes down.
            if let Ok(Some(version)) = tokio::task::spawn_blocking(made).await {
                self.fleet.adopt(&view, fallback, version);
            }
        }
        self.read = found;
        Ok(())
    }

    async fn keep_receipts(&self, published: &Published) {
        let updated_at = clock::wall();
        let receipts = self.fleet.unkept(published, Instant::now()).into_iter();
        let receipts = receipts.map(|receipt| {
            // Numbers and names: there is nothing in it that JSON cannot hold.
            let summary = serde_json::to_string(&receipt).unwrap_or_default();
            let stored = StoredReceipt { summary, updated_at };
            (Revision(receipt.revision), stored)
        });
        let receipts: Vec<_> = receipts.collect();
        if let Err(error) = self.store.put_receipts(&receipts).await {
            tracing::warn!(receipts = receipts.len(), %error, "receipts are not stored");
        }
    }

    /// What others wrote of other views stays.
    async fn keep_fallbacks(&mut self, published: &Published) -> Result<(), StoreError> {
        let now = self.fleet.fallbacks(published, Instant::now());
        if now == self.told {
            return Ok(());
        }
        let told = &self.told;
        let change = |stored: &mut BTreeMap<String, Fallback>| {
            stored.retain(|view, _| !told.contains_key(&ViewKey::from(view.as_str())));
            stored.extend(now.iter().map(|(view, fallback)| (view.to_string(), *fallback)));
        };
        self.store
            .change_fallbacks(published.version.history, change)
            .await?;
        self.told = now;
        Ok(())
    }
}
