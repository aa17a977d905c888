//! Where the database is: parsed URLs and the pool that each one gets.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AnyPool, ConnectOptions, Executor};

use super::StoreError;
use super::session::within;

/// Longest wait for a usable connection, connecting included.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
const POSTGRES_CONNECTIONS: u32 = 8;
const SQLITE_CONNECTIONS: u32 = 4;
/// Idle connections are closed after this long; a failover leaves none behind for ever.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Server-side limits of every Postgres session, in milliseconds. They end what a vanished client
/// left behind, its locks included.
const POSTGRES_SETTINGS: [(&str, &str); 4] = [
    ("statement_timeout", "2500"),
    ("lock_timeout", "2000"),
    ("idle_in_transaction_session_timeout", "5000"),
    ("tcp_user_timeout", "10000"),
];
/// FULL: a committed write is on disk and survives the loss of the process and of power. What is
/// deleted is overwritten.
pub(super) const SQLITE_SETTINGS: &str =
    "PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000; PRAGMA secure_delete = ON;";

const OWNER_ONLY: u32 = 0o600;

/// Which SQL is spoken. Statements are shared; the few that cannot be branch on this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// One database that can be connected to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Postgres {
        any: AnyConnectOptions,
        listen: Box<PgConnectOptions>,
    },
    File {
        any: AnyConnectOptions,
        path: PathBuf,
    },
    Memory {
        any: AnyConnectOptions,
    },
}

/// Parses `--database-url`s in the order of preference: several Postgres URLs, or one of SQLite.
pub(super) fn parse(urls: &[String]) -> Result<Vec<Target>, StoreError> {
    let targets = urls
        .iter()
        .map(|url| Target::parse(url))
        .collect::<Result<Vec<_>, _>>()?;
    match targets.iter().all(|target| target.dialect() == Dialect::Postgres) || targets.len() == 1 {
        true if !targets.is_empty() => Ok(targets),
        _ => Err(StoreError::InvalidUrl),
    }
}

impl Target {
    fn parse(url: &str) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", rest)) => match rest.trim_start_matches("//") {
                ":memory:" => Ok(Self::Memory { any: url.parse()? }),
                path => Self::file(path),
            },
            Some(("postgres" | "postgresql", _)) => Self::postgres(url),
            _ => Err(StoreError::InvalidUrl),
        }
    }

    /// The path is taken as written: no query, no percent-encoding.
    fn file(path: &str) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(|_| StoreError::InvalidUrl)?;
        let any = format!("sqlite://{}?mode=rw", percent_encoded(&path)).parse()?;
        Ok(Self::File { any, path })
    }

    fn postgres(url: &str) -> Result<Self, StoreError> {
        let mut any: AnyConnectOptions = url.parse()?;
        any.database_url
            .query_pairs_mut()
            .append_pair("application_name", "sluice-control");
        let listen = Box::new(PgConnectOptions::from_url(&any.database_url)?);
        for (name, value) in POSTGRES_SETTINGS {
            any.database_url
                .query_pairs_mut()
                .append_pair(&format!("options[{name}]"), value);
        }
        Ok(Self::Postgres { any, listen })
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Postgres { .. } => Dialect::Postgres,
            Self::File { .. } | Self::Memory { .. } => Dialect::Sqlite,
        }
    }

    /// A pool that connects when it is first asked. Creates the file of an SQLite database.
    pub(super) async fn pool(&self) -> Result<AnyPool, StoreError> {
        let options = AnyPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        match self {
            Self::Postgres { any, .. } => Ok(options
                .max_connections(POSTGRES_CONNECTIONS)
                .idle_timeout(IDLE_TIMEOUT)
                .connect_lazy_with(any.clone())),
            Self::File { any, path } => {
                create_private(path).await?;
                let options = options
                    .max_connections(SQLITE_CONNECTIONS)
                    .idle_timeout(IDLE_TIMEOUT);
                Ok(sqlite_hooks(options).connect_lazy_with(any.clone()))
            }
            // The database lives in its one connection, which must therefore never be closed.
            Self::Memory { any } => {
                let options = options.max_connections(1).idle_timeout(None).max_lifetime(None);
                Ok(sqlite_hooks(options).connect_lazy_with(any.clone()))
            }
        }
    }

    /// A connection that hears `channels`; `None` where nobody else can write.
    pub(super) async fn listen(&self, channels: [&str; 2]) -> Result<Option<PgListener>, StoreError> {
        let Self::Postgres { listen, .. } = self else {
            return Ok(None);
        };
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(listen.as_ref().clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        // The caller must know of a lost connection at once: what was missed meanwhile is not resent.
        listener.eager_reconnect(false);
        within(Dialect::Postgres, Box::pin(listener.listen_all(channels))).await?;
        Ok(Some(listener))
    }
}

