//! Which database is in use, and whether it still holds what was seen in it.
//!
//! # Lost commits
//! After a restore or a failover a database may lack commits that were seen, or hold others in
//! their place. Numbers alone cannot show it: so each check looks whether the newest write seen
//! (by its random id) is still where it was. If not, the history is renewed: numbers of the old one
//! mean nothing any more, and everyone starts over from the head.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sluice_model::{HistoryId, Revision};
use sqlx::AnyPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::StoreError;
use super::id::{self, NO_REVISION, Point, WriteId};
use super::schema;
use super::session::{Mode, Session, stored};
use super::target::{self, ACQUIRE_TIMEOUT, Target};
use super::turns::Turns;
use super::watch::{CHANNEL, HeadWatch};

/// The database in use.
#[derive(Debug)]
pub(super) struct Connection {
    targets: Vec<Target>,
    current: Mutex<Connected>,
    newest: Mutex<Option<Seen>>,
    moved: watch::Sender<u64>,
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
struct Seen {
    position: Point,
    write: WriteId,
}

impl Connection {
    pub(super) async fn open(urls: &[String]) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let targets = target::parse(urls)?;
        let current = Mutex::new(first_answering(&targets).await?);
        Ok(Self {
            targets,
            current,
            newest: Mutex::new(None),
            moved: watch::Sender::new(0),
        })
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
            Mode::Write => turns.next().await?,
        };
        Session::begin(&pool, target.dialect(), mode, turn).await
    }

    /// A transaction to read in, and the head that it sees.
    pub(super) async fn read(&self) -> Result<(Session, Point), StoreError> {
        // Taken before the transaction begins: its head can only be newer.
        let newest = lock(&self.newest).clone();
        let mut session = self.begin(Mode::Read).await?;
        let (head, lost) = inspect(&mut session, newest.as_ref()).await?;
        if !lost {
            self.note(head.position, head.write);
            return Ok((session, head.position));
        }
        session.rollback().await?;
        self.renew_history(head.position.history).await?;
        let mut session = self.begin(Mode::Read).await?;
        let (head, _) = inspect(&mut session, None).await?;
        self.note(head.position, head.write);
        Ok((session, head.position))
    }

    pub(super) async fn head(&self) -> Result<Point, StoreError> {
        let (session, head) = self.read().await?;
        session.rollback().await?;
        Ok(head)
    }

    /// Remembers the newest write seen. Revisions only go up within a history.
    pub(super) fn note(&self, position: Point, write: WriteId) {
        let mut newest = lock(&self.newest);
        let older = |seen: &Seen| {
            seen.position.history != position.history || seen.position.revision < position.revision
        };
        if newest.as_ref().is_none_or(older) {
            *newest = Some(Seen { position, write });
        }
    }

    /// Tells all watches that the head may have moved.
    pub(super) fn signal(&self) {
        self.moved.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> HeadWatch {
        HeadWatch::new(self.moved.subscribe())
    }

    /// A connection that hears of commits elsewhere; `None` where there is nobody else.
    pub(super) async fn listen(&self) -> Result<Option<PgListener>, StoreError> {
        self.current().target.listen(CHANNEL).await
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
