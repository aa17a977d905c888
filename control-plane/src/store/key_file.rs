//! The file with the envelope keys: one per line in base64, the newest first.
//!
//! # Rotation
//! With one replica: put a new key above the old one and restart; everything opens, and rows under
//! the old key are wrapped anew at start. Then take the old key away. With several replicas, first
//! put the new key *below* the old one everywhere, so that all can open what one of them will seal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluice_model::{KeyFileAccess, SealingKeysError, Secret, sealing_keys};
use thiserror::Error;
use zeroize::Zeroizing;

use super::envelope::{KEY_BYTES, KeyRing};
use super::target::{self, Target};

/// The file beside an SQLite database.
const BESIDE: &str = "key";

const OWNER_ONLY: u32 = 0o600;
/// Longest file that is read: all keys, and comments.
const MAX_FILE: u64 = 64 * 1024;

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// It cannot be read, or not be made.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Anybody may write it.
    #[error("key file {}: can be written by anybody, so its keys may be anybody's; `chmod 600` it and replace them", .0.display())]
    Writable(PathBuf),
    /// What it says is no list of keys.
    #[error("key file {}: {source}", path.display())]
    Keys {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: SealingKeysError,
    },
    /// The system gives no random bytes for a new key.
    #[error("the system gives no random bytes")]
    Random,
}

impl KeyRing {
    /// The keys that a store at `urls` is opened with: those in `file`. Without it, those in the
    /// file `key` beside an SQLite database, which is made if need be; a random one for a database in
    /// memory; none for Postgres, whose replicas must agree on one.
    ///
    /// # Errors
    /// When the file cannot be made or read, or a line of it is not a key.
    pub fn of(urls: &[String], file: Option<&Path>) -> Result<Self, KeyFileError> {
        if let Some(file) = file {
            return Self::read(file);
        }
        match target::parse(urls).as_deref() {
            Ok([Target::File { path, .. }, ..]) => Self::read_or_make(&path.with_file_name(BESIDE)),
            Ok([Target::Memory { .. }, ..]) => Self::random().map_err(|_| KeyFileError::Random),
            // What is wrong with the URL is said where it is opened.
            Ok(_) | Err(_) => Ok(Self::default()),
        }
    }

    /// Reads a key file. Empty lines and those that begin with `#` are skipped. Warns when others
    /// than its owner may read it.
    ///
    /// # Errors
    /// When it cannot be read, a line of it is not a key, or anybody may write it.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Io {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        match KeyFileAccess::of(mode) {
            KeyFileAccess::Owner => {}
            KeyFileAccess::Shared => {
                let mode = format!("{:04o}", mode & 0o7777);
                tracing::warn!(path = %path.display(), mode, "others may read the key file; chmod 600 it");
            }
            KeyFileAccess::Writable => return Err(KeyFileError::Writable(path.into())),
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
        let keys = sealing_keys(&text).map_err(|source| KeyFileError::Keys {
            path: path.into(),
            source,
        })?;
        Ok(Self::new(keys.iter().map(Secret::expose)))
    }

    /// Reads the key file, and makes one for its owner only when there is none. Processes that
    /// start together get the same.
    ///
    /// # Errors
    /// When it cannot be made or read, or a line of it is not a key.
    pub fn read_or_make(path: &Path) -> Result<Self, KeyFileError> {
        if !path.exists() {
            make(path)?;
        }
        Self::read(path)
    }
}

/// Written beside it and linked into place, so that nobody ever reads half a key.
fn make(path: &Path) -> Result<(), KeyFileError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|_| KeyFileError::Random)?;
    let random = getrandom::u64().map_err(|_| KeyFileError::Random)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{random:016x}"));
    let written = write_and_link(Path::new(&beside), path, &Zeroizing::new(STANDARD.encode(*key)));
    // It may not have come into being.
    let _ = fs::remove_file(&beside);
    written.map_err(|source| KeyFileError::Io {
        path: path.into(),
        source,
    })
}

fn write_and_link(beside: &Path, path: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(OWNER_ONLY)
        .open(beside)?;
    writeln!(file, "{key}")?;
    file.sync_all()?;
    match fs::hard_link(beside, path) {
        // Another process was first; its key is the one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_only_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let made = KeyRing::read_or_make(&path).unwrap();
        let again = KeyRing::read_or_make(&path).unwrap();
        assert!(made.ids().eq(again.ids()));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            OWNER_ONLY
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_file_that_anybody_may_write_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        KeyRing::read_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
        let refused = KeyRing::read(&path).unwrap_err();
        assert!(
            matches!(&refused, KeyFileError::Writable(file) if *file == path),
            "{refused}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(KeyRing::read(&path).is_ok());
    }
}
