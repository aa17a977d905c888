//! The rows of what is kept sealed: the secret part of resources, and records of the control plane
//! itself. There is one row per name: what was there before it is gone.

use std::collections::{BTreeMap, BTreeSet};

use sluice_model::{Revision, Secret};
use sqlx::AssertSqlSafe;

use super::apply::tuples;
use super::envelope::{Envelope, EnvelopeError};
use super::resource::ResourceKey;
use super::session::{Mode, Row, Session, stored};
use super::{KeyRing, Store, StoreError};

/// Rows per statement.
const PAGE: usize = 200;
const COLUMNS: &str = "kind, namespace, name, revision, key_id, wrapped_key, body";

/// A row as it is in the database.
pub(super) struct SealedRow {
    pub(super) key: ResourceKey,
    pub(super) revision: Revision,
    envelope: Envelope,
}

/// What a place seals for: this store, this name, this revision.
pub(super) struct Place<'a> {
    store: &'a str,
    key: &'a ResourceKey,
    revision: Revision,
}

impl<'a> Place<'a> {
    pub(super) fn new(store: &'a str, key: &'a ResourceKey, revision: Revision) -> Self {
        Self { store, key, revision }
    }

    /// Names have no zero bytes, so no two places are written alike.
    pub(super) fn binding(&self) -> Vec<u8> {
        let ResourceKey {
            kind,
            namespace,
            name,
        } = self.key;
        let parts = [self.store, kind, namespace, name, &self.revision.to_string()];
        parts.join("\0").into_bytes()
    }
}

impl SealedRow {
    pub(super) fn open(&self, keys: &KeyRing, store: &str) -> Result<Secret<Vec<u8>>, StoreError> {
        let binding = Place::new(store, &self.key, self.revision).binding();
        keys.open(&self.envelope, &binding)
            .map_err(|error| self.failed(error))
    }

    fn rewrap(&self, keys: &KeyRing, store: &str) -> Result<(String, Vec<u8>), StoreError> {
        let binding = Place::new(store, &self.key, self.revision).binding();
        keys.rewrap(&self.envelope, &binding)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: EnvelopeError) -> StoreError {
        tracing::error!(resource = %self.key, key_id = %self.envelope.key_id, "does not open: {error}");
        error.into()
    }
}

impl From<EnvelopeError> for StoreError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::NoKey => Self::NoKey,
            EnvelopeError::UnknownKey => Self::UnknownKey,
            EnvelopeError::Forged => Self::Corrupt,
            EnvelopeError::Random => Self::Rejected,
        }
    }
}

/// The name of this store in what it seals.
pub(super) async fn store_id(session: &mut Session) -> Result<String, StoreError> {
    let row = session
        .row(sqlx::query("SELECT store FROM meta WHERE id = 1"))
        .await?;
    row.ok_or(StoreError::Corrupt)?.text(0)
}

/// Puts the secret parts of resources in, at `revision`. None of the keys may have one.
pub(super) async fn insert(
    session: &mut Session,
    keys: &KeyRing,
    secrets: &[(&ResourceKey, &Secret<Vec<u8>>)],
    revision: Revision,
) -> Result<(), StoreError> {
    if secrets.is_empty() {
        return Ok(());
    }
    let store = store_id(session).await?;
    let sql = format!(
        "INSERT INTO sealed ({COLUMNS}) VALUES {}",
        tuples(secrets.len(), 7, 1)
    );
    let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for &(key, secret) in secrets {
        let envelope = keys.seal(secret, &Place::new(&store, key, revision).binding())?;
        insert = insert
            .bind(key.kind.as_str())
            .bind(key.namespace.as_str())
            .bind(key.name.as_str())
            .bind(stored(revision.0))
            .bind(envelope.key_id)
            .bind(envelope.wrapped_key)
            .bind(envelope.body);
    }
    session.execute(insert).await?;
    Ok(())
}

/// Takes out whatever these resources have.
pub(super) async fn delete(session: &mut Session, keys: &[&ResourceKey]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "DELETE FROM sealed WHERE (kind, namespace, name) IN (VALUES {})",
        tuples(keys.len(), 3, 1)
    );
    let mut delete = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for key in keys {
        delete = delete
            .bind(key.kind.as_str())
            .bind(key.namespace.as_str())
            .bind(key.name.as_str());
    }
    session.execute(delete).await?;
    Ok(())
}

/// The secret parts of resources.
#[derive(Default)]
pub(super) struct Opened {
    /// Each with the revision that it was sealed for.
    pub(super) secrets: BTreeMap<ResourceKey, (Revision, Secret<Vec<u8>>)>,
    /// Those that do not open, and that the key ring leaves out.
    pub(super) left_out: BTreeSet<ResourceKey>,
}

impl Opened {
    /// Warns of each that is left out.
    pub(super) fn tell_left_out(&self) {
        for key in &self.left_out {
            tracing::warn!(resource = %key, "is left out until it is written anew");
        }
    }
}

