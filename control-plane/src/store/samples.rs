//! Requests that proxies sampled: a row for each minute of each replica, or for more where rows became one. What is
//! in them is the caller's; here they are written, read, replaced and taken away.

use sluice_model::Secret;

use super::id::UnixMillis;
use super::session::{Mode, Row, Session, stored};
use super::{Store, StoreError};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Keys that are read: of this history, and of those before it.
const MAX_KEYS: i64 = 16;

/// What was heard of proxies for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSamples {
    /// Since when.
    pub from: UnixMillis,
    /// Until when.
    pub to: UnixMillis,
    /// In the caller's own encoding.
    pub kinds: Vec<u8>,
}

/// A row, without what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleRow {
    /// Its name.
    pub id: String,
    /// Since when it was heard.
    pub from: UnixMillis,
    /// Until when.
    pub to: UnixMillis,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Store {
    /// The key of this history, which is made the first time. All replicas have the same.
    ///
    /// # Errors
    /// When the store does not answer, or the system gives no random bytes.
    pub async fn sample_key(&self, now: UnixMillis) -> Result<Secret<[u8; KEY_BYTES]>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let known = find_key(&mut session).await?;
        session.rollback().await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let mut fresh = [0; KEY_BYTES];
        getrandom::fill(&mut fresh).map_err(|_| StoreError::Rejected)?;
        let mut session = self.begin(Mode::Write).await?;
        insert_key(&mut session, &fresh, now).await?;
        let key = find_key(&mut session).await?.ok_or(StoreError::Corrupt)?;
        session.commit().await?;
        Ok(key)
    }

    /// The keys of this history and of the last ones before it, the newest first.
    pub async fn sample_keys(&self) -> Result<Vec<Secret<[u8; KEY_BYTES]>>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let select = sqlx::query("SELECT key FROM sample_keys ORDER BY made_ms DESC, history LIMIT $1");
        let rows = session.rows(select.bind(MAX_KEYS)).await?;
        session.rollback().await?;
        rows.iter().map(key).collect()
    }

    /// Adds what this replica heard, with values hashed under `key`: should this history have none, as it is a new
    /// one or the database has lost it, it is that.
    pub async fn put_samples(
        &self,
        samples: &StoredSamples,
        key: Option<&Secret<[u8; KEY_BYTES]>>,
    ) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        insert(&mut session, samples).await?;
        if let Some(key) = key {
            insert_key(&mut session, key.expose(), samples.to).await?;
        }
        session.commit().await
    }

    /// All rows, the oldest first.
    pub async fn sample_rows(&self) -> Result<Vec<SampleRow>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let rows = rows(&mut session).await?;
        session.rollback().await?;
        Ok(rows)
    }

    /// What is in these rows, in their order; without those that are gone.
    pub async fn samples(&self, rows: &[SampleRow]) -> Result<Vec<StoredSamples>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let found = contents(&mut session, rows).await?;
        session.rollback().await?;
        Ok(found)
    }

    /// What was heard since then, the oldest first, by all replicas. A row that began earlier is there as a whole.
    pub async fn samples_since(&self, since: UnixMillis) -> Result<Vec<StoredSamples>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let mut rows = rows(&mut session).await?;
        rows.retain(|row| row.to >= since);
        let found = contents(&mut session, &rows).await?;
        session.rollback().await?;
        Ok(found)
    }

    /// Puts `samples` in the place of `rows`, if all of them are there; otherwise nothing, and `false`: another
    /// replica did it.
    pub async fn replace_samples(
        &self,
        rows: &[SampleRow],
        samples: &StoredSamples,
    ) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        for row in rows {
            let delete = sqlx::query("DELETE FROM samples WHERE id = $1").bind(row.id.as_str());
            // Whoever comes second waits here for the first, and finds nothing.
            if session.execute(delete).await? == 0 {
                session.rollback().await?;
                return Ok(false);
            }
        }
        insert(&mut session, samples).await?;
        session.commit().await?;
        Ok(true)
    }

    /// Takes away what was heard before.
    pub async fn forget_samples(&self, before: UnixMillis) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        let delete = sqlx::query("DELETE FROM samples WHERE to_ms < $1").bind(stored(before.0));
        session.execute(delete).await?;
        session.commit().await
    }
}

async fn rows(session: &mut Session) -> Result<Vec<SampleRow>, StoreError> {
    let select = sqlx::query("SELECT id, from_ms, to_ms, bytes FROM samples ORDER BY to_ms, id");
    let read = |row: &Row| {
        Ok(SampleRow {
            id: row.text(0)?,
            from: UnixMillis(row.number(1)?),
            to: UnixMillis(row.number(2)?),
            bytes: row.number(3)?,
        })
    };
    session.rows(select).await?.iter().map(read).collect()
}

/// One by one: together they are more than one answer may take time for.
async fn contents(session: &mut Session, rows: &[SampleRow]) -> Result<Vec<StoredSamples>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let select = sqlx::query("SELECT kinds FROM samples WHERE id = $1").bind(row.id.as_str());
        if let Some(kinds) = session.row(select).await? {
            found.push(StoredSamples {
                from: row.from,
                to: row.to,
                kinds: kinds.bytes(0)?,
            });
        }
    }
    Ok(found)
}

async fn insert(session: &mut Session, samples: &StoredSamples) -> Result<(), StoreError> {
    let insert =
        sqlx::query("INSERT INTO samples (id, from_ms, to_ms, bytes, kinds) VALUES ($1, $2, $3, $4, $5)");
    let insert = insert
        .bind(uuid::Uuid::new_v4().simple().to_string())
        .bind(stored(samples.from.0))
        .bind(stored(samples.to.0))
        .bind(stored(samples.kinds.len() as u64))
        .bind(samples.kinds.as_slice());
    session.execute(insert).await.map(|_| ())
}

/// Whoever comes second waits here for the first, and changes nothing.
async fn insert_key(session: &mut Session, key: &[u8; KEY_BYTES], now: UnixMillis) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO sample_keys (history, made_ms, key) SELECT history, $1, $2 FROM meta WHERE id = 1 \
         ON CONFLICT (history) DO NOTHING",
    );
    let insert = insert.bind(stored(now.0)).bind(&key[..]);
    session.execute(insert).await.map(|_| ())
}

async fn find_key(session: &mut Session) -> Result<Option<Secret<[u8; KEY_BYTES]>>, StoreError> {
    let select =
        sqlx::query("SELECT k.key FROM sample_keys k JOIN meta m ON m.history = k.history WHERE m.id = 1");
    session.row(select).await?.as_ref().map(key).transpose()
}

fn key(row: &Row) -> Result<Secret<[u8; KEY_BYTES]>, StoreError> {
    let key = row.bytes(0)?.try_into().map_err(|_| StoreError::Corrupt)?;
    Ok(Secret::new(key))
}
