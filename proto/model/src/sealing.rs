//! Key files: what secrets are sealed under where either plane keeps them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use thiserror::Error;

use crate::Secret;

/// Length of a key.
pub const SEALING_KEY: usize = 32;
/// Most keys of a file: one in use, and those of what was not sealed anew yet.
pub const MAX_SEALING_KEYS: usize = 16;

/// Why a text is no key file. Nothing of it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealingKeysError {
    /// A line, counted from 1, is no key.
    #[error("line {0}: must be 32 bytes in base64, as `openssl rand -base64 32` prints them")]
    Line(usize),
    /// There is none.
    #[error("has no key; `openssl rand -base64 32` makes one")]
    Empty,
    /// There are more than are read.
    #[error("has more than {MAX_SEALING_KEYS} keys")]
    TooMany,
}

/// Who but its owner gets at a key file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFileAccess {
    /// Nobody.
    Owner,
    /// Its group, or anybody who wants to read it. Worth a warning and no more: where files are mounted
    /// for a process, as in containers, this is often how it comes to read them at all.
    Shared,
    /// Anybody may write it, and so choose what secrets are sealed under. It is not to be used.
    Writable,
}

impl KeyFileAccess {
    /// What the permission bits of a file (`st_mode`) allow.
    pub const fn of(mode: u32) -> Self {
        match (mode & 0o002, mode & 0o077) {
            (0, 0) => Self::Owner,
            (0, _) => Self::Shared,
            (_, _) => Self::Writable,
        }
    }
}

/// Reads a key file: one key per line in base64, the newest first. Empty lines and those that begin
/// with `#` are skipped. The text is the caller's to wipe.
///
/// # Errors
/// When a line is no key, or there are none or too many.
pub fn sealing_keys(text: &str) -> Result<Vec<Secret<[u8; SEALING_KEY]>>, SealingKeysError> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if keys.len() == MAX_SEALING_KEYS {
            return Err(SealingKeysError::TooMany);
        }
        let mut key = zeroize::Zeroizing::new([0; SEALING_KEY]);
        match STANDARD.decode_slice(line, &mut *key) {
            Ok(SEALING_KEY) => keys.push(Secret::new(*key)),
            Ok(_) | Err(_) => return Err(SealingKeysError::Line(index + 1)),
        }
    }
    match keys.is_empty() {
        true => Err(SealingKeysError::Empty),
        false => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(byte: u8) -> String {
        STANDARD.encode([byte; SEALING_KEY])
    }

    #[test]
    fn keys_are_read_in_their_order_and_comments_are_skipped() {
        let keys = sealing_keys(&format!("# new\n{}\n\n  {}  \n", line(2), line(1))).unwrap();
        let first: Vec<_> = keys.iter().map(|key| key.expose()[0]).collect();
        assert_eq!(first, [2, 1]);
    }

    #[test]
    fn a_file_for_its_owner_is_good_one_that_others_read_is_odd_and_one_that_all_write_is_none() {
        for (mode, access) in [
            (0o100_600, KeyFileAccess::Owner),
            (0o100_400, KeyFileAccess::Owner),
            (0o100_640, KeyFileAccess::Shared),
            (0o100_604, KeyFileAccess::Shared),
            (0o100_660, KeyFileAccess::Shared),
            (0o100_602, KeyFileAccess::Writable),
            (0o100_666, KeyFileAccess::Writable),
        ] {
            assert_eq!(KeyFileAccess::of(mode), access, "{mode:o}");
        }
    }

    #[test]
    fn what_is_not_a_key_is_refused_by_its_line_without_showing_it() {
        for bad in ["c2VjcmV0", &line(1)[1..], &format!("{}AAAA", line(1)), "secret!"] {
            let error = sealing_keys(&format!("{}\n{bad}\n", line(1))).unwrap_err();
            assert_eq!(error, SealingKeysError::Line(2));
            assert!(!error.to_string().contains(bad), "{error}");
        }
        assert_eq!(sealing_keys("# nothing\n"), Err(SealingKeysError::Empty));
        let many = format!("{}\n", line(1));
        assert!(sealing_keys(&many.repeat(MAX_SEALING_KEYS)).is_ok());
        assert_eq!(
            sealing_keys(&many.repeat(MAX_SEALING_KEYS + 1)),
            Err(SealingKeysError::TooMany)
        );
    }
}
