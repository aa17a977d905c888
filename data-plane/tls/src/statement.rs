//! Who made a snapshot: ed25519 signatures (RFC 8032) over what identifies it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::Fault;

/// Length of a public key.
const PUBLIC_KEY: usize = 32;

/// Names a key: the first half of a quarter of SHA-256 is enough to tell a handful apart, and a
/// wrong guess only fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SigningKeyId(pub [u8; 8]);

/// Makes signatures.
#[derive(Clone)]
pub struct Signer {
    key: Arc<Ed25519KeyPair>,
    id: SigningKeyId,
}

/// The public keys whose signatures count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verifiers {
    keys: Vec<(SigningKeyId, [u8; PUBLIC_KEY])>,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It was made by a key that is not known here, or by nobody.
    #[error("it is not signed by a key that is trusted here")]
    UnknownKey,
    /// It is no signature of this statement.
    #[error("its signature does not fit")]
    Forged,
}

impl SigningKeyId {
    fn of(public: &[u8]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&digest(&SHA256, public).as_ref()[..8]);
        Self(id)
    }
}

impl Signer {
    /// A new key, as PKCS #8.
    ///
    /// # Errors
    /// [`Fault::Provider`] when the system gives no random bytes.
    pub fn generate() -> Result<Vec<u8>, Fault> {
        let key = Ed25519KeyPair::generate().map_err(|_| Fault::Provider)?;
        let key = key.to_pkcs8v1().map_err(|_| Fault::Provider)?;
        Ok(key.as_ref().to_vec())
    }

    /// Signs with a key in PKCS #8.
    ///
    /// # Errors
    /// [`Fault::PrivateKey`] when it is no ed25519 key.
    pub fn new(pkcs8: &[u8]) -> Result<Self, Fault> {
        let key = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| Fault::PrivateKey)?;
        let id = SigningKeyId::of(key.public_key().as_ref());
        Ok(Self {
            key: Arc::new(key),
            id,
        })
    }

    /// The name of its key.
    pub fn id(&self) -> SigningKeyId {
        self.id
    }

    /// The 32 bytes that verify.
    pub fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// The 64 bytes that say so.
    pub fn sign(&self, statement: &[u8]) -> Vec<u8> {
        self.key.sign(statement).as_ref().to_vec()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.id).finish()
    }
}

impl Verifiers {
    /// These keys; `None` when one of them has not 32 bytes.
    pub fn new<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Option<Self> {
        let named = keys.into_iter().map(|key| {
            let key = key.as_ref();
            Some((SigningKeyId::of(key), key.try_into().ok()?))
        });
        Some(Self {
            keys: named.collect::<Option<_>>()?,
        })
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether one of them has this name.
    pub fn knows(&self, key: SigningKeyId) -> bool {
        self.keys.iter().any(|(id, _)| *id == key)
    }

    /// Verifies that the key of that name signed `statement`.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, key: &[u8], statement: &[u8], signature: &[u8]) -> Result<(), Unsigned> {
        let known = self.keys.iter().find(|(id, _)| id.0 == key);
        let (_, public) = known.ok_or(Unsigned::UnknownKey)?;
        let verified = UnparsedPublicKey::new(&ED25519, public).verify(statement, signature);
        verified.map_err(|_| Unsigned::Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new(&Signer::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_a_trusted_key_signed_counts_and_nothing_else() {
        let (ours, other) = (signer(), signer());
        let verifiers = Verifiers::new([other.public_key(), ours.public_key()]).unwrap();
        let signature = ours.sign(b"statement");
        assert_eq!(verifiers.verify(&ours.id().0, b"statement", &signature), Ok(()));
        assert_eq!(
            verifiers.verify(&other.id().0, b"statement", &signature),
            Err(Unsigned::Forged)
        );
        assert_eq!(
            verifiers.verify(&ours.id().0, b"Statement", &signature),
            Err(Unsigned::Forged)
        );
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            let verified = verifiers.verify(&ours.id().0, b"statement", &changed);
            assert_eq!(verified, Err(Unsigned::Forged), "{at}");
        }
        let stranger = signer();
        let signature = stranger.sign(b"statement");
        for key in [&stranger.id().0[..], b""] {
            assert_eq!(
                verifiers.verify(key, b"statement", &signature),
                Err(Unsigned::UnknownKey)
            );
        }
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert!(Verifiers::new([[1; 31]]).is_none());
        assert!(Verifiers::new([[1; 32]]).is_some());
        assert!(Signer::new(b"no key").is_err());
    }
}
