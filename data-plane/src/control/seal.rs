//! Seals what is kept on disk: snapshots have private keys in them.
//!
//! A sealed file is `"sluice-sealed 1\n" (16) || id of the key (8) || nonce (12) || ciphertext || tag
//! (16)`, AES-256-GCM, with the first two parts as associated data. Of the keys of a key file the first
//! seals, and all of them open, so that a key is replaced by putting a new one above it and restarting:
//! what an older one sealed is sealed anew when it is read, and the old one can be taken away.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sluice_model::{KeyFileAccess, SEALING_KEY, SealingKeysError, sealing_keys};
use zeroize::Zeroizing;

const MAGIC: [u8; 16] = *b"sluice-sealed 1\n";
const ID: usize = 8;
const HEAD: usize = MAGIC.len() + ID;
/// Longest key file: all keys, and comments.
const MAX_FILE: u64 = 64 * 1024;

/// The keys of a key file, the newest first.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: [u8; ID],
    cipher: RandomizedNonceKey,
}

/// What was sealed.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether the newest key sealed it.
    pub(super) newest: bool,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or not be made.
    #[error("the key file {} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Anybody may write it.
    #[error("the key file {} can be written by anybody, so its keys may be anybody's; `chmod 600` it and replace them", .0.display())]
    Writable(PathBuf),
    /// What it says is no list of keys.
    #[error("the key file {}", .0.display())]
    Keys(PathBuf, #[source] SealingKeysError),
}

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OpenError {
    #[error("it is not a sealed file")]
    Shape,
    #[error("it was sealed under a key that is not in the key file")]
    UnknownKey,
    #[error("it is damaged")]
    Damaged,
}

impl Keys {
    /// Reads a key file ([`sealing_keys`]). Warns when others than its owner may read it.
    ///
    /// # Errors
    /// When it cannot be read, is none, or anybody may write it.
    pub(super) fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |error| KeyFileError::Io(path.into(), error);
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
        let keys = sealing_keys(&text).map_err(|error| KeyFileError::Keys(path.into(), error))?;
        // Keys of the right length are never refused, so none is lost here.
        Ok(Self(
            keys.iter().filter_map(|key| Key::new(key.expose())).collect(),
        ))
    }

    /// Reads a key file, and makes one for its owner alone when there is none. Only whoever holds
    /// the directory may call it.
    ///
    /// # Errors
    /// When it cannot be made or read, or a line of it is not a key.
    pub(super) fn read_or_make(path: &Path) -> Result<Self, KeyFileError> {
        if !path.exists() {
            make(path).map_err(|error| KeyFileError::Io(path.into(), error))?;
        }
        Self::read(path)
    }

    /// Seals a copy of `plain`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let failed = || io::Error::other("nothing can be sealed");
        let key = self.0.first().ok_or_else(failed)?;
        let head = key.head();
        // Room for all of it from the start: what grows leaves its bytes behind where it was.
        let room = HEAD + NONCE_LEN + plain.len() + AES_256_GCM.tag_len();
        let mut sealed = Zeroizing::new(Vec::with_capacity(room));
        sealed.extend_from_slice(&head);
        sealed.extend_from_slice(&[0; NONCE_LEN]);
        sealed.extend_from_slice(plain);
        let (nonce, tag) = key
            .cipher
            .seal_in_place_separate_tag(Aad::from(head), &mut sealed[HEAD + NONCE_LEN..])
            .map_err(|_| failed())?;
        sealed[HEAD..HEAD + NONCE_LEN].copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(std::mem::take(&mut *sealed))
    }

    /// Opens what was sealed under any of the keys.
    ///
    /// # Errors
    /// When it is not what was sealed, or was sealed under another key.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Result<Opened, OpenError> {
        if sealed.len() < HEAD + NONCE_LEN || sealed[..MAGIC.len()] != MAGIC {
            return Err(OpenError::Shape);
        }
        let mut keys = self.0.iter().enumerate();
        let (age, key) = keys
            .find(|(_, key)| key.id == sealed[MAGIC.len()..HEAD])
            .ok_or(OpenError::UnknownKey)?;
        let mut bytes = Zeroizing::new(sealed.split_off(HEAD + NONCE_LEN));
        let nonce = Nonce::try_assume_unique_for_key(&sealed[HEAD..]).map_err(|_| OpenError::Shape)?;
        let length = key
            .cipher
            .open_in_place(nonce, Aad::from(key.head()), &mut bytes)
            .map_err(|_| OpenError::Damaged)?
            .len();
        bytes.truncate(length);
        Ok(Opened {
            bytes,
            newest: age == 0,
        })
    }
}

impl Key {
    fn new(key: &[u8; SEALING_KEY]) -> Option<Self> {
        // The id says nothing about the key: it is half of a hash of a key that nobody can guess.
        let named = Zeroizing::new([&b"sluice id of a sealing key"[..], key].concat());
        let mut id = [0; ID];
        id.copy_from_slice(&digest(&SHA256, &named).as_ref()[..ID]);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
        Some(Self { id, cipher })
    }

    fn head(&self) -> [u8; HEAD] {
        let mut head = [0; HEAD];
        head[..MAGIC.len()].copy_from_slice(&MAGIC);
        head[MAGIC.len()..].copy_from_slice(&self.id);
        head
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Keys").field(&self.0.len()).finish()
    }
}

/// Written beside it and moved into place, so that half a key is never read.
fn make(path: &Path) -> io::Result<()> {
    let mut key = Zeroizing::new([0; SEALING_KEY]);
    getrandom::fill(&mut *key).map_err(io::Error::other)?;
    let line = Zeroizing::new(STANDARD.encode(*key));
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    writeln!(file, "{}", *line)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn keys(directory: &Path, bytes: &[u8]) -> Keys {
        let lines = bytes.iter().map(|byte| STANDARD.encode([*byte; SEALING_KEY]));
        let text: Vec<String> = lines.collect();
        let path = directory.join("keys");
        fs::write(&path, format!("# keys\n\n{}\n", text.join("\n"))).unwrap();
        Keys::read(&path).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let (old, both) = (keys(directory.path(), &[1]), keys(directory.path(), &[2, 1]));
        let sealed = old.seal(b"a private key").unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"private"));
        let opened = both.open(sealed.clone()).unwrap();
        assert_eq!((&**opened.bytes, opened.newest), (&b"a private key"[..], false));
        let newer = both.seal(b"x").unwrap();
        assert!(both.open(newer.clone()).unwrap().newest);
        assert_eq!(old.open(newer).unwrap_err(), OpenError::UnknownKey);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(old.open(changed).is_err(), "{at}");
            assert!(old.open(sealed[..at].to_vec()).is_err(), "{at}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let sealed = Keys::read_or_make(&path).unwrap().seal(&[1]).unwrap();
        let opened = Keys::read_or_make(&path).unwrap().open(sealed).unwrap();
        assert_eq!(**opened.bytes, [1]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_file_that_anybody_may_write_is_refused_and_one_that_others_may_read_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, STANDARD.encode([1; SEALING_KEY])).unwrap();
        for (mode, usable) in [(0o600, true), (0o640, true), (0o644, true), (0o646, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match Keys::read(&path) {
                Ok(_) => assert!(usable, "{mode:o}"),
                Err(error) => {
                    assert!(
                        !usable && error.to_string().contains("chmod 600"),
                        "{mode:o}: {error}"
                    );
                }
            }
        }
    }
}