fn sqlite_hooks(options: AnyPoolOptions) -> AnyPoolOptions {
    options
        // There is no network to test, and a call cancelled during the test drops the connection.
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SQLITE_SETTINGS).await.map(|_| ()) })
        })
        // A cancelled call leaves its transaction open. That there was none is the usual case.
        .after_release(|connection, _| {
            Box::pin(async move {
                let _ = connection.execute("ROLLBACK").await;
                Ok(true)
            })
        })
}

/// The driver percent-decodes, so everything but the plainest characters is encoded.
fn percent_encoded(path: &Path) -> String {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(String::new(), |mut url, &byte| {
            match byte {
                b'/' | b'-' | b'_' | b'.' => url.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
                _ => url.push_str(&format!("%{byte:02X}")),
            }
            url
        })
}

/// Creates the file for its owner only, before SQLite would create it for everyone. SQLite gives
/// its `-wal` and `-shm` files the same mode. A file that exists is not opened: closing it would
/// release the locks that this process holds on it (<https://sqlite.org/howtocorrupt.html>, 2.2).
async fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut create = tokio::fs::OpenOptions::new();
    create.write(true).create_new(true).mode(OWNER_ONLY);
    let outcome = match create.open(path).await {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => make_private(path).await,
        other => other.map(|_| ()),
    };
    outcome.map_err(|error| {
        tracing::error!(path = %path.display(), %error, "database file");
        StoreError::Unavailable
    })
}

async fn make_private(path: &Path) -> std::io::Result<()> {
    let mode = tokio::fs::metadata(path).await?.permissions().mode();
    if mode & 0o077 != 0 {
        tokio::fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteConnectOptions;

    use super::super::schema;
    use super::*;

    fn urls(urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| url.to_string()).collect()
    }

    #[test]
    fn several_postgres_urls_or_one_sqlite_url_are_accepted() {
        for good in [
            &["postgres://u@h/db"][..],
            &["postgres://h:1/db", "postgresql://h:2/db"],
            &["sqlite:///tmp/a b%20c?.db"],
            &["sqlite://relative.db"],
            &["sqlite::memory:"],
        ] {
            assert!(parse(&urls(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &["mysql://h/db"],
            &["/tmp/a.db"],
            &["sqlite://a.db", "sqlite://b.db"],
            &["postgres://h/db", "sqlite://b.db"],
        ] {
            assert_eq!(parse(&urls(bad)).err(), Some(StoreError::InvalidUrl), "{bad:?}");
        }
    }

    #[test]
    fn a_file_path_reaches_the_driver_unchanged() {
        let targets = parse(&urls(&["sqlite:///tmp/A b%20c?.db"])).unwrap();
        let Target::File { any, path } = &targets[0] else {
            panic!("a file")
        };
        assert_eq!(path, Path::new("/tmp/A b%20c?.db"));
        let driver = SqliteConnectOptions::from_url(&any.database_url).unwrap();
        assert_eq!(driver.get_filename(), path);
    }

    #[tokio::test]
    async fn every_sqlite_connection_syncs_each_commit_and_waits_for_the_lock() {
        sqlx::any::install_default_drivers();
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("s.db").display());
        let target = Target::parse(&url).unwrap();
        let pool = target.pool().await.unwrap();
        schema::prepare(&pool, &target).await.unwrap();
        let mut connections = Vec::new();
        for _ in 0..SQLITE_CONNECTIONS {
            connections.push(pool.acquire().await.unwrap());
        }
        for connection in &mut connections {
            for (pragma, expected) in [("synchronous", 2), ("busy_timeout", 2_000), ("secure_delete", 1)] {
                let select = format!("SELECT * FROM pragma_{pragma}");
                let value: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(select))
                    .fetch_one(&mut **connection)
                    .await
                    .unwrap();
                assert_eq!(value, expected, "{pragma}");
            }
        }
    }
}
