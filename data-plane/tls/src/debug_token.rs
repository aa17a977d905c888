//! Debug tokens: for a while, proxies tell their bearer what became of a request, and why.
//!
//! A token is signed with the key that snapshots are signed with, so every proxy that verifies those knows it.
//! It holds in one history, to one second, and for one host if it names one. Nothing of it is kept anywhere.
//!
//! As text it is base64url (RFC 4648 section 5, without padding) of: version, key id (8 bytes), end (seconds
//! since 1970, 8 bytes), host (the rest), signature (64 bytes). The history is signed, and not written.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::statement::{Signer, SigningKeyId, Unsigned, Verifiers};

/// Longest life of a token.
pub const MAX_DEBUG_TOKEN_LIFE: Duration = Duration::from_secs(3_600);
/// How far the clock of a proxy may be behind.
const SKEW: Duration = Duration::from_secs(60);

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"sluice debug token 1\0";
const KEY: usize = 8;
const END: usize = 8;
const SIGNATURE: usize = 64;
/// Longest host (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 253;
const HEAD: usize = 1 + KEY + END;
/// Longest token, in bytes before it is text.
const MAX_TOKEN: usize = HEAD + MAX_HOST + SIGNATURE;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugToken {
    /// Until when it holds, since 1970; whole seconds.
    pub expires_at: Duration,
    /// The only host that it holds for, lower case and without a port; empty for all.
    pub host: Box<str>,
}

/// What somebody brought, and nobody has verified.
#[derive(Clone, Debug)]
pub struct DebugClaim {
    key: SigningKeyId,
    token: DebugToken,
    signature: [u8; SIGNATURE],
}

impl DebugToken {
    /// The text of the token, for the history of this name.
    pub fn sign(&self, signer: &Signer, history: &[u8; 16]) -> String {
        let signature = signer.sign(&self.statement(history));
        let end = self.expires_at.as_secs().to_be_bytes();
        let parts = [
            &[VERSION][..],
            &signer.id().0,
            &end,
            self.host.as_bytes(),
            &signature,
        ];
        BASE64_URL_SAFE_NO_PAD.encode(parts.concat())
    }

    /// Every part but the last has a fixed length: no two statements are written alike.
    fn statement(&self, history: &[u8; 16]) -> Vec<u8> {
        let end = self.expires_at.as_secs().to_be_bytes();
        [DOMAIN, history, &end, self.host.as_bytes()].concat()
    }
}

impl DebugClaim {
    /// Reads a token; `None` when it is none.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TOKEN.div_ceil(3) * 4 {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let (host, signature) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE)?)?;
        if head[0] != VERSION || host.len() > MAX_HOST {
            return None;
        }
        let (key, end) = head[1..].split_at(KEY);
        let token = DebugToken {
            expires_at: Duration::from_secs(u64::from_be_bytes(end.try_into().ok()?)),
            host: std::str::from_utf8(host).ok()?.into(),
        };
        Some(Self {
            key: SigningKeyId(key.try_into().ok()?),
            token,
            signature: signature.try_into().ok()?,
        })
    }

    /// Whether it holds at `now`, since 1970. One that claims to hold for longer than any may does not.
    pub fn is_current(&self, now: Duration) -> bool {
        let end = self.token.expires_at;
        now < end && end <= now + MAX_DEBUG_TOKEN_LIFE + SKEW
    }

    /// Whether one of `verifiers` has the name that it says signed it: without that there is nothing to verify.
    pub fn is_of(&self, verifiers: &Verifiers) -> bool {
        verifiers.knows(self.key)
    }

    /// The token, for whoever has verified the same text before.
    pub fn known(self) -> DebugToken {
        self.token
    }

    /// The token, if one of `verifiers` signed it for this history.
    ///
    /// # Errors
    /// When it did not.
    pub fn verified(self, verifiers: &Verifiers, history: &[u8; 16]) -> Result<DebugToken, Unsigned> {
        let statement = self.token.statement(history);
        verifiers.verify(&self.key.0, &statement, &self.signature)?;
        Ok(self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: [u8; 16] = [7; 16];

    fn signer() -> Signer {
        Signer::new(&Signer::generate().unwrap()).unwrap()
    }

    fn token(host: &str) -> DebugToken {
        DebugToken {
            expires_at: Duration::from_secs(1_000),
            host: host.into(),
        }
    }

    #[test]
    fn a_token_holds_for_its_signer_and_its_history_only() {
        let (ours, theirs) = (signer(), signer());
        let verifiers = Verifiers::new([ours.public_key()]).unwrap();
        for host in ["", "shop.example", &"a".repeat(MAX_HOST)] {
            let claim =
                |signer: &Signer| DebugClaim::read(token(host).sign(signer, &HISTORY).as_bytes()).unwrap();
            assert_eq!(claim(&ours).verified(&verifiers, &HISTORY), Ok(token(host)));
            let elsewhere = claim(&ours).verified(&verifiers, &[8; 16]);
            assert_eq!(elsewhere, Err(Unsigned::Forged));
            assert!(claim(&ours).is_of(&verifiers) && !claim(&theirs).is_of(&verifiers));
            let foreign = claim(&theirs).verified(&verifiers, &HISTORY);
            assert_eq!(foreign, Err(Unsigned::UnknownKey));
        }
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let ours = signer();
        let verifiers = Verifiers::new([ours.public_key()]).unwrap();
        let text = token("shop.example").sign(&ours, &HISTORY);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = BASE64_URL_SAFE_NO_PAD.encode(changed);
            let claim = DebugClaim::read(text.as_bytes());
            let verified = claim.map(|claim| claim.verified(&verifiers, &HISTORY).is_ok());
            assert_ne!(verified, Some(true), "{at}");
        }
    }

    #[test]
    fn a_token_holds_until_its_end_and_for_no_longer_than_any_may() {
        let text = token("").sign(&signer(), &HISTORY);
        let claim = DebugClaim::read(text.as_bytes()).unwrap();
        let holds = |seconds| claim.is_current(Duration::from_secs(seconds));
        assert!(holds(999) && !holds(1_000) && !holds(5_000));
        let early = DebugToken {
            expires_at: Duration::from_secs(10_000),
            host: "".into(),
        };
        let claim = DebugClaim::read(early.sign(&signer(), &HISTORY).as_bytes()).unwrap();
        assert!(!claim.is_current(Duration::from_secs(6_000)));
        assert!(claim.is_current(Duration::from_secs(6_350)));
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        let long = "A".repeat(10_000);
        let short = BASE64_URL_SAFE_NO_PAD.encode([VERSION; HEAD + SIGNATURE - 1]);
        for text in ["", "-", "AAAA", "not base64!", &long, &short] {
            assert!(DebugClaim::read(text.as_bytes()).is_none(), "{text}");
        }
        let least = BASE64_URL_SAFE_NO_PAD.encode([VERSION; HEAD + SIGNATURE]);
        assert!(DebugClaim::read(least.as_bytes()).is_some());
    }
}
