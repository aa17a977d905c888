//! Whether the database is the one that was used last, or one that was restored or promoted since.
//!
//! Commits that are lost while somebody remembers them are found by that memory (see `connection`).
//! A process that starts remembers nothing; so the database carries a mark of where it was used last,
//! which no way of restoring brings back as it has to be:
//!
//! - On Postgres the mark names the cluster (`system_identifier`), its timeline, which every promotion
//!   and every recovery to a point in time begins anew, and the transaction that wrote the mark. That
//!   one is also the row's `xmin`: a row that `pg_restore` brought back was written by another one.
//! - SQLite has a file beside the database with the newest write and the number of the inode. It is not
//!   part of a copy of the database, and a copy has another inode.
//!
//! When the mark does not fit and nobody remembers better, the history is renewed: nothing is lost by
//! that, the proxies only take their snapshots whole, once.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::StoreError;
use super::connection::Seen;
use super::id;
use super::session::{Session, stored};
use super::target::{Dialect, Target};

/// What is appended to the name of an SQLite database, as `-wal` is.
const SUFFIX: &str = "-mark";
const OWNER_ONLY: u32 = 0o600;
/// Longest mark that is read.
const MAX_MARK: u64 = 1_024;
/// What the row says when the mark is in a file.
const IN_FILE: &str = "file";

/// Whether somebody has seen the newest write of this history, so that the mark need not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    None,
    Whole,
}

/// The mark of an SQLite database in a file. It is not synced: what a loss of power takes from it
/// looks like a restore, and costs what that costs.
#[derive(Debug)]
pub(super) struct MarkFile {
    path: PathBuf,
    database: PathBuf,
    file: Mutex<Option<File>>,
}

impl MarkFile {
    /// That of the database behind `target`; `None` where there is no file.
    pub(super) fn of(target: &Target) -> Option<Self> {
        let Target::File { path, .. } = target else {
            return None;
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(SUFFIX);
        Some(Self {
            path: beside.into(),
            database: path.clone(),
            file: Mutex::new(None),
        })
    }

    /// Notes that `newest` is the newest write. Of one length always, so that it is replaced in place.
    pub(super) fn write(&self, newest: &Seen) {
        if let Err(error) = self.try_write(newest) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the next start will take the database for a restored one");
        }
    }

    fn try_write(&self, newest: &Seen) -> std::io::Result<()> {
        let mark = self.mark(newest)?;
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(
                OpenOptions::new()
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(OWNER_ONLY)
                    .open(&self.path)?,
            ),
        };
        file.write_all_at(mark.as_bytes(), 0)
    }

    fn mark(&self, newest: &Seen) -> std::io::Result<String> {
        let inode = self.database.metadata()?.ino();
        let (history, revision) = (newest.position.history, newest.position.revision.0);
        let write = newest.write.as_str();
        Ok(format!("{inode:020} {history} {revision:020} {write:<32}\n"))
    }

    fn read(path: &Path) -> std::io::Result<String> {
        let mut text = String::new();
        File::open(path)?.take(MAX_MARK).read_to_string(&mut text)?;
        Ok(text)
    }

    /// Whether the file tells of this very database and of a write that is in it.
    async fn fits(&self, session: &mut Session) -> Result<bool, StoreError> {
        let Ok(text) = Self::read(&self.path) else {
            return Ok(false);
        };
        let fields: Vec<_> = text.split_ascii_whitespace().collect();
        let (inode, history, revision, write) = match fields[..] {
            [inode, history, revision, write] => (inode, history, revision, write),
            // There was no write yet.
            [inode, history, revision] => (inode, history, revision, ""),
            _ => return Ok(false),
        };
        let is_file = self
            .database
            .metadata()
            .is_ok_and(|metadata| inode.parse() == Ok(metadata.ino()));
        let select = sqlx::query(
            "SELECT COUNT(*) FROM meta m LEFT JOIN revisions r ON r.revision = $1 \
             WHERE m.history = $2 AND m.revision >= $1 AND COALESCE(r.write_id, '') = $3",
        );
        let Ok(revision) = revision.parse::<u64>() else {
            return Ok(false);
        };
        let select = select.bind(stored(revision)).bind(history).bind(write);
        let row = session.row(select).await?.ok_or(StoreError::Corrupt)?;
        Ok(is_file && row.number(0)? == 1)
    }
}

/// Whether the mark fits the database.
pub(super) async fn fits(session: &mut Session, file: Option<&MarkFile>) -> Result<bool, StoreError> {
    Ok(matches!(compare(session, file).await?, Fits::Yes))
}

/// Compares the mark with the database, in one transaction that holds the row; when it does not fit,
/// it is written anew, and so is the history unless `memory` says that nothing is missing.
pub(super) async fn check(
    session: &mut Session,
    file: Option<&MarkFile>,
    memory: Memory,
) -> Result<(), StoreError> {
    // One process at a time decides; the next one finds the mark that it wrote.
    let lock = sqlx::query("UPDATE meta SET revision = revision WHERE id = 1");
    session.execute(lock).await?;
    match compare(session, file).await? {
        Fits::Yes => return Ok(()),
        Fits::Unmarked => {}
        Fits::No if memory == Memory::Whole => {
            tracing::info!("the database was promoted or restored, and nothing is missing");
        }
        Fits::No => {
            let fresh = id::random_history();
            tracing::warn!(%fresh, "the database was promoted or restored since its last use; its history is renewed");
            let update = sqlx::query("UPDATE meta SET history = $1 WHERE id = 1").bind(fresh.to_string());
            session.execute(update).await?;
        }
    }
    let mark = match session.dialect() {
        Dialect::Postgres => sqlx::query(
            "UPDATE origin SET mark = (SELECT system_identifier FROM pg_control_system()) || '/' || \
             substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/' || \
             (CAST(pg_current_xact_id() AS TEXT)::bigint % 4294967296) WHERE id = 1",
        ),
        Dialect::Sqlite => sqlx::query("UPDATE origin SET mark = $1 WHERE id = 1").bind(IN_FILE),
    };
    session.execute(mark).await?;
    Ok(())
}

enum Fits {
    Yes,
    /// It was never used.
    Unmarked,
    No,
}

async fn compare(session: &mut Session, file: Option<&MarkFile>) -> Result<Fits, StoreError> {
    match session.dialect() {
        Dialect::Postgres => compare_row(session).await,
        Dialect::Sqlite => compare_file(session, file).await,
    }
}

async fn compare_row(session: &mut Session) -> Result<Fits, StoreError> {
    let select = sqlx::query(
        "SELECT mark, (SELECT system_identifier FROM pg_control_system()) || '/' || \
         substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/' || CAST(xmin AS TEXT) \
         FROM origin WHERE id = 1",
    );
    let row = session.row(select).await?.ok_or(StoreError::Corrupt)?;
    let (mark, expected) = (row.text(0)?, row.text(1)?);
    Ok(match mark.is_empty() {
        true => Fits::Unmarked,
        false if mark == expected => Fits::Yes,
        false => Fits::No,
    })
}

/// A database in memory is never another one.
async fn compare_file(session: &mut Session, file: Option<&MarkFile>) -> Result<Fits, StoreError> {
    let Some(file) = file else { return Ok(Fits::Yes) };
    let select = sqlx::query("SELECT mark FROM origin WHERE id = 1");
    let row = session.row(select).await?.ok_or(StoreError::Corrupt)?;
    Ok(match row.text(0)?.is_empty() {
        true => Fits::Unmarked,
        false if file.fits(session).await? => Fits::Yes,
        false => Fits::No,
    })
}
