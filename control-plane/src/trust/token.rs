//! Join tokens as text: `sj1.ID.SECRET.PIN`. PIN is the hash of the key of the authority's root, so
//! that a proxy knows whom it gives the secret to before it has anything else.

use std::fmt;

use sluice_tls::KeyHash;
use zeroize::Zeroizing;

use crate::store::{Secret, TokenHash};

/// What tokens begin with, so that scanners know one when they see it.
const PREFIX: &str = "sj1";
/// Longest part that is read.
const MAX_PART: usize = 128;

/// The two parts that a proxy sends.
pub(super) struct Presented<'a> {
    pub(super) id: &'a str,
    pub(super) hash: TokenHash,
}

/// A new token.
pub struct NewJoinToken {
    /// Its public name.
    pub id: String,
    /// Of its secret.
    pub hash: TokenHash,
    secret: Zeroizing<String>,
}

impl NewJoinToken {
    /// 244 random bits, and a name.
    pub fn random() -> Self {
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let secret = Zeroizing::new(format!("{}{}", random(), random()));
        Self {
            id: random()[..12].to_owned(),
            hash: TokenHash::of(&secret),
            secret,
        }
    }

    /// The text to be given to the proxy.
    pub fn text(&self, pin: KeyHash) -> Secret<String> {
        let Self { id, secret, .. } = self;
        Secret::new(format!("{PREFIX}.{id}.{}.{pin}", **secret))
    }
}

impl fmt::Debug for NewJoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewJoinToken").field(&self.id).finish()
    }
}

impl<'a> Presented<'a> {
    /// Reads `ID.SECRET`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let is_part = |part: &str| {
            (1..=MAX_PART).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        (is_part(id) && is_part(secret)).then(|| Self {
            id,
            hash: TokenHash::of(secret),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_presents_is_what_was_made() {
        let made = NewJoinToken::random();
        let text = made.text(KeyHash([7; 32]));
        let parts: Vec<_> = text.expose().split('.').collect();
        let [prefix, id, secret, pin] = parts[..] else {
            panic!("{parts:?}");
        };
        assert_eq!((prefix, pin), (PREFIX, &*KeyHash([7; 32]).to_string()));
        let presented = format!("{id}.{secret}");
        let presented = Presented::parse(&presented).unwrap();
        assert!(presented.id == made.id && presented.hash == made.hash);
        assert_ne!(made.hash, NewJoinToken::random().hash);
    }

    #[test]
    fn what_is_no_token_is_not_looked_up() {
        let long = format!("a.{}", "b".repeat(MAX_PART + 1));
        for text in ["", ".", "a.", ".b", "a", "a.b.c", "a.b\n", "a b.c", &long] {
            assert!(Presented::parse(text).is_none(), "{text}");
        }
    }
}
