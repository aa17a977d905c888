//! What can be wrong with certificates and keys.

use thiserror::Error;

use crate::OcspFault;

/// What is wrong, without a byte of what it is wrong with: errors of the PEM reader quote their
/// input, which may be a private key, so they end here. Certificates and lists count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Lines or base64 that RFC 7468 does not have.
    #[error("is not PEM")]
    Pem,
    /// PEM without a certificate.
    #[error("has no CERTIFICATE section")]
    NoCertificate,
    /// PEM without a certificate revocation list.
    #[error("has no X509 CRL section")]
    NoCrl,
    /// More sections than anything sensible has.
    #[error("has more than {most} sections")]
    TooMany {
        /// Most that are taken.
        most: usize,
    },
    /// Not a certificate by RFC 5280.
    #[error("certificate {at} does not parse")]
    Certificate {
        /// Its place.
        at: usize,
    },
    /// A chain has to go from the leaf towards the root, one step at a time (RFC 8446 section 4.4.2).
    #[error("certificate {at} was not issued by the one after it; the leaf comes first, then its issuer")]
    Order {
        /// Place of the certificate whose issuer does not follow.
        at: usize,
    },
    /// A root that chains cannot end in.
    #[error("certificate {at} cannot be a root of trust")]
    Root {
        /// Its place.
        at: usize,
    },
    /// No private key, or one that is not supported.
    #[error(
        "has no private key that is supported: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, \
         or Ed25519, unencrypted in PKCS #8, PKCS #1 or SEC 1"
    )]
    PrivateKey,
    /// The public key of the leaf is another one.
    #[error("is not the key of the first certificate")]
    Mismatch,
    /// A response that cannot be stapled.
    #[error("{0}")]
    Ocsp(#[from] OcspFault),
    /// A certificate revocation list that chains cannot be checked against.
    #[error("a certificate revocation list does not parse or is of a form that is not supported")]
    Crl,
    /// A name that no certificate can have.
    #[error("a name to look for is no DNS name")]
    Name,
    /// The cryptography of this build lacks what TLS needs.
    #[error("this build cannot do TLS")]
    Provider,
}
