//! Sees to it that nobody stays whose certificate does not stand any more.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Fleet;
use crate::trust::Trust;

/// How often is looked for certificates that were not renewed in time.
const EXPIRY: Duration = Duration::from_secs(5);
/// Pause after a look, so that many changes of identities cost one.
const PAUSE: Duration = Duration::from_millis(50);

/// Cuts off who is revoked, at once, and who has expired, for ever.
pub async fn guard(fleet: Arc<Fleet>, trust: Trust) {
    let mut changed = trust.watch_identities();
    loop {
        match tokio::time::timeout(EXPIRY, changed.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => return,
        }
        fleet.expel(|proxy| trust.check(proxy));
        tokio::time::sleep(PAUSE).await;
    }
}
