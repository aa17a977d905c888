//! A write: one transaction, one revision, all or nothing.

use std::collections::BTreeMap;

use sluice_model::{CommitId, Revision, Secret};
use thiserror::Error;

use super::apply::{Refusal, apply};
use super::connection::Seen;
use super::id::{Point, UnixMillis, WriteId};
use super::resource::ResourceKey;
use super::session::Mode;
use super::{Store, StoreError};

/// What to write, decided on the state at `expected`.
#[derive(Clone, Debug)]
pub struct Write {
    /// The head that the decision was made on. Anything else there now is a conflict.
    pub expected: Point,
    /// At most one change per resource.
    pub changes: BTreeMap<ResourceKey, Change>,
    /// Who asked, as authenticated.
    pub author: String,
    /// Why, in the author's words; may be empty.
    pub message: String,
    /// When it was asked.
    pub at: UnixMillis,
    /// The client's key for "the same write again"; unique for ever.
    pub idempotency_key: Option<String>,
    /// The revision whose content this write brings back.
    pub rollback_of: Option<Revision>,
    /// The answer to the client as JSON, repeated when the write is.
    pub result: String,
}

/// What happens to one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Created or replaced.
    Upsert {
        /// The manifest as JSON.
        manifest: String,
        /// The age to restore (a rollback); else kept on update, and new on creation.
        creation_revision: Option<Revision>,
        /// What of it is secret and therefore not in the manifest.
        secret: Option<Secret<Vec<u8>>>,
    },
    /// Removed. It must exist.
    Delete,
}

impl Change {
    /// What is to be kept sealed.
    pub(super) fn secret(&self) -> Option<&Secret<Vec<u8>>> {
        match self {
            Self::Upsert { secret, .. } => secret.as_ref(),
            Self::Delete => None,
        }
    }
}

/// What a write became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number.
    pub revision: Revision,
    /// Which one it is, should it be lost and its number be given again.
    pub id: CommitId,
}

/// Why a write did not become a revision.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Another write came first. Decide again on the new head.
    #[error("the head has moved to revision {}", head.revision)]
    Conflict {
        /// The head now.
        head: Point,
    },
    /// A write with this idempotency key is already there.
    #[error("already written as revision {revision}")]
    Duplicate {
        /// The revision it became.
        revision: Revision,
        /// The answer it was given.
        result: String,
    },
    /// Deleted, but not there at the expected head: a fault of the caller.
    #[error("{0} does not exist")]
    Absent(ResourceKey),
    /// The database vanished while it committed and cannot be asked: the write may be there or not.
    /// The same write with its idempotency key will tell.
    #[error("the outcome of the write is unknown")]
    Unknown,
    /// Nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Writes everything in one transaction, as the revision `expected + 1`.
    /// On Postgres the notification of every replica is part of that transaction.
    pub async fn commit(&self, write: &Write) -> Result<Commit, CommitError> {
        self.commit_as(Mode::Commit, write).await
    }

    pub(super) async fn commit_as(&self, mode: Mode, write: &Write) -> Result<Commit, CommitError> {
        let id = WriteId::random();
        let mut session = self.begin(mode).await?;
        let revision = match apply(&mut session, write, &id, &self.keys).await {
            Ok(revision) => revision,
            Err(Refusal::Moved) => {
                session.rollback().await?;
                return Err(CommitError::Conflict {
                    head: self.head().await?,
                });
            }
            Err(Refusal::Commit(refusal)) => {
                session.rollback().await?;
                return Err(refusal);
            }
            Err(Refusal::Store(error)) => return Err(error.into()),
        };
        if let Err(error) = session.commit().await {
            self.resolve(&id, error).await?;
        }
        let position = Point {
            history: write.expected.history,
            revision,
        };
        let commit = Commit {
            revision,
            id: id.commit(),
        };
        self.committed(&Seen { position, write: id });
        Ok(commit)
    }

    /// After a failed COMMIT: is the write there? The lock on the counter is taken first, which
    /// waits until the old transaction has ended one way or the other, so that the answer is final.
    async fn resolve(&self, id: &WriteId, error: StoreError) -> Result<(), CommitError> {
        tracing::warn!("outcome of a write is not known, asking the database");
        match self.find_write(id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CommitError::Store(error)),
            Err(_) => Err(CommitError::Unknown),
        }
    }

    async fn find_write(&self, id: &WriteId) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        session
            .execute(sqlx::query("UPDATE meta SET revision = revision WHERE id = 1"))
            .await?;
        let find = sqlx::query("SELECT revision FROM revisions WHERE write_id = $1").bind(id.as_str());
        let found = session.row(find).await?.is_some();
        session.rollback().await?;
        Ok(found)
    }
}
