//! The schema: migrations embedded in the binary, forward only, run at start-up.

use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{AnyConnection, AnyPool, Connection, Executor};

use super::StoreError;
use super::id;
use super::target::{Dialect, SQLITE_SETTINGS, Target};

static POSTGRES: Migrator = sqlx::migrate!("../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Longest wait for the schema, waiting for another process that migrates included.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(60);

const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Brings the database behind `pool` up to date and gives it a history if it has none.
/// Safe when many processes start together: one of them holds a lock (on Postgres an advisory one).
pub(super) async fn prepare(pool: &AnyPool, target: &Target) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    let migrated = tokio::time::timeout(MIGRATION_TIMEOUT, migrate(&mut connection, target));
    let outcome = migrated.await.unwrap_or(Err(StoreError::Timeout));
    if outcome.is_err() {
        connection.close_on_drop();
    }
    outcome
}

async fn migrate(connection: &mut AnyConnection, target: &Target) -> Result<(), StoreError> {
    match target.dialect() {
        Dialect::Postgres => {
            // Waiting for the lock, or building an index, may take longer than a request may.
            connection
                .execute("SET statement_timeout = 0; SET lock_timeout = 0")
                .await?;
            POSTGRES.run_direct(None, connection, false).await?;
            begin_history(connection).await?;
            connection
                .execute("RESET statement_timeout; RESET lock_timeout")
                .await?;
        }
        Dialect::Sqlite => {
            connection.execute("PRAGMA busy_timeout = 60000").await?;
            use_write_ahead_log(connection).await?;
            // The migrator has no lock of its own for SQLite; the write lock serves.
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            SQLITE.run_direct(None, &mut *transaction, false).await?;
            begin_history(&mut transaction).await?;
            transaction.commit().await?;
            connection.execute(SQLITE_SETTINGS).await?;
        }
    }
    Ok(())
}

/// Persistent once set; without effect on a database in memory. SQLite does not wait when another
/// connection is setting it too, so this tries again; [`MIGRATION_TIMEOUT`] is the bound.
async fn use_write_ahead_log(connection: &mut AnyConnection) -> Result<(), StoreError> {
    loop {
        match connection
            .execute("PRAGMA journal_mode = WAL")
            .await
            .map_err(StoreError::from)
        {
            Err(StoreError::Timeout) => tokio::time::sleep(BUSY_PAUSE).await,
            other => return other.map(|_| ()),
        }
    }
}

/// Without effect where there is one already. The store's own name is of the same form.
async fn begin_history(connection: &mut AnyConnection) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO meta (id, history, revision) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING")
        .bind(id::random_history().to_string())
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE meta SET store = $1 WHERE id = 1 AND store = ''")
        .bind(id::random_history().to_string())
        .execute(connection)
        .await?;
    Ok(())
}
