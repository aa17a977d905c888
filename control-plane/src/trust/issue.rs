//! Roots and certificates, as rcgen makes them.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
    date_time_ymd,
};
use sluice_tls::{CONTROL_URI, KeyHash, Signer, proxy_uri};
use thiserror::Error;

use super::authority::Generation;
use crate::store::{Secret, UnixMillis};

/// How far the clocks of proxies may be behind.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// How long a root is good: 10 years.
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Random bytes of a serial number (RFC 5280 section 4.1.2.2: at most 20).
const SERIAL_BYTES: usize = 16;

/// Why no certificate was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IssueError {
    /// The request is none that can be granted.
    #[error(
        "the request is not PKCS #10 in DER, signed by its own key (ECDSA on P-256 or P-384, Ed25519 or RSA)"
    )]
    Request,
    /// A name that certificates cannot have.
    #[error("the id of the proxy cannot stand in a certificate")]
    Name,
    /// The system gives no random bytes, or a key does not work.
    #[error("a key or a certificate cannot be made")]
    Keys,
}

/// A new root.
pub(super) struct Root {
    pub(super) certificate: Vec<u8>,
    pub(super) cross: Option<Vec<u8>>,
    pub(super) key: Secret<Vec<u8>>,
}

/// A certificate with its key.
pub(super) struct Pair {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Secret<Vec<u8>>,
}

/// Makes root `number`, which `before` signs as well.
pub(super) fn root(number: u64, now: UnixMillis, before: Option<&Generation>) -> Result<Root, IssueError> {
    let mut params = params(now, ROOT_LIFETIME)?;
    let name = format!("Sluice authority {number}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().map_err(|_| IssueError::Keys)?;
    let certificate = params.self_signed(&key).map_err(|_| IssueError::Keys)?;
    let cross = match before {
        Some(before) => Some(sign(params, &key, before)?),
        None => None,
    };
    Ok(Root {
        certificate: certificate.der().to_vec(),
        cross,
        key: Secret::new(key.serialize_der()),
    })
}

/// Makes a key that signs snapshots.
pub(super) fn signing_key() -> Result<Secret<Vec<u8>>, IssueError> {
    Signer::generate().map(Secret::new).map_err(|_| IssueError::Keys)
}

/// Makes what a control plane shows.
pub(super) fn control(issuer: &Generation, now: UnixMillis, lifetime: Duration) -> Result<Pair, IssueError> {
    let key = KeyPair::generate().map_err(|_| IssueError::Keys)?;
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    let params = leaf(CONTROL_URI, usage, now, lifetime)?;
    Ok(Pair {
        certificate: sign(params, &key, issuer)?,
        key: Secret::new(key.serialize_der()),
    })
}

/// Reads a request, and checks that whoever made it has the key. Nothing else in it counts.
pub(super) struct Request {
    public_key: rcgen::PublicKey,
}

impl Request {
    /// Reads it.
    ///
    /// # Errors
    /// When it is no request, or not signed by its own key.
    pub(super) fn read(der: &[u8]) -> Result<Self, IssueError> {
        let read = CertificateSigningRequestParams::from_der(&der.into());
        let CertificateSigningRequestParams { public_key, .. } = read.map_err(|_| IssueError::Request)?;
        Ok(Self { public_key })
    }

    /// Of the key.
    pub(super) fn key(&self) -> KeyHash {
        KeyHash::of(&self.public_key.subject_public_key_info())
    }

    /// The certificate of the proxy `id`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn grant(
        &self,
        id: &str,
        issuer: &Generation,
        now: UnixMillis,
        lifetime: Duration,
    ) -> Result<Vec<u8>, IssueError> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let params = leaf(&proxy_uri(id), usage, now, lifetime)?;
        sign(params, &self.public_key, issuer)
    }
}

fn leaf(
    uri: &str,
    usage: ExtendedKeyUsagePurpose,
    now: UnixMillis,
    lifetime: Duration,
) -> Result<CertificateParams, IssueError> {
    let mut params = params(now, lifetime)?;
    let uri = uri.try_into().map_err(|_| IssueError::Name)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(now: UnixMillis, lifetime: Duration) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    let mut serial = [0; SERIAL_BYTES];
    getrandom::fill(&mut serial).map_err(|_| IssueError::Keys)?;
    // Positive, and not shorter for a leading zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    let now = date_time_ymd(1970, 1, 1) + Duration::from_millis(now.0);
    params.not_before = now - SKEW;
    params.not_after = now + lifetime;
    Ok(params)
}

fn sign(
    params: CertificateParams,
    key: &impl PublicKeyData,
    issuer: &Generation,
) -> Result<Vec<u8>, IssueError> {
    let issuer_key = KeyPair::try_from(issuer.root_key.expose().as_slice()).map_err(|_| IssueError::Keys)?;
    let issuer = Issuer::from_ca_cert_der(&issuer.root.as_slice().into(), issuer_key);
    let issuer = issuer.map_err(|_| IssueError::Keys)?;
    let certificate = params.signed_by(key, &issuer).map_err(|_| IssueError::Keys)?;
    Ok(certificate.der().to_vec())
}
