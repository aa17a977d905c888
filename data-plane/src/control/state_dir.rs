//! The last good snapshot on disk, so that a proxy that starts alone serves what it served before.
//!
//! The file is a full update as it travels, then its digest, all of it sealed. Beside it is the file of
//! the proxy's identity, sealed as well.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use prost::Message as _;
use sluice_core::{Snapshot, Update};
use sluice_model::Digest;
use sluice_proto::v1;
use zeroize::Zeroizing;

use super::seal::{KeyFileError, Keys, OpenError};

const SNAPSHOT: &str = "snapshot";
const IDENTITY: &str = "identity";
const LOCK: &str = "lock";
/// The key that the snapshot is sealed under, unless another file has it.
const KEY: &str = "key";
/// Length of the digest that the file ends with.
const DIGEST: usize = 16;

/// A directory that this process alone uses.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    keys: Keys,
    /// Locked while it is open.
    _lock: File,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Another process holds it.
    #[error("the state directory {} is in use by another proxy", .0.display())]
    InUse(PathBuf),
    /// It cannot be created, read or written.
    #[error("the state directory {} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// There are no keys to seal with.
    #[error(transparent)]
    Key(#[from] KeyFileError),
}

/// Why a saved snapshot is of no use.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Sealed(OpenError),
    #[error("it is not what was written")]
    Damaged,
}

impl StateDir {
    /// Creates the directory if need be, and takes it. Without a `key_file`, the key is in the
    /// directory itself, and is made if need be.
    ///
    /// # Errors
    /// When it cannot be used, or another process uses it.
    pub(crate) fn open(path: &Path, key_file: Option<&Path>) -> Result<Self, StateDirError> {
        let failed = |error| StateDirError::Io(path.to_owned(), error);
        let mut directory = fs::DirBuilder::new();
        directory
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let lock = private(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                keys: keys(path, key_file)?,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(StateDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What was saved last, from now on under the newest key. A file that is not what was written, or
    /// that no key opens, is moved aside, and nothing is held.
    pub(crate) fn load(&self) -> Option<Update> {
        self.read(SNAPSHOT, read)
    }

    /// The identity that was saved last, as [`StateDir::load`] does it.
    pub(crate) fn load_identity(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.read(IDENTITY, |bytes| Some(Zeroizing::new(bytes.to_vec())))
    }

    fn read<T>(&self, name: &str, parse: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let path = self.path.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a saved file cannot be read");
                return None;
            }
        };
        let opened = self.keys.open(bytes).map_err(Unusable::Sealed);
        let read = opened.and_then(|opened| Ok((parse(&opened.bytes).ok_or(Unusable::Damaged)?, opened)));
        match read {
            Ok((parsed, opened)) => {
                if !opened.newest {
                    self.reseal(name, &opened.bytes);
                }
                Some(parsed)
            }
            Err(reason) => {
                reject(&path, reason);
                None
            }
        }
    }

    /// Seals what an older key had sealed, so that this key can be taken away.
    fn reseal(&self, name: &str, bytes: &[u8]) {
        match self.write(name, bytes) {
            Ok(()) => {
                tracing::info!(
                    "the saved {name} is sealed under the newest key; older ones are not needed for it"
                );
            }
            Err(error) => {
                tracing::error!(%error, "older keys must stay: the saved {name} cannot be sealed anew");
            }
        }
    }

    /// Saves `snapshot`: after a crash at any moment either it or the one before is there, whole.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        let update = Update::full(snapshot.history(), snapshot.position(), snapshot.resources());
        let wire = update
            .committed(snapshot.commit(), snapshot.commit_seal())
            .to_wire();
        let mut bytes = Zeroizing::new(Vec::with_capacity(wire.encoded_len() + DIGEST));
        wire.encode(&mut *bytes).map_err(io::Error::other)?;
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(&digest.0);
        self.write(SNAPSHOT, &bytes)
    }

    /// Saves an identity in the same way.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub(crate) fn save_identity(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(IDENTITY, bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let sealed = self.keys.seal(bytes)?;
        let path = self.path.join(name);
        let temporary = path.with_extension("new");
        let mut file = private(&temporary)?;
        file.set_len(0)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(&self.path)?.sync_all()
    }
}

/// The keys of `key_file`, or those of the directory itself.
fn keys(path: &Path, key_file: Option<&Path>) -> Result<Keys, KeyFileError> {
    if let Some(file) = key_file {
        return Keys::read(file);
    }
    let beside = path.join(KEY);
    let keys = Keys::read_or_make(&beside)?;
    tracing::info!(
        key = %beside.display(),
        "what is saved is sealed under a key that lies beside it: whoever gets the file alone reads \
         nothing, whoever gets the directory everything; --key-file or SLUICE_KEY_FILE names one elsewhere"
    );
    Ok(keys)
}

