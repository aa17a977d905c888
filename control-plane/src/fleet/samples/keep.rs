//! Rows of samples: written once a minute, made one for an hour, thinner where there is too much, and taken away when
//! they are old.
//!
//! Where nobody samples nothing is written, and the store is asked once an hour whether another replica left
//! something that is too old.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Kinds, Lost, random};
use crate::clock;
use crate::fleet::registry::Fleet;
use crate::store::{SampleRow, Store, StoreError, StoredSamples, UnixMillis};

/// Between two rows.
const PERIOD: Duration = Duration::from_secs(60);
/// Between two looks for old rows where none is known to be there.
const LOOK: Duration = Duration::from_secs(3_600);
/// Rows become one within an hour of the clock, in milliseconds.
const HOUR: u64 = 3_600_000;
/// From when on, in milliseconds: the last minutes stay as they are.
const FRESH: u64 = 600_000;
/// Rows that become one at a time, while the hour is not over.
const ENOUGH: usize = 10;
/// Rows that become one at a time, at most.
const MAX_JOINED: usize = 64;
/// Bytes of the requests of a row for an hour.
const HOUR_BYTES: usize = 640 * 1024;
/// Bytes of all rows.
pub(super) const MAX_STORED: u64 = 32 * 1024 * 1024;

/// What is to be done: rows that become one of so many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chore {
    pub(super) rows: Vec<SampleRow>,
    pub(super) bytes: usize,
}

/// Writes what is heard, and sees to the rows, of which none is older than `age`, until `shutdown`; then what is left.
pub(crate) async fn keep_samples(
    fleet: Arc<Fleet>,
    store: Store,
    age: Duration,
    shutdown: CancellationToken,
) {
    let keeper = Keeper::new(fleet, store, age);
    // There may be rows from before the start.
    let mut looked = None;
    let mut is_any = false;
    let mut from = clock::wall();
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(PERIOD) => false,
            () = shutdown.cancelled() => true,
        };
        let to = clock::wall();
        is_any |= keeper.write(from, to).await;
        from = to;
        if is_over {
            return;
        }
        if is_any || looked.is_none_or(|looked: Instant| looked.elapsed() >= LOOK) {
            looked = Some(Instant::now());
            match keeper.tidy(to).await {
                Ok(rows) => is_any = rows > 0,
                // Nobody may sample, and whoever needs the store says that it is away.
                Err(error) => tracing::debug!(%error, "rows of samples are not tidied now"),
            }
        }
    }
}

pub(super) struct Keeper {
    fleet: Arc<Fleet>,
    store: Store,
    age: Duration,
}

impl Keeper {
    pub(super) fn new(fleet: Arc<Fleet>, store: Store, age: Duration) -> Self {
        Self { fleet, store, age }
    }

    /// Writes what was heard; whether there was anything.
    pub(super) async fn write(&self, from: UnixMillis, to: UnixMillis) -> bool {
        let fleet = Arc::clone(&self.fleet);
        let taken = tokio::task::spawn_blocking(move || {
            let kinds = fleet.samples().take();
            (kinds.len() as u64, kinds.to_stored())
        });
        // It only fails to run when the runtime goes down.
        let Ok((kinds, samples)) = taken.await else {
            return false;
        };
        if samples.groups.is_empty() {
            return false;
        }
        let row = StoredSamples {
            from,
            to,
            kinds: samples.encode_to_vec(),
        };
        let samples = self.fleet.samples();
        if let Err(error) = self.store.put_samples(&row, samples.key()).await {
            samples.lose(Lost::Store, kinds);
            tracing::warn!(%error, "samples of requests of the last minute are missed");
        }
        true
    }

    /// Takes away what is old, and makes of the rest what there is room for; how many rows there were.
    pub(super) async fn tidy(&self, now: UnixMillis) -> Result<usize, StoreError> {
        let age = u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX);
        let since = UnixMillis(now.0.saturating_sub(age));
        let mut rows = self.store.sample_rows().await?;
        let before = rows.len();
        rows.retain(|row| row.to >= since);
        if rows.len() < before {
            self.store.forget_samples(since).await?;
        }
        for chore in chores(&rows, now) {
            self.join(&chore).await?;
        }
        Ok(before)
    }

    async fn join(&self, chore: &Chore) -> Result<(), StoreError> {
        let stored = self.store.samples(&chore.rows).await?;
        let bytes = chore.bytes;
        let joined = tokio::task::spawn_blocking(move || join(&stored, bytes));
        let Ok(Some((row, lost))) = joined.await else {
            return Ok(());
        };
        // Where another replica was first, it did the same.
        if self.store.replace_samples(&chore.rows, &row).await? {
            self.fleet.samples().lose(Lost::Room, lost);
        }
        Ok(())
    }
}

/// One row of all, and how much of them is lost, see [`Kinds::of`]; `None` of nothing.
pub(super) fn join(rows: &[StoredSamples], bytes: usize) -> Option<(StoredSamples, u64)> {
    let from = rows.iter().map(|row| row.from).min()?;
    let to = rows.iter().map(|row| row.to).max()?;
    let (mut kinds, lost) = Kinds::of(rows.iter().map(|row| row.kinds.as_slice()));
    kinds.thin(bytes, random);
    let row = StoredSamples {
        from,
        to,
        kinds: kinds.to_stored().encode_to_vec(),
    };
    Some((row, lost))
}

/// What is to be done about these rows, the oldest first: those of one hour become one, and if all together are too
/// much, the largest become thinner.
pub(super) fn chores(rows: &[SampleRow], now: UnixMillis) -> Vec<Chore> {
    let settled = now.0.saturating_sub(FRESH);
    let mut chores = Vec::new();
    let (old, fresh): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(|row| row.to.0 < settled);
    let mut single = fresh;
    for hour in old.chunk_by(|a, b| a.to.0 / HOUR == b.to.0 / HOUR) {
        let is_over = hour
            .first()
            .is_some_and(|row| (row.to.0 / HOUR + 1) * HOUR <= settled);
        let few = if is_over { 2 } else { ENOUGH };
        match hour.len() >= few {
            true => chores.extend(hour.chunks(MAX_JOINED).map(|rows| Chore {
                rows: rows.to_vec(),
                bytes: HOUR_BYTES,
            })),
            false => single.extend_from_slice(hour),
        }
    }
    if let Some(most) = fair(rows.iter().map(|row| row.bytes).collect(), MAX_STORED) {
        let too_large = single.into_iter().filter(|row| row.bytes > most);
        chores
            .iter_mut()
            .for_each(|chore| chore.bytes = chore.bytes.min(most as usize));
        chores.extend(too_large.map(|row| Chore {
            rows: vec![row],
            // What says which groups there are comes on top.
            bytes: most as usize * 3 / 4,
        }));
    }
    chores
}

/// How large each may be for all to fit into `most`, or a little less: so it does not have to be done again at once.
/// `None` while they fit.
fn fair(mut sizes: Vec<u64>, most: u64) -> Option<u64> {
    if sizes.iter().sum::<u64>() <= most {
        return None;
    }
    sizes.sort_unstable();
    let mut left = most - most / 16;
    for (at, size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - at) as u64;
        if *size > share {
            return Some(share);
        }
        left -= size;
    }
    None
}
