//! The list of revisions: who changed what, when and why. Kept for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sluice_model::{CommitId, Revision};

use super::id::{NO_REVISION, UnixMillis, WriteId};
use super::resource::ResourceKey;
use super::session::{Mode, Row, Session, stored};
use super::target::Dialect;
use super::{Store, StoreError};

/// Longest page of [`Store::revisions`] and [`Store::audit`].
pub const MAX_PAGE: u32 = 100;

/// A committed write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRecord {
    /// Its number.
    pub revision: Revision,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// Who asked.
    pub author: String,
    /// Why; may be empty.
    pub message: String,
    /// What it touched, ordered by key.
    pub changes: Vec<ChangedResource>,
    /// The revision whose content it brought back.
    pub rollback_of: Option<Revision>,
}

/// What a write did to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedResource {
    /// What happened.
    pub action: Action,
    /// To which resource.
    #[serde(flatten)]
    pub key: ResourceKey,
}

/// What can happen to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It was not there before.
    Created,
    /// It was there, perhaps with the same content.
    Updated,
    /// It is gone.
    Deleted,
}

impl ChangedResource {
    pub(super) fn list_to_json(changes: &[Self]) -> String {
        // Strings and a closed enum: there is nothing in it that JSON cannot hold.
        serde_json::to_string(changes).unwrap_or_default()
    }
}

const COLUMNS: &str = "revision, created_at_ms, author, message, changes, rollback_of";

impl Store {
    /// Revisions below `before` (all without it), newest first, at most `limit` and [`MAX_PAGE`].
    pub async fn revisions(
        &self,
        before: Option<Revision>,
        limit: u32,
    ) -> Result<Vec<RevisionRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM revisions WHERE revision < $1 ORDER BY revision DESC LIMIT {}",
            limit.min(MAX_PAGE)
        );
        let select = sqlx::query(sqlx::AssertSqlSafe(sql));
        let select = select.bind(before.map_or(i64::MAX, |before| stored(before.0)));
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(select).await?;
        session.rollback().await?;
        rows.iter().map(record).collect()
    }

    /// When the newest revisions were asked for, `count` of them at most, newest first.
    pub async fn dates(&self, count: u32) -> Result<Vec<(Revision, UnixMillis)>, StoreError> {
        let select =
            sqlx::query("SELECT revision, created_at_ms FROM revisions ORDER BY revision DESC LIMIT $1");
        let mut session = self.begin(Mode::Read).await?;
        let rows = session.rows(select.bind(i64::from(count))).await?;
        session.rollback().await?;
        let date = |row: &Row| Ok((Revision(row.number(0)?), UnixMillis(row.number(1)?)));
        rows.iter().map(date).collect()
    }

    /// How long ago the revisions after `after` up to `last` were committed, by the database's clock, which
    /// is the one that replicas share; of 100 of them at most, oldest first. Nothing of those that an
    /// older build wrote.
    pub async fn ages(&self, after: Revision, last: Revision) -> Result<Vec<Duration>, StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let sql = format!(
            "SELECT CASE WHEN {now} > committed_us THEN {now} - committed_us ELSE 0 END FROM revisions \
             WHERE revision > $1 AND revision <= $2 AND committed_us > 0 ORDER BY revision LIMIT {MAX_PAGE}",
            now = now_us(session.dialect()),
        );
        let select = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(stored(after.0))
            .bind(stored(last.0));
        let rows = session.rows(select).await?;
        session.rollback().await?;
        let age = |row: &Row| Ok(Duration::from_micros(row.number(0)?));
        rows.iter().map(age).collect()
    }

    /// One revision, if it was committed.
    pub async fn revision(&self, revision: Revision) -> Result<Option<RevisionRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM revisions WHERE revision = $1");
        let select = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(stored(revision.0));
        let mut session = self.begin(Mode::Read).await?;
        let row = session.row(select).await?;
        session.rollback().await?;
        row.as_ref().map(record).transpose()
    }
}

/// Which commit `revision` is; unknown where there is no such revision.
pub(super) async fn commit_of(session: &mut Session, revision: Revision) -> Result<CommitId, StoreError> {
    let select = sqlx::query("SELECT write_id FROM revisions WHERE revision = $1").bind(stored(revision.0));
    match session.row(select).await? {
        Some(row) => Ok(WriteId::stored(row.text(0)?).commit()),
        None => Ok(CommitId::UNKNOWN),
    }
}

/// The database's clock in microseconds since 1970, as it is when the expression is computed; SQLite's
/// counts milliseconds.
pub(super) fn now_us(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        Dialect::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
    }
}

fn record(row: &Row) -> Result<RevisionRecord, StoreError> {
    let changes = row.text(4)?;
    let rollback_of = Revision(row.number(5)?);
    Ok(RevisionRecord {
        revision: Revision(row.number(0)?),
        created_at: UnixMillis(row.number(1)?),
        author: row.text(2)?,
        message: row.text(3)?,
        changes: serde_json::from_str(&changes).map_err(|_| StoreError::Corrupt)?,
        rollback_of: (rollback_of != NO_REVISION).then_some(rollback_of),
    })
}
