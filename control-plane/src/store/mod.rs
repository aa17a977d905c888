//! The store: resources, revisions, receipts, tokens, identities, the audit trail and what is sealed, in
//! Postgres or SQLite.
//!
//! One implementation serves both. It keeps to what they share: BIGINT, TEXT and bytes, no NULL, `$1`
//! placeholders, short transactions. Where they differ (how a transaction begins, and who hears of
//! a commit) the code branches on the dialect, in `session`, `schema`, `target` and `apply`.
//!
//! - Every call is one transaction; what it returns was true at one instant.
//! - Every call ends: 2 s for a connection, 3 s for each statement. When the database is down
//!   calls fail with [`StoreError::Unavailable`], and work again once it is back.
//! - Writes are numbered in commit order ([`Store::commit`]).
//! - All revisions are kept, so that any of them can be rebuilt; nothing is pruned.
//! - Except secrets: they are kept apart and sealed ([`Secret`]), only as they are now. No past
//!   revision has them, and what was replaced cannot be opened any more.

mod apply;
mod audit;
mod connection;
mod discovered;
mod envelope;
mod error;
mod good_revision;
mod id;
mod identity;
mod join_token;
mod key_file;
mod leader;
mod origin;
mod pages;
mod proxy_labels;
mod receipt;
mod record;
mod replica;
mod reservation;
mod resource;
mod revision;
mod samples;
mod schema;
mod scope;
mod sealed;
mod session;
mod target;
mod token;
mod turns;
mod watch;
mod write;

use std::sync::Arc;

pub use audit::{AuditAction, AuditEntry, AuditFilter, RecordedAction};
pub use discovered::Discovered;
pub use envelope::KeyRing;
pub use error::StoreError;
pub use good_revision::Fallback;
pub use id::{Point, UnixMillis};
pub use identity::{EnrolError, Identity, JoinRefusal, Joining};
pub use join_token::{JoinToken, JoinTokenUse};
pub use key_file::KeyFileError;
pub(crate) use leader::PULSE;
pub use leader::{Epoch, Leadership};
pub use proxy_labels::ProxyLabels;
pub use receipt::StoredReceipt;
pub use record::{Record, RecordName};
pub use replica::{Extent, PeerRow, Replica};
pub use reservation::Reservation;
pub use resource::{CatchUp, Changes, Loaded, ResourceKey, StoredResource};
pub use revision::{Action, ChangedResource, MAX_PAGE, RevisionRecord};
pub use samples::{SampleRow, StoredSamples};
pub use scope::{Grant, Scope, Verb};
pub use sealed::Rewrapped;
pub use sluice_model::{CommitId, HistoryId, Revision, Secret};
pub use token::{Token, TokenHash};
pub use watch::HeadWatch;
pub use write::{Change, Commit, CommitError, Write};

use connection::{Connection, Seen};
use session::{Mode, Session};
use watch::Watcher;

/// A connected store. Clones share it; the last one to go ends its task.
#[derive(Clone, Debug)]
pub struct Store {
    connection: Arc<Connection>,
    keys: KeyRing,
    watcher: Arc<Watcher>,
}

impl Store {
    /// Connects to the first of `urls` that answers, and brings its schema up to date.
    ///
    /// `postgres://...` may be given several times, in the order of preference: when the one in use
    /// no longer answers, the list is tried again from its start. `sqlite://PATH` (the path as it is,
    /// relative or absolute) makes the file if it is missing; `sqlite::memory:` lives as long as the
    /// store does.
    ///
    /// `keys` seal and open secrets; with an empty ring there can be none.
    pub async fn open(urls: &[String], keys: KeyRing) -> Result<Self, StoreError> {
        let connection = Arc::new(Connection::open(urls).await?);
        let watcher = Arc::new(Watcher::spawn(Arc::clone(&connection)));
        Ok(Self {
            connection,
            keys,
            watcher,
        })
    }

    /// Ends the task and closes all connections. Calls made later fail with [`StoreError::Closed`].
    pub async fn close(&self) {
        self.watcher.stop().await;
        self.connection.close().await;
    }

    /// Whether secrets can be stored: there is an envelope key.
    pub fn can_seal(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The history and the newest revision in it.
    pub async fn head(&self) -> Result<Point, StoreError> {
        self.connection.head().await
    }

    /// Whether the database has the revision of `known`, and has it as `commit` as far as that is known. Where
    /// the history is another one nothing can be said, and it counts as there.
    pub async fn has(&self, known: Point, commit: CommitId) -> Result<bool, StoreError> {
        self.connection.has(known, commit).await
    }

    /// Somebody has seen `known` committed as `commit`. If the database does not have it (any more), its
    /// history is renewed; whether it was.
    pub async fn witness(&self, known: Point, commit: CommitId) -> Result<bool, StoreError> {
        self.connection.lacks(known, commit).await
    }

    /// Tells from now on when the head may have moved, here or through another process.
    /// Subscribe before loading, so that nothing falls between.
    pub fn notifications(&self) -> HeadWatch {
        self.connection.watch()
    }

    /// How often there was a new connection. Behind each may be a database that lacks what was read
    /// before, so what is read by its changes has to be read anew.
    pub fn reconnects(&self) -> u64 {
        self.connection.reconnects()
    }

    async fn begin(&self, mode: Mode) -> Result<Session, StoreError> {
        self.connection.begin(mode).await
    }

    async fn read(&self) -> Result<(Session, Point), StoreError> {
        let (session, head) = self.connection.read().await?;
        Ok((session, head.position))
    }

    fn committed(&self, head: &Seen) {
        self.connection.note(head);
        self.connection.signal();
    }
}
