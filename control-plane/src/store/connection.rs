//! Which database is in use, and whether it still holds what was seen in it.
//!
//! # Lost commits
//! After a restore or a failover a database may lack commits that were seen, or hold others in
//! their place. Numbers alone cannot show it: so each check looks whether the newest write seen
//! (by its random id) is still where it was. If not, the history is renewed: numbers of the old one
//! mean nothing any more, and everyone starts over from the head.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_model::{CommitId, HistoryId, Revision};
use sqlx::AnyPool;
use sqlx::postgres::{PgConnectOptions, PgListener};
use tokio::sync::{broadcast, watch};
use uuid::Uuid;

use super::StoreError;
use super::id::{self, NO_REVISION, Point, WriteId};
use super::leader;
use super::origin::{self, MarkFile, Memory};
use super::revision::commit_of;
use super::schema;
use super::session::{Mode, Session, stored};
use super::target::{self, ACQUIRE_TIMEOUT, Dialect, Target};
use super::turns::Turns;
use super::watch::{CHANNEL, FLEET_CHANNEL, HeadWatch};

/// Proxies to be forgotten that may wait to be heard of; it is a person who asks.
const FORGOTTEN: usize = 256;

/// The database in use.
#[derive(Debug)]
pub(super) struct Connection {
    targets: Vec<Target>,
    current: Mutex<Connected>,
    /// Where an SQLite database says what its newest write is.
    mark: Option<MarkFile>,
    newest: Mutex<Option<Seen>>,
    moved: watch::Sender<u64>,
    fleet: watch::Sender<u64>,
    forgotten: broadcast::Sender<String>,
    replica: String,
    reconnects: AtomicU64,
}

#[derive(Clone, Debug)]
struct Connected {
    target: Target,
    pool: AnyPool,
    /// Who writes next.
    turns: Turns,
}

/// The newest write known to be committed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) position: Point,
    pub(super) write: WriteId,
}

