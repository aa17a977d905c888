//! One closed set of failures, so that every caller can answer clearly.
//!
//! Details stay in the log, written where the failure is mapped: an error that travels to a client
//! must not carry what the database said.

use sqlx::error::ErrorKind;
use thiserror::Error;

/// Of Postgres: a lock was not free in time.
pub(super) const LOCK_TIMEOUT: &str = "55P03";

/// Why the store could not do what was asked. Unless said otherwise, nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No database URL, one of an unknown scheme, or SQLite mixed with others.
    #[error("the database URL cannot be used")]
    InvalidUrl,
    /// The database does not answer, restarts, or is read-only (a standby). Trying again may help.
    #[error("the database is unavailable")]
    Unavailable,
    /// The database answers, but not within the time allowed. Trying again may help.
    #[error("the database took too long")]
    Timeout,
    /// The database has no room left.
    #[error("the database has no space left")]
    Full,
    /// What is stored does not read back: a damaged file or a foreign writer.
    #[error("the database holds damaged data")]
    Corrupt,
    /// The schema could not be brought up to date, or is newer than this build.
    #[error("the database schema does not fit this build")]
    Migration,
    /// The database refused a statement: a missing grant, or a fault of this program.
    #[error("the database refused the request")]
    Rejected,
    /// A secret cannot be stored or read: there is no envelope key.
    #[error(
        "no envelope key: put one in a file (`openssl rand -base64 32 > FILE; chmod 600 FILE`), \
         name it in SLUICE_KEY_FILE and restart the control plane"
    )]
    NoKey,
    /// A secret was sealed under an envelope key that is not in the key file.
    #[error("a secret was sealed under an envelope key that is not in the key file")]
    UnknownKey,
    /// What only the leader may do was asked for by one that leads no more.
    #[error("another replica leads now")]
    Fenced,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same call may succeed later without anyone repairing anything.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Unavailable | Self::Timeout => true,
            Self::InvalidUrl
            | Self::Full
            | Self::Corrupt
            | Self::Migration
            | Self::Rejected
            | Self::NoKey
            | Self::UnknownKey
            | Self::Fenced
            | Self::Closed => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let mapped = classify(&error);
        match mapped.is_transient() {
            true => tracing::warn!(%error, "store call failed: {mapped}"),
            false => tracing::error!(%error, "store call failed: {mapped}"),
        }
        mapped
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => {
                match Self::from(cause) {
                    other if other.is_transient() => other,
                    _ => Self::Migration,
                }
            }
            other => {
                tracing::error!(error = %other, "migration failed");
                Self::Migration
            }
        }
    }
}

fn classify(error: &sqlx::Error) -> StoreError {
    use sqlx::Error;
    match error {
        Error::Configuration(_) => StoreError::InvalidUrl,
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::WorkerCrashed => StoreError::Unavailable,
        // A connection that breaks between two messages surfaces as a protocol error.
        Error::Protocol(_) | Error::BeginFailed => StoreError::Unavailable,
        Error::PoolClosed => StoreError::Closed,
        Error::Decode(_) | Error::ColumnDecode { .. } | Error::ColumnNotFound(_) | Error::RowNotFound => {
            StoreError::Corrupt
        }
        Error::Migrate(_) => StoreError::Migration,
        Error::Database(cause) if cause.kind() != ErrorKind::Other => StoreError::Rejected,
        Error::Database(cause) => cause.code().map_or(StoreError::Rejected, |code| by_code(&code)),
        _ => StoreError::Rejected,
    }
}

/// SQLSTATE has five characters (PostgreSQL, appendix A); SQLite's result code is a number
/// whose low byte is the primary code (<https://sqlite.org/rescode.html>).
fn by_code(code: &str) -> StoreError {
    match (code.len(), code.parse::<u32>()) {
        (5, _) => by_sqlstate(code),
        (_, Ok(number)) => match number & 0xff {
            5 | 6 | 9 => StoreError::Timeout,
            8 | 10 | 14 => StoreError::Unavailable,
            11 | 26 => StoreError::Corrupt,
            13 => StoreError::Full,
            _ => StoreError::Rejected,
        },
        _ => StoreError::Rejected,
    }
}

fn by_sqlstate(code: &str) -> StoreError {
    match code {
        // Statement timeout, idle in transaction.
        "57014" | LOCK_TIMEOUT | "25P03" => StoreError::Timeout,
        // Deadlock and serialisation failure: the database chose us as the victim.
        "40001" | "40P01" => StoreError::Timeout,
        // Read-only transaction: we talk to a standby.
        "25006" => StoreError::Unavailable,
        "53100" => StoreError::Full,
        _ => match &code[..2] {
            "08" | "53" | "57" | "58" => StoreError::Unavailable,
            "XX" => StoreError::Corrupt,
            _ => StoreError::Rejected,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_map_to_the_closed_set() {
        for (code, expected) in [
            ("57P01", StoreError::Unavailable),
            ("57P03", StoreError::Unavailable),
            ("08006", StoreError::Unavailable),
            ("25006", StoreError::Unavailable),
            ("57014", StoreError::Timeout),
            ("55P03", StoreError::Timeout),
            ("53100", StoreError::Full),
            ("XX001", StoreError::Corrupt),
            ("42501", StoreError::Rejected),
            ("5", StoreError::Timeout),
            ("517", StoreError::Timeout),
            ("13", StoreError::Full),
            ("1299", StoreError::Rejected),
            ("2570", StoreError::Unavailable),
            ("11", StoreError::Corrupt),
            ("", StoreError::Rejected),
        ] {
            assert_eq!(by_code(code), expected, "{code}");
        }
    }

    #[test]
    fn a_pool_without_connections_is_unavailable_and_a_closed_one_is_closed() {
        assert_eq!(classify(&sqlx::Error::PoolTimedOut), StoreError::Unavailable);
        assert_eq!(classify(&sqlx::Error::PoolClosed), StoreError::Closed);
        assert!(StoreError::Unavailable.is_transient());
        assert!(!StoreError::Corrupt.is_transient());
    }
}
