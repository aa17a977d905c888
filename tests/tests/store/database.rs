//! A fresh database for one test, and short ways to write to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use sluice_control::store::{
    Change, Commit, CommitError, KeyRing, Point, ResourceKey, Revision, Store, UnixMillis, Write,
};
use sluice_tests::postgres::Postgres;
use tempfile::TempDir;

/// The envelope keys of all stores here.
static KEYS: LazyLock<KeyRing> = LazyLock::new(|| KeyRing::random().unwrap());

/// An empty database, removed with its owner.
pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(Postgres),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Postgres::start().await.unwrap())
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => format!("sqlite://{}", directory.path().join("store.db").display()),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    /// One more process's view of the database.
    pub(crate) async fn open(&self) -> Store {
        self.open_with(KEYS.clone()).await
    }

    /// One with envelope keys of its own.
    pub(crate) async fn open_with(&self, keys: KeyRing) -> Store {
        Store::open(&[self.url()], keys).await.unwrap()
    }

    /// Runs statements past all stores; what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match self {
            Self::Sqlite(_) => self.sqlite3(statements),
            Self::Postgres(postgres) => postgres.sql(statements).unwrap(),
        }
    }

    /// Every row there is, in lower case; bytes in hexadecimal.
    pub(crate) fn dump(&self) -> String {
        let dump = match self {
            Self::Sqlite(_) => self.sqlite3(".dump"),
            Self::Postgres(postgres) => postgres
                .sql("SET xmlbinary = hex; SELECT database_to_xml(true, false, '')")
                .unwrap(),
        };
        dump.to_lowercase()
    }

    /// The file of an SQLite database.
    pub(crate) fn file(&self) -> PathBuf {
        self.url().replacen("sqlite://", "", 1).into()
    }

    fn sqlite3(&self, input: &str) -> String {
        let output = Command::new("sqlite3")
            .arg(self.file())
            .arg(input)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

pub(crate) fn key(name: &str) -> ResourceKey {
    ResourceKey {
        kind: "HTTPRoute".into(),
        namespace: "default".into(),
        name: name.into(),
    }
}

pub(crate) fn upsert(manifest: &str) -> Change {
    Change::Upsert {
        manifest: manifest.into(),
        creation_revision: None,
        secret: None,
    }
}

/// A write of `changes` on the state at `expected`.
pub(crate) fn write(expected: Point, changes: impl IntoIterator<Item = (ResourceKey, Change)>) -> Write {
    Write {
        expected,
        changes: changes.into_iter().collect::<BTreeMap<_, _>>(),
        author: "alice".into(),
        message: "because".into(),
        at: UnixMillis(1_000),
        idempotency_key: None,
        rollback_of: None,
        result: "{}".into(),
    }
}

/// Sets `name` to `manifest` on the head there is now.
pub(crate) async fn set(store: &Store, name: &str, manifest: &str) -> Point {
    let head = store.head().await.unwrap();
    let written = store.commit(&write(head, [(key(name), upsert(manifest))])).await;
    let revision = written.unwrap().revision;
    Point {
        history: head.history,
        revision,
    }
}

/// The number that a write got.
pub(crate) fn revised(written: Result<Commit, CommitError>) -> Result<Revision, CommitError> {
    written.map(|commit| commit.revision)
}
