//! Resources at a revision, and what changed since one.
//!
//! A resource is a chain of rows, each valid in the half-open range `[from_revision, to_revision)`;
//! the last one is open. So the state at any revision is one range condition.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sluice_model::{CommitId, Revision, Secret};

use super::connection::Seen;
use super::id::{NO_REVISION, Point};
use super::pages::{Pages, Readers, all_pages};
use super::revision::commit_of;
use super::sealed::{self, Opened};
use super::session::{Row, Session, stored};
use super::{Store, StoreError};

/// More changed resources than this are not listed one by one: the caller loads the state anew.
const CATCH_UP: usize = 10_000;

/// `to_revision` of the row that holds now, as a literal: only so do the partial indexes apply.
macro_rules! open {
    () => {
        "9223372036854775807"
    };
}
pub(super) use open;

/// Names one resource for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceKey {
    /// `HTTPRoute`, `Backend`, ...
    pub kind: String,
    /// `default` where the user wrote none.
    pub namespace: String,
    /// Unique within kind and namespace.
    pub name: String,
}

impl fmt::Display for ResourceKey {
    /// `Kind/namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// A resource as it stood at some revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResource {
    /// Which resource.
    pub key: ResourceKey,
    /// The write that first created it. It decides which of two routes is older.
    pub creation_revision: Revision,
    /// The write that gave it this content.
    pub revision: Revision,
    /// The manifest as JSON, exactly as written.
    pub manifest: String,
    /// What of it is secret; of the past there is none.
    pub secret: Option<Secret<Vec<u8>>>,
}

/// Everything at one revision, in the order of the keys: as it is stored, or as what was read of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<T = StoredResource> {
    /// What the resources belong to.
    pub at: Point,
    /// Which commit the revision of `at` is.
    pub commit: CommitId,
    /// Ordered by key.
    pub resources: Vec<T>,
}

/// The way from an older point to the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// Fold this in.
    Changes(Changes),
    /// Another history, a revision ahead of the head, or too much to list: load everything.
    Reload,
}

/// The net difference between two points of one history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The head that the changes lead to.
    pub at: Point,
    /// Which commit its revision is.
    pub commit: CommitId,
    /// Resources that are new or different at the head.
    pub upserts: Vec<StoredResource>,
    /// Resources that existed and are gone.
    pub removals: Vec<ResourceKey>,
}

impl Store {
    /// Everything at the head, read in one consistent transaction.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        self.load_as(Ok).await
    }

    /// The same, as what `read` makes of each resource. Pages are read on threads of their own while those after them
    /// are fetched, so that a large table takes as long as the slower of the two, or less.
    ///
    /// # Errors
    /// When the store does not answer or is damaged, and the first error of `read`.
    pub async fn load_as<T: Send + 'static>(
        &self,
        read: fn(StoredResource) -> Result<T, StoreError>,
    ) -> Result<Loaded<T>, StoreError> {
        let (mut session, head) = self.connection.read().await?;
        let (at, commit) = (head.position, head.write.commit());
        let mut opened = sealed::of_resources(&mut session, &self.keys, NO_REVISION).await?;
        opened.tell_left_out();
        let filter = concat!("to_revision = ", open!(), " AND from_revision <= $4");
        let mut pages = Pages::new(filter, at.revision);
        let (mut readers, mut is_damaged) = (Readers::default(), false);
        while let Some(mut page) = pages.next(&mut session).await? {
            is_damaged |= !self.fill_in(&mut opened, &mut page);
            readers.begin(page, read).await?;
        }
        session.rollback().await?;
        if is_damaged {
            return Err(StoreError::Corrupt);
        }
        let resources = readers.finish().await?;
        Ok(Loaded {
            at,
            commit,
            resources,
        })
    }

    /// Everything as it was at `revision`, without secrets; `None` when the head has not reached it.
    pub async fn load_at(&self, revision: Revision) -> Result<Option<Loaded>, StoreError> {
        let (mut session, head) = self.read().await?;
        if revision > head.revision {
            session.rollback().await?;
            return Ok(None);
        }
        let filter = "from_revision <= $4 AND to_revision > $4";
        let resources = all_pages(&mut session, filter, revision).await?;
        let commit = commit_of(&mut session, revision).await?;
        session.rollback().await?;
        let at = Point {
            history: head.history,
            revision,
        };
        Ok(Some(Loaded {
            at,
            commit,
            resources,
        }))
    }

    /// What a replica that holds `base` has missed, consistent with the head it returns.
    pub async fn changes_since(&self, base: Point) -> Result<CatchUp, StoreError> {
        let (mut session, head) = self.connection.read().await?;
        let at = head.position;
        let caught_up = if base.history != at.history || base.revision > at.revision {
            CatchUp::Reload
        } else if base == at {
            CatchUp::Changes(Changes {
                at,
                commit: head.write.commit(),
                upserts: Vec::new(),
                removals: Vec::new(),
            })
        } else {
            let mut caught_up = changes(&mut session, base.revision, &head).await?;
            if let CatchUp::Changes(changes) = &mut caught_up {
                self.open_secrets(&mut session, base.revision, &mut changes.upserts)
                    .await?;
            }
            caught_up
        };
        session.rollback().await?;
        Ok(caught_up)
    }
}

