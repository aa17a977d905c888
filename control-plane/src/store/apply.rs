//! The statements of a write, from the lock on the counter to the notification.
//!
//! The counter row is the lock. `UPDATE meta SET revision = revision + 1 WHERE revision = expected`
//! is compare-and-set and the first statement, so whoever gets the next number also commits next.

use std::collections::BTreeMap;

use sluice_model::Revision;
use sqlx::AssertSqlSafe;

use super::StoreError;
use super::audit::{self, AuditAction};
use super::id::{Point, WriteId};
use super::resource::{ResourceKey, open};
use super::revision::{Action, ChangedResource, now_us};
use super::session::{Session, stored};
use super::watch::{CHANNEL, notify};
use super::write::{Change, CommitError, Write};
use super::{KeyRing, sealed};

/// Resources per statement: 7 values each, far below SQLite's limit of 32,766 per statement.
const CHUNK: usize = 200;

/// Why a transaction is given up before COMMIT.
pub(super) enum Refusal {
    Moved,
    Commit(CommitError),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Every statement of the write but COMMIT.
pub(super) async fn apply(
    session: &mut Session,
    write: &Write,
    id: &WriteId,
    keys: &KeyRing,
) -> Result<Revision, Refusal> {
    let moved = !take_next_revision(session, write.expected).await?;
    // Behind the lock, so that the same write running twice sees itself; and before the conflict,
    // because a repeated write expects an old head.
    if let Some(duplicate) = find_duplicate(session, write).await? {
        return Err(Refusal::Commit(duplicate));
    }
    if moved {
        return Err(Refusal::Moved);
    }
    let revision = Revision(write.expected.revision.0 + 1);
    let changed = replace_resources(session, write, revision, keys).await?;
    insert_revision(session, write, id, revision, &changed).await?;
    let action = match write.rollback_of {
        Some(_) => AuditAction::Rollback,
        None => AuditAction::Commit,
    };
    audit::append(session, revision, write.at, &write.author, action, &write.message).await?;
    notify(session, CHANNEL, &revision.to_string()).await?;
    Ok(revision)
}

async fn take_next_revision(session: &mut Session, expected: Point) -> Result<bool, StoreError> {
    let update = sqlx::query(
        "UPDATE meta SET revision = revision + 1 WHERE id = 1 AND history = $1 AND revision = $2",
    );
    let update = update
        .bind(expected.history.to_string())
        .bind(stored(expected.revision.0));
    Ok(session.execute(update).await? == 1)
}

async fn find_duplicate(session: &mut Session, write: &Write) -> Result<Option<CommitError>, StoreError> {
    let Some(key) = write.idempotency_key.as_deref().filter(|key| !key.is_empty()) else {
        return Ok(None);
    };
    let find = sqlx::query(
        "SELECT revision, result FROM revisions WHERE idempotency_key = $1 AND idempotency_key <> ''",
    );
    match session.row(find.bind(key)).await? {
        None => Ok(None),
        Some(row) => Ok(Some(CommitError::Duplicate {
            revision: Revision(row.number(0)?),
            result: row.text(1)?,
        })),
    }
}

/// Closes the rows that the write replaces, opens the new ones, and says what happened to each.
async fn replace_resources(
    session: &mut Session,
    write: &Write,
    revision: Revision,
    keys: &KeyRing,
) -> Result<Vec<ChangedResource>, Refusal> {
    let mut changed = Vec::with_capacity(write.changes.len());
    let all: Vec<_> = write.changes.iter().collect();
    for chunk in all.chunks(CHUNK) {
        let prior = close_rows(session, chunk, revision).await?;
        replace_secrets(session, chunk, &prior, revision, keys).await?;
        let mut upserts = Vec::with_capacity(chunk.len());
        for &(key, change) in chunk {
            let prior = prior.get(key).copied();
            let action = match (change, prior) {
                (Change::Delete, None) => return Err(Refusal::Commit(CommitError::Absent(key.clone()))),
                (Change::Delete, Some(_)) => Action::Deleted,
                (
                    Change::Upsert {
                        manifest,
                        creation_revision,
                        secret: _,
                    },
                    prior,
                ) => {
                    let created = creation_revision.or(prior).unwrap_or(revision);
                    upserts.push((key, manifest.as_str(), created));
                    if prior.is_some() {
                        Action::Updated
                    } else {
                        Action::Created
                    }
                }
            };
            changed.push(ChangedResource {
                action,
                key: key.clone(),
            });
        }
        open_rows(session, &upserts, revision).await?;
    }
    Ok(changed)
}

/// Takes out the secret parts that were there, for good, and puts the new ones in.
async fn replace_secrets(
    session: &mut Session,
    chunk: &[(&ResourceKey, &Change)],
    prior: &BTreeMap<ResourceKey, Revision>,
    revision: Revision,
    keys: &KeyRing,
) -> Result<(), StoreError> {
    let new: Vec<_> = chunk
        .iter()
        .filter_map(|(key, change)| Some((*key, change.secret()?)))
        .collect();
    // A resource that has a secret part always has one, so other updates leave none behind.
    let is_old = |(key, change): &&(&ResourceKey, &Change)| {
        prior.contains_key(*key) && (matches!(change, Change::Delete) || change.secret().is_some())
    };
    let old: Vec<_> = chunk.iter().filter(is_old).map(|(key, _)| *key).collect();
    sealed::delete(session, &old).await?;
    sealed::insert(session, keys, &new, revision).await
}

/// Ends the open row of each key, where there is one; the creation revisions they had.
async fn close_rows(
    session: &mut Session,
    chunk: &[(&ResourceKey, &Change)],
    revision: Revision,
) -> Result<BTreeMap<ResourceKey, Revision>, StoreError> {
    // A join and not `IN (VALUES ...)`, for which SQLite scans the index.
    let sql = format!(
        "WITH k (kind, namespace, name) AS (VALUES {keys}) \
         UPDATE resources SET to_revision = $1 FROM k WHERE resources.to_revision = {open} \
         AND resources.kind = k.kind AND resources.namespace = k.namespace AND resources.name = k.name \
         RETURNING resources.kind, resources.namespace, resources.name, resources.creation_revision",
        keys = tuples(chunk.len(), 3, 2),
        open = open!(),
    );
    let mut update = sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .bind(stored(revision.0));
    for (key, _) in chunk {
        update = update
            .bind(key.kind.as_str())
            .bind(key.namespace.as_str())
            .bind(key.name.as_str());
    }
    let mut prior = BTreeMap::new();
    for row in session.rows(update).await? {
        let key = ResourceKey {
            kind: row.text(0)?,
            namespace: row.text(1)?,
            name: row.text(2)?,
        };
        prior.insert(key, Revision(row.number(3)?));
    }
    Ok(prior)
}

async fn open_rows(
    session: &mut Session,
    upserts: &[(&ResourceKey, &str, Revision)],
    revision: Revision,
) -> Result<(), StoreError> {
    if upserts.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO resources \
         (kind, namespace, name, from_revision, to_revision, creation_revision, manifest) VALUES {}",
        tuples(upserts.len(), 7, 1)
    );
    let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for &(key, manifest, created) in upserts {
        insert = insert
            .bind(key.kind.as_str())
            .bind(key.namespace.as_str())
            .bind(key.name.as_str())
            .bind(stored(revision.0))
            .bind(i64::MAX)
            .bind(stored(created.0))
            .bind(manifest);
    }
    session.execute(insert).await?;
    Ok(())
}