/// Moves a file aside, for whoever wants to know what was wrong with it.
fn reject(path: &Path, reason: Unusable) {
    let aside = path.with_extension("corrupt");
    tracing::error!(path = %aside.display(), %reason, "a saved file cannot be used: moved aside, starting without it");
    if let Err(error) = fs::rename(path, aside) {
        tracing::error!(%error, "it cannot be moved");
    }
}

/// Opens a file that only its owner may read, creating it if need be.
fn private(path: impl AsRef<Path>) -> io::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn read(bytes: &[u8]) -> Option<Update> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
    if Digest::of(body) != Digest::try_from(digest).ok()? {
        return None;
    }
    let wire = v1::Update::decode(body).ok()?;
    Update::from_wire(wire).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sluice_model::{CommitId, CommitSeal, HistoryId};

    use super::*;
    use crate::testing::snapshot::{Site, apply};

    fn saved() -> (tempfile::TempDir, StateDir, Snapshot) {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(&directory.path().join("state"), None).unwrap();
        let plain = apply(
            &Snapshot::empty(HistoryId([3; 16])),
            &Site::to(&["127.0.0.1:8080"]),
        );
        let update = Update::full(plain.history(), plain.position(), plain.resources());
        let committed = update.committed(CommitId(5), CommitSeal(6));
        let snapshot = plain.apply(&committed).unwrap();
        state.save(&snapshot).unwrap();
        (directory, state, snapshot)
    }

    #[test]
    fn what_was_saved_is_loaded_whole() {
        let (_directory, state, snapshot) = saved();
        let loaded = Snapshot::empty(HistoryId::default())
            .apply(&state.load().unwrap())
            .unwrap();
        assert_eq!(loaded.position(), snapshot.position());
        assert_eq!(loaded.history(), snapshot.history());
        assert_eq!(
            (loaded.commit(), loaded.commit_seal()),
            (CommitId(5), CommitSeal(6))
        );
        let mode = fs::metadata(state.path.join(SNAPSHOT))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_moved_aside() {
        let (_directory, state, _) = saved();
        let path = state.path.join(SNAPSHOT);
        let mut bytes = fs::read(&path).unwrap();
        for damaged in [bytes.len() / 2, bytes.len() - 1] {
            bytes[damaged] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(state.load().is_none());
            assert!(!path.exists() && state.path.join("snapshot.corrupt").exists());
        }
        fs::write(&path, b"short").unwrap();
        assert!(state.load().is_none());
        assert!(
            state.load().is_none(),
            "an empty directory is a start from nothing"
        );
    }

    #[test]
    fn a_file_that_no_key_opens_is_moved_aside() {
        let (_directory, state, _) = saved();
        let path = state.path.clone();
        drop(state);
        fs::remove_file(path.join(KEY)).unwrap();
        let state = StateDir::open(&path, None).unwrap();
        assert!(state.load().is_none());
        assert!(!path.join(SNAPSHOT).exists() && path.join("snapshot.corrupt").exists());
        let missing = StateDir::open(&path.join("other"), Some(&path.join("missing")));
        assert!(matches!(missing, Err(StateDirError::Key(KeyFileError::Io(..)))));
    }

    #[test]
    fn what_an_older_key_sealed_is_sealed_under_the_newest_when_it_is_read() {
        let (_directory, state, snapshot) = saved();
        let path = state.path.clone();
        drop(state);
        let file = path.join(KEY);
        let (old, new) = (fs::read_to_string(&file).unwrap(), "A".repeat(43) + "=\n");
        let position = |keys: &str| {
            fs::write(&file, keys).unwrap();
            let loaded = StateDir::open(&path, None).unwrap().load();
            loaded.map(|update| update.target)
        };
        assert_eq!(position(&format!("{new}{old}")), Some(snapshot.position()));
        assert_eq!(position(&new), Some(snapshot.position()), "the old key can go");
        assert_eq!(position(&old), None);
    }

    #[test]
    fn nothing_of_a_snapshot_can_be_read_on_disk() {
        let (_directory, state, _) = saved();
        let bytes = fs::read(state.path.join(SNAPSHOT)).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"default"));
    }

    #[test]
    fn an_identity_is_kept_beside_it_and_sealed() {
        let (_directory, state, _) = saved();
        assert!(state.load_identity().is_none());
        state.save_identity(b"a private key").unwrap();
        assert_eq!(**state.load_identity().unwrap(), *b"a private key");
        let path = state.path.join(IDENTITY);
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"private"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, &bytes[1..]).unwrap();
        assert!(state.load_identity().is_none() && !path.exists());
        assert!(state.load().is_some(), "the snapshot is another file");
    }

    #[test]
    fn a_directory_belongs_to_one_process() {
        let (_directory, state, _) = saved();
        assert!(matches!(
            StateDir::open(&state.path, None),
            Err(StateDirError::InUse(_))
        ));
        let path = state.path.clone();
        drop(state);
        assert!(StateDir::open(&path, None).is_ok());
    }
}
