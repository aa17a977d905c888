//! What a proxy keeps of its identity, as it is on disk (sealed).

use std::{mem, sync::Arc, time::Duration};

use prost::Message as _;
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use sluice_proto::v1;
use sluice_tls::{ALPN_H2, CONTROL_URI, Fault, Identity, Leaf, SubjectName, Trust, Verifiers, client_config};
use zeroize::Zeroize as _;

/// The file. Empty bytes stand for what is not there.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Stored {
    /// PKCS #8.
    #[prost(bytes = "vec", tag = "1")]
    pub(super) key: Vec<u8>,
    /// Hash of the token that the certificate came with.
    #[prost(bytes = "vec", tag = "2")]
    pub(super) joined_with: Vec<u8>,
    /// X.509 in DER, the proxy's own first.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) chain: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "4")]
    pub(super) bundle: Option<v1::Bundle>,
    /// When the certificate was received, in seconds since 1970.
    #[prost(uint64, tag = "5")]
    pub(super) received_at: u64,
    /// A key that waits for its certificate, and hash of the token that it waits with.
    #[prost(bytes = "vec", tag = "6")]
    pub(super) pending_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "7")]
    pub(super) pending_with: Vec<u8>,
}

/// What is made of it.
#[derive(Clone, Debug)]
pub(super) struct Usable {
    pub(super) tls: Arc<ClientConfig>,
    /// From and until when the certificate is good, since 1970.
    pub(super) not_after: Duration,
    /// When it should be renewed at the latest.
    pub(super) renew_by: Duration,
}

impl Stored {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }

    /// Takes the answer to a request for a certificate.
    pub(super) fn receive(&mut self, enrolled: v1::Enrolled, now: Duration) {
        self.chain = enrolled.chain;
        self.bundle = enrolled.bundle;
        self.received_at = now.as_secs();
    }

    /// Puts the pending key in the place of the one before.
    pub(super) fn take_pending(&mut self) {
        self.key.zeroize();
        self.key = mem::take(&mut self.pending_key);
        self.joined_with = mem::take(&mut self.pending_with);
    }

    /// What to connect with; `None` without a certificate.
    ///
    /// # Errors
    /// When certificate, key and roots are none, or do not belong together.
    pub(super) fn usable(&self) -> Result<Option<Usable>, Fault> {
        if self.chain.is_empty() {
            return Ok(None);
        }
        let bundle = self.bundle.as_ref().ok_or(Fault::NoCertificate)?;
        Verifiers::new(&bundle.signing_keys).ok_or(Fault::PrivateKey)?;
        let certificates = |der: &[Vec<u8>]| -> Vec<CertificateDer<'static>> {
            der.iter().map(|der| der.clone().into()).collect()
        };
        let trust = Trust::new(&certificates(&bundle.authorities), &[])?;
        let key = PrivateKeyDer::try_from(self.key.as_slice()).map_err(|_| Fault::PrivateKey)?;
        let identity = Identity::new(certificates(&self.chain), &key, None)?;
        let not_after = since_1970(identity.leaf());
        let received_at = Duration::from_secs(self.received_at);
        let life = not_after.saturating_sub(received_at);
        let names = vec![SubjectName::Uri(CONTROL_URI.into())];
        Ok(Some(Usable {
            tls: Arc::new(client_config(trust, names, Some(identity), ALPN_H2)?),
            not_after,
            renew_by: received_at + life.mul_f64(2.0 / 3.0),
        }))
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.key.zeroize();
        self.pending_key.zeroize();
    }
}

fn since_1970(leaf: &Leaf) -> Duration {
    Duration::from_secs(u64::try_from(leaf.not_after).unwrap_or_default())
}
