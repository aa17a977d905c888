//! Envelope encryption: each body is sealed under a data key of its own (AES-256-GCM), and that key
//! is wrapped by an envelope key which never reaches the database.
//!
//! Both are bound to where they belong, so that a row that was swapped, brought back from the past
//! or taken from another store does not open. A new envelope key re-wraps data keys and leaves
//! bodies as they are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sluice_model::Secret;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use super::resource::ResourceKey;

/// Length of data keys and envelope keys.
pub(super) const KEY_BYTES: usize = 32;
/// What the id of a key is derived under, so that it says nothing about the key.
const ID_CONTEXT: &str = "sluice 2026-11-21 id of an envelope key";
/// Bytes of the id, written in hexadecimal.
const ID_BYTES: usize = 8;

/// The envelope keys: the first seals, all of them open. Clones share them.
#[derive(Clone, Default)]
pub struct KeyRing {
    keys: Arc<[EnvelopeKey]>,
    left_out: Arc<BTreeSet<ResourceKey>>,
}

struct EnvelopeKey {
    id: String,
    cipher: RandomizedNonceKey,
}

/// A sealed body and its wrapped data key.
#[derive(Debug)]
pub(super) struct Envelope {
    /// Of the envelope key that wraps the data key.
    pub(super) key_id: String,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// Why something is not sealed or does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum EnvelopeError {
    #[error("there is no envelope key")]
    NoKey,
    #[error("it was sealed under an envelope key that is not in the key file")]
    UnknownKey,
    #[error("it is damaged, or not where it belongs")]
    Forged,
    #[error("the system gives no random bytes")]
    Random,
}

impl KeyRing {
    /// A ring of one random key, which is lost with the process.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key)?;
        Ok(Self::new([&*key]))
    }

    /// A ring of these keys, in this order; which the caller has bounded.
    pub(super) fn new<'a>(keys: impl IntoIterator<Item = &'a [u8; KEY_BYTES]>) -> Self {
        // Keys of the right length are never refused, so none is lost here.
        let keys = keys.into_iter().filter_map(EnvelopeKey::new);
        Self {
            keys: keys.collect(),
            left_out: Arc::default(),
        }
    }

    /// The same ring, with which these are left out where they do not open: as if they were not there.
    #[must_use]
    pub fn leaving_out(self, left_out: impl IntoIterator<Item = ResourceKey>) -> Self {
        Self {
            left_out: Arc::new(left_out.into_iter().collect()),
            ..self
        }
    }

    pub(super) fn leaves_out(&self, key: &ResourceKey) -> bool {
        self.left_out.contains(key)
    }

    /// Whether anything can be sealed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Ids of all keys; the first is of the one that seals.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| &*key.id)
    }

    /// Seals `secret` for the place that `binding` names.
    pub(super) fn seal(&self, secret: &Secret<Vec<u8>>, binding: &[u8]) -> Result<Envelope, EnvelopeError> {
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *data_key).map_err(|_| EnvelopeError::Random)?;
        let cipher = data_cipher(&*data_key)?;
        let body = seal(&cipher, binding, secret.expose())?;
        let (key_id, wrapped_key) = self.wrap(&*data_key, binding)?;
        Ok(Envelope {
            key_id,
            wrapped_key,
            body,
        })
    }

    /// Opens what was sealed for `binding`.
    pub(super) fn open(&self, envelope: &Envelope, binding: &[u8]) -> Result<Secret<Vec<u8>>, EnvelopeError> {
        let cipher = data_cipher(self.unwrap(envelope, binding)?.expose())?;
        open(&cipher, binding, &envelope.body)
    }

    /// The data key wrapped anew by the first envelope key: its id, and the wrapped key.
    pub(super) fn rewrap(
        &self,
        envelope: &Envelope,
        binding: &[u8],
    ) -> Result<(String, Vec<u8>), EnvelopeError> {
        self.wrap(self.unwrap(envelope, binding)?.expose(), binding)
    }

    fn wrap(&self, data_key: &[u8], binding: &[u8]) -> Result<(String, Vec<u8>), EnvelopeError> {
        let key = self.keys.first().ok_or(EnvelopeError::NoKey)?;
        let wrapped = seal(&key.cipher, &key.bound(binding), data_key)?;
        Ok((key.id.clone(), wrapped))
    }

    fn unwrap(&self, envelope: &Envelope, binding: &[u8]) -> Result<Secret<Vec<u8>>, EnvelopeError> {
        if self.keys.is_empty() {
            return Err(EnvelopeError::NoKey);
        }
        let key = self.keys.iter().find(|key| key.id == envelope.key_id);
        let key = key.ok_or(EnvelopeError::UnknownKey)?;
        open(&key.cipher, &key.bound(binding), &envelope.wrapped_key)
    }
}

