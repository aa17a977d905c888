//! Leads whenever nobody else does.

use std::time::Duration;

use tokio::sync::watch;

use crate::store::{Epoch, PULSE, Store};

/// How often a replica that does not lead tries to.
const RETRY: Duration = Duration::from_secs(1);

/// Tells `term` while this replica leads. Runs for ever.
pub async fn lead(store: Store, term: watch::Sender<Option<Epoch>>) {
    loop {
        // An error is logged where it happens; who cannot reach the store does not lead.
        if let Ok(Some(mut leadership)) = store.lead().await {
            let epoch = leadership.epoch().clone();
            tracing::info!(epoch = epoch.number(), "this replica leads");
            term.send_replace(Some(epoch));
            while leadership.holds().await {
                tokio::time::sleep(PULSE).await;
            }
            tracing::warn!("this replica leads no more");
            term.send_replace(None);
        }
        tokio::time::sleep(RETRY).await;
    }
}
