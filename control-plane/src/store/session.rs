//! One transaction on one connection: every statement has a deadline, and a connection on which
//! anything went wrong is not used again.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Executor, Row as _};

use super::StoreError;
use super::error::LOCK_TIMEOUT;
use super::reservation::{BEGIN_BEHIND, BEGIN_RESERVED};
use super::target::Dialect;
use super::turns::Turn;

/// Longest wait for the answer to one statement of Postgres. Above the server's own limits, so that it
/// only counts when the server does not answer at all.
const SERVER_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for SQLite, which is no server that could be away: a slow disk ends what it began, and whoever
/// gives up earlier does not know whether a commit took place.
const DISK_TIMEOUT: Duration = Duration::from_secs(10);

/// What a transaction on Postgres begins with that writes.
const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// A statement of either dialect with its values.
pub(super) type Statement<'q> = Query<'q, Any, AnyArguments>;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Sees one state of the database from its first statement to its last.
    Read,
    /// Sees what others committed before each statement. SQLite takes its only write lock at once:
    /// taking it later can fail without a wait.
    Write,
    /// [`Mode::Write`] behind those who have reserved the next revision.
    Commit,
    /// [`Mode::Write`] with the next revision reserved.
    Reserved,
}

/// An open transaction. Dropped without [`Session::commit`] or [`Session::rollback`] it counts for
/// nothing, whatever the state of the connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: PoolConnection<Any>,
    dialect: Dialect,
    finished: bool,
    /// Whether what its mode waits for came in time.
    in_line: bool,
    /// Given back after the connection.
    _turn: Option<Turn>,
}

impl Session {
    pub(super) async fn begin(
        pool: &AnyPool,
        dialect: Dialect,
        mode: Mode,
        turn: Option<Turn>,
    ) -> Result<Self, StoreError> {
        let connection = pool.acquire().await?;
        let mut session = Self {
            connection,
            dialect,
            finished: false,
            in_line: true,
            _turn: turn,
        };
        match (dialect, mode) {
            (Dialect::Postgres, Mode::Read) => {
                session
                    .run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?;
            }
            (Dialect::Postgres, Mode::Write) => session.run(BEGIN_WRITE).await?,
            (Dialect::Postgres, Mode::Commit) => session.begin_in_line(BEGIN_BEHIND).await?,
            (Dialect::Postgres, Mode::Reserved) => session.begin_in_line(BEGIN_RESERVED).await?,
            (Dialect::Sqlite, Mode::Read) => session.run("BEGIN").await?,
            (Dialect::Sqlite, Mode::Write | Mode::Commit | Mode::Reserved) => {
                session.run("BEGIN IMMEDIATE").await?;
            }
        }
        Ok(session)
    }

    /// Begins with a wait for a lock; without it where that takes too long.
    async fn begin_in_line(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let connection: &mut AnyConnection = &mut self.connection;
        let begun = async {
            match connection.execute(sql).await {
                Ok(_) => Ok(true),
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_TIMEOUT) => {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        };
        self.in_line = within(self.dialect, begun).await?;
        if !self.in_line {
            tracing::warn!("others have the next revision reserved for long: not waited for any more");
            self.run("ROLLBACK").await?;
            self.run(BEGIN_WRITE).await?;
        }
        Ok(())
    }

    /// Whether the transaction has waited to the end for what its mode waits for.
    pub(super) fn is_in_line(&self) -> bool {
        self.in_line
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs a statement; the number of rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, StoreError> {
        let result = within(self.dialect, statement.execute(&mut *self.connection)).await?;
        Ok(result.rows_affected())
    }

    pub(super) async fn rows(&mut self, statement: Statement<'_>) -> Result<Vec<Row>, StoreError> {
        let rows = within(self.dialect, statement.fetch_all(&mut *self.connection)).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<Row>, StoreError> {
        let row = within(self.dialect, statement.fetch_optional(&mut *self.connection)).await?;
        Ok(row.map(Row))
    }

    /// An error here does not say whether the transaction took place.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await?;
        self.finished = true;
        Ok(())
    }

    /// Ends the transaction without effect; also the cheapest end for one that only read.
    pub(super) async fn rollback(mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK").await?;
        self.finished = true;
        Ok(())
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let connection: &mut AnyConnection = &mut self.connection;
        within(self.dialect, connection.execute(sql)).await.map(|_| ())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Returning it to the pool would wait for a server that may never answer, and keep its
        // place in the pool meanwhile. SQLite has no such wait: its pool rolls back on return.
        if !self.finished && self.dialect == Dialect::Postgres {
            self.connection.close_on_drop();
        }
    }
}

/// The answer, unless the server or the disk takes too long for it.
pub(super) async fn within<T>(
    dialect: Dialect,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let most = match dialect {
        Dialect::Postgres => SERVER_TIMEOUT,
        Dialect::Sqlite => DISK_TIMEOUT,
    };
    match tokio::time::timeout(most, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            tracing::warn!("store call failed: no answer in {most:?}");
            Err(StoreError::Timeout)
        }
    }
}

/// One row, read by position.
pub(super) struct Row(AnyRow);

impl Row {
    pub(super) fn text(&self, column: usize) -> Result<String, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    pub(super) fn bytes(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        Ok(self.0.try_get(column)?)
    }

    /// A number that is never negative in a sound database.
    pub(super) fn number(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.0.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt)
    }
}

/// A number as both databases store it. Nothing here reaches 2^63.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
