//! Keeps beyond this process what it knows of the fleet: where newcomers start, and, as the leader,
//! receipts; notices leases and views that run out; asks the store about what proxies know and it may
//! not. The leader also takes away what replicas left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;
use tokio::sync::watch;
use tokio::time::Instant;

use super::dates::KEPT as KEPT_DATES;
use super::doubts::Doubts;
use super::pace::patience;
use super::registry::Fleet;
use crate::clock;
use crate::compile::ViewKey;
use crate::live::{Live, Published, Version};
use crate::store::{Epoch, Fallback, Store, StoreError, StoredReceipt};

/// How often leases are looked at, and at most how often anything is stored.
const PERIOD: Duration = Duration::from_secs(1);

/// Stores what is known of the fleet: one write per revision and state, however large the fleet.
#[derive(Debug)]
pub struct Keeper {
    fleet: Arc<Fleet>,
    live: Live,
    store: Store,
    /// This replica's term, while it leads.
    term: watch::Receiver<Option<Epoch>>,
    /// The fallbacks that this process wrote last: only their changes are written.
    told: BTreeMap<ViewKey, Fallback>,
    /// Those of all replicas, as they were read last.
    read: BTreeMap<String, Fallback>,
    doubts: Doubts,
}

impl Keeper {
    /// A keeper of what `fleet` knows, with the leader's duties in each `term` that is this replica's.
    pub fn new(fleet: Arc<Fleet>, live: Live, store: Store, term: watch::Receiver<Option<Epoch>>) -> Self {
        Self {
            fleet,
            live,
            store,
            term,
            told: BTreeMap::new(),
            read: BTreeMap::new(),
            doubts: Doubts::default(),
        }
    }

    /// Reads what is remembered from before this process: where newcomers start, and when revisions
    /// were written. Comes before the first proxy.
    pub async fn begin(&mut self) {
        self.adopt().await;
        let history = self.live.published().version.history;
        match self.store.dates(KEPT_DATES).await {
            Ok(dates) => self.fleet.date(history, dates),
            Err(error) => tracing::warn!(%error, "how long proxies have been behind counts from now on"),
        }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            let published = self.live.published();
            self.fleet.observe(&published, Instant::now());
            self.fleet.count_late(patience(self.fleet.size()), Instant::now());
            let epoch = self.term.borrow().clone();
            if let Some(epoch) = epoch {
                self.keep_receipts(&published, &epoch).await;
                self.remove_dead(&epoch).await;
            }
            self.doubts.settle(&self.fleet, &self.store, Instant::now()).await;
            if let Err(error) = self.keep_fallbacks(&published).await {
                tracing::warn!(%error, "where newcomers start is not stored");
            }
            self.adopt().await;
            self.fleet.forget_views(Instant::now());
            if self.fleet.has_broken(Instant::now()) {
                self.fleet.announce();
            }
        }
    }

    /// Lets newcomers start where this process, before, or other replicas found that it is good.
    async fn adopt(&mut self) {
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
            if !self.fleet.lacks(&view, fallback, &published) {
                continue;
            }
            let good = Revision(fallback.good);
            let recent = published.first_of(&view, published.version.history, good);
            let version = match recent {
                Some(version) => Some(Arc::clone(version)),
                None => self.make(&view, good).await?,
            };
            if let Some(version) = version {
                self.fleet.adopt(&view, fallback, version);
            }
        }
        self.read = found;
        Ok(())
    }

    /// An old version of a view, which is to compile everything.
    async fn make(&self, view: &ViewKey, revision: Revision) -> Result<Option<Arc<Version>>, StoreError> {
        let Some(world) = self.live.world_at(revision).await? else {
            return Ok(None);
        };
        let view = view.clone();
        let made = move || {
            let snapshot = world.snapshot_of(&view).ok()?;
            Some(Arc::new(Version::of(&world, &snapshot, Instant::now())))
        };
        // It only fails to run when the runtime goes down.
        Ok(tokio::task::spawn_blocking(made).await.ok().flatten())
    }

    /// Stores each receipt when it is complete, or when a newer revision leaves it behind: one row
    /// per revision and state, however large the fleet.
    async fn keep_receipts(&self, published: &Published, epoch: &Epoch) {
        let updated_at = clock::wall();
        let receipts = self.fleet.unkept(published, Instant::now()).into_iter();
        let receipts = receipts.map(|receipt| {
            // Numbers and names: there is nothing in it that JSON cannot hold.
            let summary = serde_json::to_string(&receipt).unwrap_or_default();
            let stored = StoredReceipt {
                summary,
                updated_at,
                complete: receipt.is_complete(),
            };
            (Revision(receipt.revision), stored)
        });
        let receipts: Vec<_> = receipts.collect();
        if let Err(error) = self.store.put_receipts(epoch, &receipts).await {
            tracing::warn!(receipts = receipts.len(), %error, "receipts are not stored");
            self.fleet
                .not_kept(receipts.iter().map(|(revision, _)| *revision));
        }
    }

    async fn remove_dead(&self, epoch: &Epoch) {
        for (id, beat) in self.fleet.dead(Instant::now()) {
            match self.store.remove_replica(epoch, &id, beat).await {
                Ok(true) => tracing::info!(replica = id, "a control plane is gone for good"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(replica = id, %error, "what a control plane left is not removed");
                }
            }
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
