//! Sees to it that nobody stays whose certificate does not stand any more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use super::registry::Fleet;
use crate::trust::Trust;

/// How often is looked for certificates that were not renewed in time.
const EXPIRY: Duration = Duration::from_secs(5);
/// Pause after a look, so that many changes of identities cost one.
const PAUSE: Duration = Duration::from_millis(50);

/// Cuts off who is revoked, at once, and who has expired, for ever. Their connections, with or without a
/// stream, end one to two looks later.
pub async fn guard(fleet: Arc<Fleet>, trust: Trust) {
    let mut changed = trust.watch_identities();
    let mut looks = interval(EXPIRY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = BTreeSet::new();
    loop {
        let is_look = tokio::select! {
            _ = looks.tick() => true,
            moved = changed.changed() => match moved {
                Ok(()) => false,
                Err(_) => return,
            },
        };
        fleet.expel(|proxy| trust.check(proxy));
        if is_look {
            warned = trust.sweep(&warned);
        }
        sleep(PAUSE).await;
    }
}