impl Connection {
    pub(super) async fn open(urls: &[String]) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let targets = target::parse(urls)?;
        let current = Mutex::new(first_answering(&targets).await?);
        let mark = targets.first().and_then(MarkFile::of);
        let connection = Self {
            targets,
            current,
            mark,
            newest: Mutex::new(None),
            moved: watch::Sender::new(0),
            fleet: watch::Sender::new(0),
            forgotten: broadcast::Sender::new(FORGOTTEN),
            replica: Uuid::new_v4().to_string(),
            reconnects: AtomicU64::new(0),
        };
        connection.check_origin(Memory::None).await?;
        connection.head().await?;
        Ok(connection)
    }

    /// Looks whether the database is the one that was used last, and marks it.
    async fn check_origin(&self, memory: Memory) -> Result<(), StoreError> {
        let mut session = self.begin(Mode::Read).await?;
        let fits = origin::fits(&mut session, self.mark.as_ref()).await?;
        session.rollback().await?;
        if fits {
            return Ok(());
        }
        let mut session = self.begin(Mode::Write).await?;
        origin::check(&mut session, self.mark.as_ref(), memory).await?;
        session.commit().await
    }

    /// To be called when there is a new connection: it may lead to a database that was promoted or
    /// restored. What was seen of it before is the better evidence, so that is looked for first.
    pub(super) async fn reconnected(&self) -> Result<(), StoreError> {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
        self.head().await?;
        self.check_origin(Memory::Whole).await
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Whether the database has got as far as `known`, and was there as `commit`, if that is known.
    pub(super) async fn has(&self, known: Point, commit: CommitId) -> Result<bool, StoreError> {
        let (mut session, head) = self.read().await?;
        let there = commit_of(&mut session, known.revision).await?;
        session.rollback().await?;
        let is_told = head.position.history == known.history;
        Ok(!(is_told && is_lost((known.revision, commit), head.position.revision, there)))
    }

    /// Renews the history of `known` if the database does not have what somebody has seen in it.
    pub(super) async fn lacks(&self, known: Point, commit: CommitId) -> Result<bool, StoreError> {
        let mut session = self.begin(Mode::Write).await?;
        // It takes the lock that writes take: nobody commits until this is decided.
        let locked = sqlx::query("UPDATE meta SET revision = revision WHERE id = 1 AND history = $1");
        let is_told = session.execute(locked.bind(known.history.to_string())).await? == 1;
        let (head, _) = inspect(&mut session, None).await?;
        let there = commit_of(&mut session, known.revision).await?;
        let lacks = is_told && is_lost((known.revision, commit), head.position.revision, there);
        if !lacks {
            session.rollback().await?;
            return Ok(false);
        }
        let fresh = id::random_history();
        let update = sqlx::query("UPDATE meta SET history = $1 WHERE id = 1").bind(fresh.to_string());
        session.execute(update).await?;
        session.commit().await?;
        let (lost, revision) = (known.history, known.revision);
        tracing::error!(%lost, %revision, %fresh, "the database has lost commits; its history is renewed");
        self.signal();
        Ok(true)
    }

    /// Closes the pool; a server that no longer answers is not waited for.
    pub(super) async fn close(&self) {
        let pool = self.current().pool;
        if tokio::time::timeout(ACQUIRE_TIMEOUT, pool.close()).await.is_err() {
            tracing::warn!("connections to the database were not closed in time");
        }
    }

    pub(super) async fn begin(&self, mode: Mode) -> Result<Session, StoreError> {
        let Connected { target, pool, turns } = self.current();
        let turn = match mode {
            Mode::Read => None,
            Mode::Write | Mode::Commit | Mode::Reserved => turns.next().await?,
        };
        Session::begin(&pool, target.dialect(), mode, turn).await
    }

    /// A transaction to read in, and the head that it sees.
    pub(super) async fn read(&self) -> Result<(Session, Seen), StoreError> {
        // Taken before the transaction begins: its head can only be newer.
        let newest = lock(&self.newest).clone();
        let mut session = self.begin(Mode::Read).await?;
        let (head, lost) = inspect(&mut session, newest.as_ref()).await?;
        if !lost {
            self.note(&head);
            return Ok((session, head));
        }
        session.rollback().await?;
        self.renew_history(head.position.history).await?;
        let mut session = self.begin(Mode::Read).await?;
        let (head, _) = inspect(&mut session, None).await?;
        self.note(&head);
        Ok((session, head))
    }

    pub(super) async fn head(&self) -> Result<Point, StoreError> {
        let (session, head) = self.read().await?;
        session.rollback().await?;
        Ok(head.position)
    }

    /// Remembers the newest write seen. Revisions only go up within a history.
    pub(super) fn note(&self, seen: &Seen) {
        let mut newest = lock(&self.newest);
        let older = |known: &Seen| {
            known.position.history != seen.position.history
                || known.position.revision < seen.position.revision
        };
        if newest.as_ref().is_none_or(older) {
            let seen = newest.insert(seen.clone());
            if let Some(mark) = &self.mark {
                mark.write(seen);
            }
        }
    }

    /// Tells all watches that the head may have moved.
    pub(super) fn signal(&self) {
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> HeadWatch {
        HeadWatch::new(self.moved.subscribe())
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.current().target.dialect()
    }

    /// How the leader connects; `None` where nobody else could lead.
    pub(super) fn leader_options(&self) -> Option<PgConnectOptions> {
        match &self.current().target {
            Target::Postgres { listen, .. } => Some(leader::with_silence(listen)),
            Target::File { .. } | Target::Memory { .. } => None,
        }
    }

    pub(super) fn replica(&self) -> &str {
        &self.replica
    }

    pub(super) fn signal_fleet(&self) {
        self.fleet.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watch_fleet(&self) -> HeadWatch {
        HeadWatch::new(self.fleet.subscribe())
    }

    pub(super) fn signal_forgotten(&self, proxy: &str) {
        // Without a fleet nobody listens.
        let _ = self.forgotten.send(proxy.to_owned());
    }

    pub(super) fn watch_forgotten(&self) -> broadcast::Receiver<String> {
        self.forgotten.subscribe()
    }

    /// A connection that hears of commits elsewhere; `None` where there is nobody else.
    pub(super) async fn listen(&self) -> Result<Option<PgListener>, StoreError> {
        self.current().target.listen([CHANNEL, FLEET_CHANNEL]).await
    }

    /// Moves to the first database of the list that answers. Without a list there is nothing to
    /// do: the pool reconnects by itself.
    pub(super) async fn fail_over(&self) -> Result<(), StoreError> {
        if self.targets.len() == 1 {
            return Ok(());
        }
        let next = first_answering(&self.targets).await?;
        // Dropped, not closed: it may hold connections to a server that never answers again.
        drop(std::mem::replace(&mut *lock(&self.current), next));
        Ok(())
    }

    fn current(&self) -> Connected {
        lock(&self.current).clone()
    }

    /// Gives up `lost` for a fresh history, unless another process has done so already.
    async fn renew_history(&self, lost: HistoryId) -> Result<(), StoreError> {
        let fresh = id::random_history();
        tracing::error!(%lost, %fresh, "the database has lost commits; its history is renewed");
        let update = sqlx::query("UPDATE meta SET history = $1 WHERE id = 1 AND history = $2")
            .bind(fresh.to_string())
            .bind(lost.to_string());
        let mut session = self.begin(Mode::Write).await?;
        session.execute(update).await?;
        session.commit().await
    }
}

/// Whether a commit that was seen is lost, where the newest revision is `head` and the commit `there` has the
/// number.
fn is_lost((revision, commit): (Revision, CommitId), head: Revision, there: CommitId) -> bool {
    let is_another = commit != there && ![commit, there].contains(&CommitId::UNKNOWN);
    revision > head || is_another
}

/// The head, and whether `newest` is missing below it.
async fn inspect(session: &mut Session, newest: Option<&Seen>) -> Result<(Seen, bool), StoreError> {
    let select = sqlx::query(
        "SELECT m.history, m.revision, COALESCE(h.write_id, ''), COALESCE(k.write_id, '') FROM meta m \
         LEFT JOIN revisions h ON h.revision = m.revision \
         LEFT JOIN revisions k ON k.revision = $1 WHERE m.id = 1",
    );
    let known = newest.map_or(NO_REVISION, |seen| seen.position.revision);
    let row = session
        .row(select.bind(stored(known.0)))
        .await?
        .ok_or(StoreError::Corrupt)?;
    let history = id::parse_history(&row.text(0)?).ok_or(StoreError::Corrupt)?;
    let position = Point {
        history,
        revision: Revision(row.number(1)?),
    };
    let head = Seen {
        position,
        write: WriteId::stored(row.text(2)?),
    };
    let at_known = WriteId::stored(row.text(3)?);
    let lost = newest.is_some_and(|seen| {
        seen.position.history == history && (position.revision < known || seen.write != at_known)
    });
    Ok((head, lost))
}

/// Only a database that does not answer is passed over: one that answers with damage or a foreign
/// schema needs a person, not another database.
async fn first_answering(targets: &[Target]) -> Result<Connected, StoreError> {
    let mut last = StoreError::InvalidUrl;
    for target in targets {
        let pool = target.pool().await?;
        match schema::prepare(&pool, target).await {
            Ok(()) => {
                return Ok(Connected {
                    target: target.clone(),
                    pool,
                    turns: Turns::of(target.dialect()),
                });
            }
            Err(error) if error.is_transient() => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section is a plain assignment: a panic cannot leave it half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
