//! Short fingerprints of secret values, so that people can tell two of them apart or find that two are
//! the same, and nothing else.
//!
//! They are keyed: without the key nobody can try passwords against them. The key is a sealed record
//! of the store, so a value has the same fingerprint on every replica and after every restart.

use sluice_intent::ResourceId;
use zeroize::Zeroizing;

use crate::store::{RecordName, Secret, Store, StoreError};

const KEY_BYTES: usize = 32;
/// Bytes of a fingerprint, written in hexadecimal.
const LENGTH: usize = 4;
/// Shorter values have none: there are few of them, and whoever may write here could try them all.
const LEAST: usize = 16;

/// Makes fingerprints.
#[derive(Clone)]
pub struct Fingerprints {
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl Fingerprints {
    /// With the key of this store, which is made the first time. One that does not open may be another
    /// replica's, whose key file is newer or older: it stays, and the fingerprints are others here.
    pub(super) async fn of(store: &Store) -> Result<Self, StoreError> {
        if !store.can_seal() {
            // Nothing is secret here, so nothing will be asked of it.
            let key = random()?;
            return Ok(Self::with(&key));
        }
        loop {
            let record = store.record(RecordName::FingerprintKey).await?;
            let version = record.as_ref().map_or(0, |record| record.version);
            if record.as_ref().is_some_and(|record| record.body.is_none()) {
                tracing::warn!("the key of fingerprints does not open with this key file");
                return Ok(Self::with(&*random()?));
            }
            let key = record.and_then(|record| record.body);
            if let Some(Ok(key)) = key.as_ref().map(|key| key.expose().as_slice().try_into()) {
                return Ok(Self::with(key));
            }
            let fresh = Secret::new(random()?.to_vec());
            // Whether it was this replica or another that came first: it is read again.
            store
                .put_record(RecordName::FingerprintKey, version + 1, &fresh)
                .await?;
        }
    }

    /// What proxies hash header values in samples with. Says nothing of the key of fingerprints.
    pub fn sample_key(&self) -> [u8; KEY_BYTES] {
        blake3::derive_key("sluice: values of headers in samples of requests", &*self.key)
    }

    fn with(key: &[u8; KEY_BYTES]) -> Self {
        Self {
            key: Zeroizing::new(*key),
        }
    }

    /// The fingerprint of the value under `name` of `resource`; none of one that has less than 16 bytes.
    /// The same value elsewhere has another.
    pub fn fingerprint(&self, resource: &ResourceId, name: &str, value: &[u8]) -> Option<String> {
        if value.len() < LEAST {
            return None;
        }
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [resource.to_string().as_bytes(), name.as_bytes()] {
            // Neither has a zero byte.
            hasher.update(part).update(&[0]);
        }
        let hash = hasher.update(value).finalize();
        let short = hash.as_bytes()[..LENGTH].iter();
        Some(short.map(|byte| format!("{byte:02x}")).collect())
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints")
    }
}

fn random() -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(&mut *key).map_err(|_| StoreError::Rejected)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::KeyRing;

    #[tokio::test]
    async fn a_fingerprint_tells_values_and_places_apart_and_outlives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("a.db").display());
        let keys = KeyRing::random().unwrap();
        let [one, again] = [keys.clone(), keys].map(|keys| Store::open(std::slice::from_ref(&url), keys));
        let one = Fingerprints::of(&one.await.unwrap()).await.unwrap();
        let again = Fingerprints::of(&again.await.unwrap()).await.unwrap();
        let (a, b): (ResourceId, ResourceId) = (
            "Secret/default/a".parse().unwrap(),
            "Secret/default/b".parse().unwrap(),
        );
        let value = &[b'v'; LEAST];
        let print = one.fingerprint(&a, "password", value).unwrap();
        assert_eq!(print.len(), 2 * LENGTH);
        assert_eq!(Some(&print), again.fingerprint(&a, "password", value).as_ref());
        for other in [
            one.fingerprint(&a, "password", &[b'w'; LEAST]),
            one.fingerprint(&a, "passwor", &[b"d", &value[..]].concat()),
            one.fingerprint(&b, "password", value),
            Fingerprints::with(&[0; KEY_BYTES]).fingerprint(&a, "password", value),
        ] {
            assert_ne!(print, other.unwrap());
        }
        assert_eq!(one.fingerprint(&a, "password", &value[1..]), None);
    }
}