async fn insert_revision(
    session: &mut Session,
    write: &Write,
    id: &WriteId,
    revision: Revision,
    changed: &[ChangedResource],
) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO revisions (revision, write_id, created_at_ms, author, message, changes, \
         idempotency_key, rollback_of, result, committed_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, {})",
        now_us(session.dialect()),
    );
    let insert = sqlx::query(AssertSqlSafe(sql))
        .bind(stored(revision.0))
        .bind(id.as_str())
        .bind(stored(write.at.0))
        .bind(write.author.as_str())
        .bind(write.message.as_str())
        .bind(ChangedResource::list_to_json(changed))
        .bind(write.idempotency_key.as_deref().unwrap_or_default())
        .bind(stored(write.rollback_of.unwrap_or_default().0))
        .bind(write.result.as_str());
    session.execute(insert).await?;
    Ok(())
}

/// `($2,$3),($4,$5)` for 2 rows of width 2 from placeholder 2 on.
pub(super) fn tuples(rows: usize, width: usize, first: usize) -> String {
    let tuple = |row: usize| {
        let start = first + row * width;
        let holders: Vec<_> = (start..start + width).map(|n| format!("${n}")).collect();
        format!("({})", holders.join(","))
    };
    (0..rows).map(tuple).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(tuples(2, 3, 2), "($2,$3,$4),($5,$6,$7)");
        assert_eq!(tuples(1, 1, 1), "($1)");
    }
}