/// The secret parts of resources that are newer than `base`, opened. Those that are damaged are all named in the
/// log before it fails.
pub(super) async fn of_resources(
    session: &mut Session,
    keys: &KeyRing,
    base: Revision,
) -> Result<Opened, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sealed WHERE kind <> '' AND revision > $4 \
         AND (kind, namespace, name) > ($1, $2, $3) ORDER BY kind, namespace, name LIMIT {PAGE}"
    );
    let store = store_id(session).await?;
    let (mut opened, mut is_damaged) = (Opened::default(), false);
    let mut last: Option<ResourceKey> = None;
    loop {
        let after = last.as_ref();
        let (kind, namespace, name) =
            after.map_or(("", "", ""), |key| (&*key.kind, &*key.namespace, &*key.name));
        let page = sqlx::query(AssertSqlSafe(sql.as_str()))
            .bind(kind)
            .bind(namespace)
            .bind(name)
            .bind(stored(base.0));
        let page = session.rows(page).await?;
        for row in page.iter().map(sealed) {
            let row = row?;
            last = Some(row.key.clone());
            match row.open(keys, &store) {
                Ok(secret) => drop(opened.secrets.insert(row.key, (row.revision, secret))),
                Err(_) if keys.leaves_out(&row.key) => drop(opened.left_out.insert(row.key)),
                Err(StoreError::Corrupt) => is_damaged = true,
                Err(error) => return Err(error),
            }
        }
        if page.len() < PAGE {
            return if is_damaged {
                Err(StoreError::Corrupt)
            } else {
                Ok(opened)
            };
        }
    }
}

/// One row.
pub(super) async fn find(session: &mut Session, key: &ResourceKey) -> Result<Option<SealedRow>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM sealed WHERE kind = $1 AND namespace = $2 AND name = $3");
    let select = sqlx::query(AssertSqlSafe(sql))
        .bind(key.kind.as_str())
        .bind(key.namespace.as_str())
        .bind(key.name.as_str());
    session.row(select).await?.as_ref().map(sealed).transpose()
}

fn sealed(row: &Row) -> Result<SealedRow, StoreError> {
    Ok(SealedRow {
        key: ResourceKey {
            kind: row.text(0)?,
            namespace: row.text(1)?,
            name: row.text(2)?,
        },
        revision: Revision(row.number(3)?),
        envelope: Envelope {
            key_id: row.text(4)?,
            wrapped_key: row.bytes(5)?,
            body: row.bytes(6)?,
        },
    })
}

/// What [`Store::rewrap`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Rows that the newest envelope key wraps from now on.
    pub rows: u64,
    /// Rows that do not open under the key that they name, and were left as they are.
    pub unopened: u64,
}

impl Store {
    /// Wraps anew, by the newest envelope key, whatever older ones of the ring still wrap. Afterwards
    /// the older keys are needed no more, unless some rows did not open; each of them is logged by its
    /// name. In short transactions, so that writes get in between; harmless when several replicas
    /// do it at once.
    ///
    /// # Errors
    /// When the database cannot be used. What was done until then stays done.
    pub async fn rewrap(&self) -> Result<Rewrapped, StoreError> {
        let mut done = Rewrapped::default();
        for old in self.keys.ids().skip(1) {
            let mut last = self.rewrap_page(old, None, &mut done).await?;
            while let Some(after) = last {
                last = self.rewrap_page(old, Some(&after), &mut done).await?;
            }
        }
        Ok(done)
    }

    /// The same for the next rows under `old` after a key; the last of them, if there may be more.
    async fn rewrap_page(
        &self,
        old: &str,
        after: Option<&ResourceKey>,
        done: &mut Rewrapped,
    ) -> Result<Option<ResourceKey>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM sealed WHERE key_id = $1 AND (kind, namespace, name) > ($2, $3, $4) \
             ORDER BY kind, namespace, name LIMIT {PAGE}"
        );
        let (kind, namespace, name) =
            after.map_or(("", "", ""), |key| (&*key.kind, &*key.namespace, &*key.name));
        let mut session = self.begin(Mode::Write).await?;
        let store = store_id(&mut session).await?;
        let page = sqlx::query(AssertSqlSafe(sql))
            .bind(old)
            .bind(kind)
            .bind(namespace)
            .bind(name);
        let page: Result<Vec<_>, _> = session.rows(page).await?.iter().map(sealed).collect();
        let page = page?;
        let mut here = Rewrapped::default();
        for row in &page {
            match row.rewrap(&self.keys, &store) {
                Ok(wrapped) => here.rows += replace_wrapping(&mut session, row, wrapped).await?,
                Err(StoreError::Corrupt) => here.unopened += 1,
                Err(other) => return Err(other),
            }
        }
        session.commit().await?;
        done.rows += here.rows;
        done.unopened += here.unopened;
        let is_full = page.len() == PAGE;
        Ok(page
            .into_iter()
            .next_back()
            .map(|row| row.key)
            .filter(|_| is_full))
    }
}

/// Whether it was still there: one that was replaced meanwhile has another revision or key, and is
/// left alone.
async fn replace_wrapping(
    session: &mut Session,
    row: &SealedRow,
    (key_id, wrapped_key): (String, Vec<u8>),
) -> Result<u64, StoreError> {
    let update = sqlx::query(
        "UPDATE sealed SET key_id = $1, wrapped_key = $2 \
         WHERE kind = $3 AND namespace = $4 AND name = $5 AND revision = $6 AND key_id = $7",
    );
    let update = update
        .bind(key_id)
        .bind(wrapped_key)
        .bind(row.key.kind.as_str())
        .bind(row.key.namespace.as_str())
        .bind(row.key.name.as_str())
        .bind(stored(row.revision.0))
        .bind(row.envelope.key_id.as_str());
    session.execute(update).await
}