impl EnvelopeKey {
    fn new(key: &[u8; KEY_BYTES]) -> Option<Self> {
        let id = blake3::derive_key(ID_CONTEXT, key);
        let id = id[..ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
        Some(Self { id, cipher })
    }

    /// A wrapped key is bound to the envelope key's id too.
    fn bound(&self, binding: &[u8]) -> Vec<u8> {
        [self.id.as_bytes(), b"\0", binding].concat()
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

fn data_cipher(key: &[u8]) -> Result<RandomizedNonceKey, EnvelopeError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| EnvelopeError::Forged)
}

/// `nonce | ciphertext | tag`.
fn seal(cipher: &RandomizedNonceKey, binding: &[u8], plain: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let mut sealed = plain.to_vec();
    match cipher.seal_in_place_append_tag(Aad::from(binding), &mut sealed) {
        Ok(nonce) => Ok([&nonce.as_ref()[..], &sealed].concat()),
        Err(_) => {
            sealed.zeroize();
            Err(EnvelopeError::Random)
        }
    }
}

fn open(
    cipher: &RandomizedNonceKey,
    binding: &[u8],
    sealed: &[u8],
) -> Result<Secret<Vec<u8>>, EnvelopeError> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or(EnvelopeError::Forged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| EnvelopeError::Forged)?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let plain = cipher.open_in_place(nonce, Aad::from(binding), &mut bytes);
    plain
        .map(|plain| Secret::new(plain.to_vec()))
        .map_err(|_| EnvelopeError::Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(keys: &[u8]) -> KeyRing {
        let keys: Vec<_> = keys.iter().map(|byte| [*byte; KEY_BYTES]).collect();
        KeyRing::new(&keys)
    }

    fn secret() -> Secret<Vec<u8>> {
        Secret::new(b"a private key".to_vec())
    }

    #[test]
    fn what_was_sealed_opens_where_it_belongs_and_nowhere_else() {
        let ring = ring(&[1]);
        let envelope = ring.seal(&secret(), b"here").unwrap();
        assert_eq!(ring.open(&envelope, b"here"), Ok(secret()));
        assert_eq!(ring.open(&envelope, b"there"), Err(EnvelopeError::Forged));
        let other = ring.seal(&secret(), b"here").unwrap();
        let mixed = Envelope {
            body: other.body,
            ..envelope
        };
        assert_eq!(ring.open(&mixed, b"here"), Err(EnvelopeError::Forged));
    }

    #[test]
    fn no_bit_of_an_envelope_can_be_turned() {
        let ring = ring(&[1]);
        let envelope = ring.seal(&secret(), b"here").unwrap();
        let turned = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        for at in 0..envelope.body.len() {
            let body = turned(&envelope.body, at);
            let (key_id, wrapped_key) = (envelope.key_id.clone(), envelope.wrapped_key.clone());
            let changed = Envelope {
                key_id,
                wrapped_key,
                body,
            };
            assert_eq!(ring.open(&changed, b"here"), Err(EnvelopeError::Forged), "{at}");
        }
        for at in 0..envelope.wrapped_key.len() {
            let wrapped_key = turned(&envelope.wrapped_key, at);
            let (key_id, body) = (envelope.key_id.clone(), envelope.body.clone());
            let changed = Envelope {
                key_id,
                wrapped_key,
                body,
            };
            assert_eq!(ring.open(&changed, b"here"), Err(EnvelopeError::Forged), "{at}");
        }
    }

    #[test]
    fn the_first_key_seals_all_open_and_a_rewrapped_body_needs_the_old_one_no_more() {
        let (old, both, new) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
        let envelope = old.seal(&secret(), b"here").unwrap();
        assert_eq!(both.open(&envelope, b"here"), Ok(secret()));
        assert_eq!(new.open(&envelope, b"here"), Err(EnvelopeError::UnknownKey));
        let (key_id, wrapped_key) = both.rewrap(&envelope, b"here").unwrap();
        let envelope = Envelope {
            key_id,
            wrapped_key,
            ..envelope
        };
        assert_eq!(new.open(&envelope, b"here"), Ok(secret()));
        assert_eq!(old.open(&envelope, b"here"), Err(EnvelopeError::UnknownKey));
        assert_eq!(
            KeyRing::default().open(&envelope, b"here"),
            Err(EnvelopeError::NoKey)
        );
    }

    #[test]
    fn neither_a_ring_nor_an_envelope_shows_what_is_in_it() {
        let ring = ring(b"k");
        let envelope = ring.seal(&secret(), b"here").unwrap();
        let shown = format!("{ring:?}");
        assert!(!shown.contains("kkkk") && !shown.contains("107"), "{shown}");
        assert!(!envelope.body.windows(7).any(|window| window == b"private"));
    }
}
