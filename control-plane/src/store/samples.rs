//! Requests that proxies sampled: a row for each minute of each replica. The oldest go by age and by bytes.

use super::session::{Mode, Session, stored};
use super::{Store, StoreError, UnixMillis};

/// Bytes of all rows.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// What a replica heard of its proxies in a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSamples {
    /// When it was written.
    pub at: UnixMillis,
    /// In the caller's own encoding.
    pub kinds: Vec<u8>,
}

impl Store {
    /// Adds what this replica heard, if anything, and takes away what is older than `since` or past the bound
    /// of 32 MiB.
    pub async fn put_samples(
        &self,
        samples: Option<&StoredSamples>,
        since: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        if let Some(samples) = samples {
            self.insert_samples(&mut session, samples).await?;
        }
        prune(&mut session, since, MAX_BYTES).await?;
        session.commit().await
    }

    async fn insert_samples(&self, session: &mut Session, samples: &StoredSamples) -> Result<(), StoreError> {
        let insert = sqlx::query(
            "INSERT INTO samples (replica, at, bytes, kinds) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (replica, at) DO UPDATE SET bytes = excluded.bytes, kinds = excluded.kinds",
        );
        let insert = insert
            .bind(self.replica())
            .bind(stored(samples.at.0))
            .bind(stored(samples.kinds.len() as u64))
            .bind(samples.kinds.as_slice());
        session.execute(insert).await.map(|_| ())
    }

    /// What all replicas heard since then, the oldest first.
    pub async fn samples(&self, since: UnixMillis) -> Result<Vec<StoredSamples>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let select = sqlx::query("SELECT at, kinds FROM samples WHERE at >= $1 ORDER BY at, replica");
        let rows = session.rows(select.bind(stored(since.0))).await?;
        session.rollback().await?;
        let read = |row: &super::session::Row| {
            Ok(StoredSamples {
                at: UnixMillis(row.number(0)?),
                kinds: row.bytes(1)?,
            })
        };
        rows.iter().map(read).collect()
    }
}

/// Takes away what is older than `since`, and of the rest the oldest, until so many bytes are left.
async fn prune(session: &mut Session, since: UnixMillis, most: u64) -> Result<(), StoreError> {
    let rows = session.rows(sqlx::query("SELECT at, bytes FROM samples ORDER BY at DESC"));
    let mut left = most;
    let mut first = since.0;
    for row in rows.await? {
        let (at, bytes) = (row.number(0)?, row.number(1)?);
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => {
                first = first.max(at.saturating_add(1));
                break;
            }
        }
    }
    let delete = sqlx::query("DELETE FROM samples WHERE at < $1").bind(stored(first));
    session.execute(delete).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyRing;

    #[tokio::test]
    async fn samples_go_by_age_and_by_bytes_the_oldest_first() {
        let url = ["sqlite::memory:".to_owned()];
        let store = Store::open(&url, KeyRing::random().unwrap()).await.unwrap();
        let put = async |at: u64, since: u64| {
            let samples = StoredSamples {
                at: UnixMillis(at),
                kinds: vec![at as u8; 10],
            };
            store
                .put_samples(Some(&samples), UnixMillis(since))
                .await
                .unwrap();
        };
        let held = async |since: u64| {
            let rows = store.samples(UnixMillis(since)).await.unwrap();
            rows.into_iter()
                .map(|row| (row.at.0, row.kinds[0]))
                .collect::<Vec<_>>()
        };
        for at in 1..=4 {
            put(at, 0).await;
        }
        assert_eq!(held(3).await, [(3, 3), (4, 4)]);
        put(5, 2).await;
        assert_eq!(held(0).await, [(2, 2), (3, 3), (4, 4), (5, 5)]);
        let mut session = store.begin(Mode::Write).await.unwrap();
        prune(&mut session, UnixMillis(0), 25).await.unwrap();
        session.commit().await.unwrap();
        assert_eq!(held(0).await, [(4, 4), (5, 5)]);
    }
}
