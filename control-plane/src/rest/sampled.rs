//! Requests that proxies sampled, as they are read to be replayed.

use std::sync::Arc;
use std::time::Duration;

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::fleet::SampleKinds;
use crate::plan::Sampled;
use crate::store::UnixMillis;

/// Those of the last `age`: what is stored, by whichever replica, and what this one heard since it stored
/// something last.
pub(super) async fn since(api: &Arc<Api>, age: Duration) -> Result<Sampled, Problem> {
    let now = clock::wall();
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let since = UnixMillis(now.0.saturating_sub(age));
    let keys = api.store.sample_keys().await?;
    // In this order: what is written meanwhile is missed, and nothing counts twice.
    let stored = api.store.samples_since(since).await?;
    let fleet = Arc::clone(&api.fleet);
    let gathered = tokio::task::spawn_blocking(move || {
        let first = stored.iter().map(|row| row.from.0).min();
        let rows = stored.iter().map(|row| row.kinds.as_slice());
        let (mut kinds, mut unread) = SampleKinds::of(rows);
        let heard = fleet.samples().heard();
        let first = first.or_else(|| (!heard.is_empty()).then_some(now.0));
        unread += kinds.merge(heard);
        (kinds, unread, first)
    });
    // It only fails to run when the runtime goes down.
    let (kinds, unread, from_ms) = gathered.await.map_err(|_| Problem::Closing)?;
    Ok(Sampled {
        from_ms,
        to_ms: now.0,
        kinds,
        unread,
        keys,
    })
}
