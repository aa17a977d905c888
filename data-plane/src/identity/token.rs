//! Join tokens as they are given to proxies: `sj1.ID.SECRET.PIN`.

use std::{fs::File, io::Read as _, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use sluice_tls::KeyHash;
use zeroize::Zeroizing;

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 4_096;
const PREFIX: &str = "sj1.";

/// A token that was read.
pub(super) struct JoinToken {
    /// `ID.SECRET`, for the control plane that has the pin.
    pub(super) secret: Zeroizing<String>,
    /// Of the key of its root.
    pub(super) pin: KeyHash,
    /// Tells it from other tokens, and nothing else.
    pub(super) hash: [u8; 32],
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the join token's file cannot be read")]
    Io(#[from] std::io::Error),
    #[error("the join token's file holds no token: it is one line, `sj1.ID.SECRET.PIN`")]
    Shape,
}

impl JoinToken {
    /// Reads the file of a token.
    pub(super) fn read(path: &Path) -> Result<Self, TokenError> {
        let mut text = Zeroizing::new(String::new());
        File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
        Self::parse(text.trim()).ok_or(TokenError::Shape)
    }

    fn parse(text: &str) -> Option<Self> {
        let (secret, pin) = text.strip_prefix(PREFIX)?.rsplit_once('.')?;
        let (id, rest) = secret.split_once('.')?;
        if id.is_empty() || rest.is_empty() || rest.contains('.') {
            return None;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Some(Self {
            secret: Zeroizing::new(secret.to_owned()),
            pin: KeyHash::parse(pin)?,
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_its_file_and_nothing_else_is_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let pin = KeyHash([9; 32]);
        let good = format!("sj1.abc.secret.{pin}");
        std::fs::write(&file, format!("{good}\n")).unwrap();
        let token = JoinToken::read(file.path()).unwrap();
        assert_eq!((token.secret.as_str(), token.pin), ("abc.secret", pin));
        assert_ne!(
            token.hash,
            JoinToken::parse(&format!("sj1.abc.other.{pin}")).unwrap().hash
        );
        for bad in [
            "",
            "sj1",
            "sj1.a.b",
            "sj1.a.b.c",
            &good[1..],
            &good.replace("secret", "s.e"),
            &good.replace("abc", ""),
        ] {
            assert!(JoinToken::parse(bad).is_none(), "{bad}");
        }
        assert!(matches!(
            JoinToken::read(Path::new("/nowhere")),
            Err(TokenError::Io(_))
        ));
    }
}
