//! Seals what is kept on disk: snapshots have private keys in them.
//!
//! A sealed file is `"sluice-sealed 1\n" (16) || id of the key (8) || nonce (12) || ciphertext || tag
//! (16)`, AES-256-GCM, with the first two parts as associated data. Of the keys of a key file the first
//! seals, and all of them open, so that a key is replaced by putting a new one above it and taking the
//! old one away after the next change.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sluice_model::{SEALING_KEY, SealingKeysError, sealing_keys};
use zeroize::Zeroizing;

const MAGIC: [u8; 16] = *b"sluice-sealed 1\n";
const ID: usize = 8;
const HEAD: usize = MAGIC.len() + ID;
/// Longest key file: all keys, and comments.
const MAX_FILE: u64 = 64 * 1024;

/// The keys of a key file.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: [u8; ID],
    cipher: RandomizedNonceKey,
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or not be made.
    #[error("the key file {} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
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
    /// Reads a key file ([`sealing_keys`]).
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub(super) fn read(path: &Path) -> Result<Self, KeyFileError> {
        let mut text = Zeroizing::new(String::new());
        let file = File::open(path);
        file.and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|error| KeyFileError::Io(path.into(), error))?;
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

    /// Seals `bytes` where they are.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn seal(&self, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let failed = || io::Error::other("nothing can be sealed");
        let key = self.0.first().ok_or_else(failed)?;
        let head = key.head();
        let nonce = key
            .cipher
            .seal_in_place_append_tag(Aad::from(head), &mut bytes)
            .map_err(|_| failed())?;
        Ok([&head[..], nonce.as_ref(), &bytes].concat())
    }

    /// Opens what was sealed under any of the keys.
    ///
    /// # Errors
    /// When it is not what was sealed, or was sealed under another key.
    pub(super) fn open(&self, mut sealed: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if sealed.len() < HEAD + NONCE_LEN || sealed[..MAGIC.len()] != MAGIC {
            return Err(OpenError::Shape);
        }
        let mut known = self.0.iter().filter(|key| key.id == sealed[MAGIC.len()..HEAD]);
        let key = known.next().ok_or(OpenError::UnknownKey)?;
        let body = sealed.split_off(HEAD + NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&sealed[HEAD..]).map_err(|_| OpenError::Shape)?;
        let mut body = Zeroizing::new(body);
        let length = key
            .cipher
            .open_in_place(nonce, Aad::from(key.head()), &mut body)
            .map_err(|_| OpenError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
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
        let sealed = old.seal(b"a private key".to_vec()).unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"private"));
        assert_eq!(**both.open(sealed.clone()).unwrap(), *b"a private key");
        let newer = both.seal(b"x".to_vec()).unwrap();
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
        let sealed = Keys::read_or_make(&path).unwrap().seal(vec![1]).unwrap();
        assert_eq!(**Keys::read_or_make(&path).unwrap().open(sealed).unwrap(), [1]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