impl Store {
    /// The way back from `from` to the older `revision`: what was different then, without secrets,
    /// and what was not there. `None` when `from` is not in the store, or too much would have to be
    /// listed.
    pub async fn undo(&self, from: Point, revision: Revision) -> Result<Option<Changes>, StoreError> {
        let (mut session, head) = self.read().await?;
        let is_stored = from.history == head.history && from.revision <= head.revision;
        let undone = match is_stored && revision <= from.revision {
            true => undo(&mut session, from, revision).await?,
            false => None,
        };
        session.rollback().await?;
        Ok(undone)
    }

    /// Gives those of `resources`, which are newer than `base`, their secret parts. What does not open and is to be
    /// left out goes from among them.
    async fn open_secrets(
        &self,
        session: &mut Session,
        base: Revision,
        resources: &mut Vec<StoredResource>,
    ) -> Result<(), StoreError> {
        let mut opened = sealed::of_resources(session, &self.keys, base).await?;
        opened.tell_left_out();
        match self.fill_in(&mut opened, resources) {
            true => Ok(()),
            false => Err(StoreError::Corrupt),
        }
    }

    /// Moves secret parts to the `resources` that they are of, which go if theirs is left out. Whether none is of
    /// another revision than its resource; all that are are named in the log.
    fn fill_in(&self, opened: &mut Opened, resources: &mut Vec<StoredResource>) -> bool {
        let mut is_damaged = false;
        resources.retain_mut(|resource| match opened.secrets.remove(&resource.key) {
            Some((revision, secret)) if revision == resource.revision => {
                resource.secret = Some(secret);
                true
            }
            // Its row was exchanged for an older one of its own.
            Some(_) => {
                let is_left_out = self.keys.leaves_out(&resource.key);
                is_damaged |= !is_left_out;
                tracing::error!(resource = %resource.key, is_left_out, "its sealed part is of another revision");
                !is_left_out
            }
            None => !opened.left_out.contains(&resource.key),
        });
        !is_damaged
    }
}

pub(super) const COLUMNS: &str =
    "r.kind, r.namespace, r.name, r.creation_revision, r.from_revision, r.manifest";

async fn changes(session: &mut Session, base: Revision, head: &Seen) -> Result<CatchUp, StoreError> {
    let upserts = format!(
        "SELECT {COLUMNS} FROM resources r WHERE r.from_revision > $1 AND r.to_revision = {} LIMIT {}",
        open!(),
        CATCH_UP + 1
    );
    // Alive at the base, closed since, and not opened again.
    let removals = format!(
        "SELECT {COLUMNS} FROM resources r WHERE r.to_revision > $1 AND r.to_revision < {open} \
         AND r.from_revision <= $1 AND NOT EXISTS (SELECT 1 FROM resources o WHERE o.kind = r.kind \
         AND o.namespace = r.namespace AND o.name = r.name AND o.to_revision = {open}) LIMIT {limit}",
        open = open!(),
        limit = CATCH_UP + 1
    );
    let upserts = changed(session, &upserts, base).await?;
    let removals = changed(session, &removals, base).await?;
    if upserts.len() + removals.len() > CATCH_UP {
        return Ok(CatchUp::Reload);
    }
    let removals = removals.into_iter().map(|resource| resource.key).collect();
    Ok(CatchUp::Changes(Changes {
        at: head.position,
        commit: head.write.commit(),
        upserts,
        removals,
    }))
}

async fn undo(session: &mut Session, from: Point, revision: Revision) -> Result<Option<Changes>, StoreError> {
    let limit = CATCH_UP + 1;
    let then = format!(
        "SELECT {COLUMNS} FROM resources r WHERE r.to_revision > $1 AND r.to_revision <= $2 \
         AND r.from_revision <= $1 LIMIT {limit}"
    );
    let since = format!(
        "SELECT {COLUMNS} FROM resources r WHERE r.from_revision > $1 AND r.from_revision <= $2 \
         AND r.to_revision > $2 LIMIT {limit}"
    );
    let mut between = async |sql: String| {
        let select = sqlx::query(sqlx::AssertSqlSafe(sql));
        let select = select.bind(stored(revision.0)).bind(stored(from.revision.0));
        let rows = session.rows(select).await?;
        rows.iter().map(resource).collect::<Result<Vec<_>, _>>()
    };
    let (upserts, since) = (between(then).await?, between(since).await?);
    if upserts.len().max(since.len()) > CATCH_UP {
        return Ok(None);
    }
    let were_there: HashSet<&ResourceKey> = upserts.iter().map(|resource| &resource.key).collect();
    let keys = since.into_iter().map(|resource| resource.key);
    let removals = keys.filter(|key| !were_there.contains(key)).collect();
    let at = Point {
        history: from.history,
        revision,
    };
    let commit = commit_of(session, revision).await?;
    Ok(Some(Changes {
        at,
        commit,
        upserts,
        removals,
    }))
}

async fn changed(
    session: &mut Session,
    sql: &str,
    base: Revision,
) -> Result<Vec<StoredResource>, StoreError> {
    let rows = session
        .rows(sqlx::query(sqlx::AssertSqlSafe(sql)).bind(stored(base.0)))
        .await?;
    rows.iter().map(resource).collect()
}

pub(super) fn resource(row: &Row) -> Result<StoredResource, StoreError> {
    Ok(StoredResource {
        key: ResourceKey {
            kind: row.text(0)?,
            namespace: row.text(1)?,
            name: row.text(2)?,
        },
        creation_revision: Revision(row.number(3)?),
        revision: Revision(row.number(4)?),
        manifest: row.text(5)?,
        secret: None,
    })
}
