//! Keeps receipts beyond this process, and notices leases and views that run out.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;
use tokio::sync::watch;
use tokio::time::Instant;

use super::registry::Fleet;
use crate::clock;
use crate::live::Published;
use crate::store::{Store, StoredReceipt};

/// How often leases are looked at, and at most how often receipts are stored.
const PERIOD: Duration = Duration::from_secs(1);

/// Stores each receipt when it is complete, or when a newer revision leaves it behind: one write
/// per revision and state, however large the fleet. Runs for ever.
pub async fn keep(fleet: Arc<Fleet>, published: watch::Receiver<Arc<Published>>, store: Store) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let now = Arc::clone(&published.borrow());
        let updated_at = clock::wall();
        let receipts = fleet.unkept(&now, Instant::now()).into_iter().map(|receipt| {
            // Numbers and names: there is nothing in it that JSON cannot hold.
            let summary = serde_json::to_string(&receipt).unwrap_or_default();
            let stored = StoredReceipt { summary, updated_at };
            (Revision(receipt.revision), stored)
        });
        let receipts: Vec<_> = receipts.collect();
        if let Err(error) = store.put_receipts(&receipts).await {
            tracing::warn!(receipts = receipts.len(), %error, "receipts are not stored");
        }
        fleet.forget_views(Instant::now());
        if fleet.has_broken() {
            fleet.announce();
        }
    }
}
