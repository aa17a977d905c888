//! The cryptography that both directions use.

use std::sync::{Arc, LazyLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedProtocolVersion, crypto::WebPkiSupportedAlgorithms};

/// aws-lc-rs with what it offers by default: in TLS 1.3 every suite, in 1.2 ECDHE with AES-GCM or
/// ChaCha20-Poly1305 and nothing else; X25519, P-256, P-384 and X25519MLKEM768. That is within
/// Mozilla's "intermediate" recommendation (guidelines 5.7). Passed on explicitly: the process has
/// no default provider.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(default_provider()));

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// How signatures in certificates and handshakes are verified.
pub(crate) fn algorithms() -> &'static WebPkiSupportedAlgorithms {
    &PROVIDER.signature_verification_algorithms
}

/// What rustls's two traits for verifiers have in common: signatures in handshakes, which are verified
/// in one way whoever has signed.
macro_rules! verify_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &rustls::pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls12_signature(message, cert, dss, $crate::provider::algorithms())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &rustls::pki_types::CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(message, cert, dss, $crate::provider::algorithms())
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            $crate::provider::algorithms().supported_schemes()
        }
    };
}
pub(crate) use verify_signatures;

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MinVersion {
    /// RFC 5246
    Tls12,
    /// RFC 8446
    Tls13,
}

static FROM_TLS12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_TLS13: [&SupportedProtocolVersion; 1] = [&TLS13];

impl MinVersion {
    pub(crate) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => &FROM_TLS12,
            Self::Tls13 => &FROM_TLS13,
        }
    }
}
