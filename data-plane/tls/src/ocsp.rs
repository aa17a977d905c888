//! OCSP responses that are stapled (RFC 6066 section 8): what they say, of whom, and how long.

use aws_lc_rs::digest::{self, digest};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader};
use rustls::pki_types::{CertificateDer, UnixTime};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, OcspResponseStatus,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Fault;
use crate::provider::algorithms;

/// `id-pkix-ocsp-basic` (RFC 6960 section 4.2.1), the one type of response there is.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// `id-kp-OCSPSigning` (RFC 6960 section 4.2.2.2): 1.3.6.1.5.5.7.3.9.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// Digests by which a response names an issuer. SHA-1, which nearly all use, names here and proves
/// nothing.
const DIGESTS: [(ObjectIdentifier, &digest::Algorithm); 4] = [
    (
        ObjectIdentifier::new_unwrap("1.3.14.3.2.26"),
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"),
        &digest::SHA256,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"),
        &digest::SHA384,
    ),
    (
        ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"),
        &digest::SHA512,
    ),
];
/// Most certificates in a response that are tried as its signer's; one is what responders send.
const MAX_SIGNERS: usize = 4;

/// What can be wrong with a response that is to be stapled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OcspFault {
    /// Not a successful, basic `OCSPResponse` by RFC 6960 in DER.
    #[error("is not a successful OCSP response in DER")]
    Unreadable,
    /// Nothing in it is about the leaf.
    #[error("says nothing of the first certificate of the chain, only of others or of another issuer's")]
    OfOthers,
    /// The leaf was taken back.
    #[error("says that the certificate is revoked")]
    Revoked,
    /// The responder has never heard of the leaf.
    #[error("says that its responder does not know the certificate")]
    Unknown,
    /// It has no end (RFC 5019 section 2.2.4 wants one in what is kept).
    #[error("has no nextUpdate, so nobody knows until when it holds")]
    Endless,
    /// It ends before it begins.
    #[error("has a nextUpdate that is not after its thisUpdate")]
    Times,
    /// Neither the issuer nor somebody whom it let sign for it has signed.
    #[error(
        "is not signed by the certificate's issuer or a responder that it has authorised, with an algorithm \
         that TLS uses (SHA-1 is none)"
    )]
    Signature,
}

/// A response that says that a certificate is good, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staple {
    der: Vec<u8>,
    this_update: u64,
    next_update: u64,
}

impl Staple {
    /// Reads a response in DER, as `openssl ocsp -respout` writes it, for the first certificate of
    /// `chain` (DER): by serial number and name of the issuer. Where the issuer is at hand, the second of
    /// the chain or the first itself, also by its key, and then the signature is verified: it has to
    /// be the issuer's, or that of a responder to whom the issuer gave a certificate for it (RFC 6960
    /// section 4.2.2.2) that was valid when the response was made. A chain that leaves out the issuer
    /// leaves nothing to verify with; clients, who do know it, still do.
    ///
    /// Nothing depends on the time: a response that is over reads, and [`Staple::holds_at`] says so.
    ///
    /// # Errors
    /// [`Fault::Ocsp`] with what is wrong, and [`Fault::Certificate`] for a chain that does not parse.
    pub fn read(der: &[u8], chain: &[impl AsRef<[u8]>]) -> Result<Self, Fault> {
        let subject = Subject::read(chain)?;
        let (signed, basic) = read_basic(der).ok_or(OcspFault::Unreadable)?;
        let mut times: Option<(u64, u64)> = None;
        let responses = &basic.tbs_response_data.responses;
        for single in responses.iter().filter(|one| subject.is_named(&one.cert_id)) {
            match single.cert_status {
                CertStatus::Good(_) => {}
                CertStatus::Revoked(_) => return Err(OcspFault::Revoked.into()),
                CertStatus::Unknown(_) => return Err(OcspFault::Unknown.into()),
            }
            let from = seconds(single.this_update);
            let until = single.next_update.map(seconds).ok_or(OcspFault::Endless)?;
            // All of them have to hold for the whole to.
            times = Some(times.map_or((from, until), |(first, last)| (first.max(from), last.min(until))));
        }
        let (this_update, next_update) = times.ok_or(OcspFault::OfOthers)?;
        if next_update <= this_update {
            return Err(OcspFault::Times.into());
        }
        match subject.issuer {
            Some(issuer) if !is_signed(&signed, &basic, &issuer.der) => Err(OcspFault::Signature.into()),
            _ => Ok(Self {
                der: der.to_vec(),
                this_update,
                next_update,
            }),
        }
    }

    /// Seconds since 1970 from which it holds (`thisUpdate`).
    pub fn this_update(&self) -> u64 {
        self.this_update
    }

    /// Seconds since 1970 at which it is over (`nextUpdate`).
    pub fn next_update(&self) -> u64 {
        self.next_update
    }

    /// Whether clients take it at this time (RFC 6960 section 3.2).
    pub fn holds_at(&self, now: UnixTime) -> bool {
        (self.this_update..self.next_update).contains(&now.as_secs())
    }

    /// The response as it came.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }
}

/// The certificate that a response is to be about, and who issued it.
struct Subject<'c> {
    leaf: X509Certificate<'c>,
    issuer: Option<Issuer<'c>>,
}

struct Issuer<'c> {
    der: CertificateDer<'c>,
    certificate: X509Certificate<'c>,
}

impl<'c> Subject<'c> {
    fn read(chain: &'c [impl AsRef<[u8]>]) -> Result<Self, Fault> {
        let leaf = parse(chain, 0)?.ok_or(Fault::NoCertificate)?;
        let at = usize::from(leaf.subject().as_raw() != leaf.issuer().as_raw());
        let issuer = chain.get(at).zip(parse(chain, at)?);
        Ok(Self {
            leaf,
            issuer: issuer.map(|(der, certificate)| Issuer {
                der: der.as_ref().into(),
                certificate,
            }),
        })
    }

    fn is_named(&self, id: &CertId) -> bool {
        let known = DIGESTS.iter().find(|(oid, _)| *oid == id.hash_algorithm.oid);
        let Some((_, algorithm)) = known else { return false };
        let is = |hash: &[u8], of: &[u8]| digest(algorithm, of).as_ref() == hash;
        unpadded(id.serial_number.as_bytes()) == unpadded(self.leaf.raw_serial())
            && is(id.issuer_name_hash.as_bytes(), self.leaf.issuer().as_raw())
            && self.issuer.as_ref().is_none_or(|issuer| {
                let key = &issuer.certificate.public_key().subject_public_key.data;
                is(id.issuer_key_hash.as_bytes(), key)
            })
    }
}

fn parse(chain: &[impl AsRef<[u8]>], at: usize) -> Result<Option<X509Certificate<'_>>, Fault> {
    let read = chain.get(at).map(|der| X509Certificate::from_der(der.as_ref()));
    let read = read.transpose().map_err(|_| Fault::Certificate { at })?;
    Ok(read.map(|(_, certificate)| certificate))
}

/// Bytes of a number without the zero that keeps it from being negative.
fn unpadded(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn seconds(time: OcspGeneralizedTime) -> u64 {
    time.0.to_unix_duration().as_secs()
}

/// What is signed, and what it says.
fn read_basic(der: &[u8]) -> Option<(Vec<u8>, BasicOcspResponse)> {
    let response = OcspResponse::from_der(der).ok()?;
    let bytes = response.response_bytes?;
    if response.response_status != OcspResponseStatus::Successful || bytes.response_type != BASIC {
        return None;
    }
    let basic = bytes.response.as_bytes();
    // As it came, not written anew: a signature is over bytes.
    let content = AnyRef::from_der(basic).ok()?.value();
    let signed = SliceReader::new(content).ok()?.tlv_bytes().ok()?.to_vec();
    Some((signed, BasicOcspResponse::from_der(basic).ok()?))
}

/// Whether the signature is the issuer's or a responder's that it has authorised.
fn is_signed(signed: &[u8], basic: &BasicOcspResponse, issuer: &CertificateDer<'_>) -> bool {
    let verify = |signer: &CertificateDer<'_>| verifies(signed, basic, signer).is_some_and(|valid| valid);
    let responders = basic.certs.iter().flatten().take(MAX_SIGNERS);
    verify(issuer)
        || responders
            .filter_map(|certificate| certificate.to_der().ok())
            .map(CertificateDer::from)
            .any(|responder| is_authorised(&responder, issuer, basic) && verify(&responder))
}

fn verifies(signed: &[u8], basic: &BasicOcspResponse, signer: &CertificateDer<'_>) -> Option<bool> {
    let signer = EndEntityCert::try_from(signer).ok()?;
    let identifier = basic.signature_algorithm.to_der().ok()?;
    let identifier = AnyRef::from_der(&identifier).ok()?.value();
    let signature = basic.signature.as_bytes()?;
    let mut candidates = algorithms().all.iter();
    let is_valid = candidates.any(|algorithm| {
        algorithm.signature_alg_id().as_ref() == identifier
            && signer.verify_signature(*algorithm, signed, signature).is_ok()
    });
    Some(is_valid)
}

/// Whether `issuer` lets `responder` answer for it, at the time at which it did.
fn is_authorised(
    responder: &CertificateDer<'_>,
    issuer: &CertificateDer<'_>,
    basic: &BasicOcspResponse,
) -> bool {
    let (Ok(anchor), Ok(parsed)) = (
        anchor_from_trusted_cert(issuer),
        EndEntityCert::try_from(responder),
    ) else {
        return false;
    };
    let then = basic.tbs_response_data.produced_at.0.to_unix_duration();
    let usage = KeyUsage::required(OCSP_SIGNING);
    let then = UnixTime::since_unix_epoch(then);
    parsed
        .verify_for_usage(algorithms().all, &[anchor], &[], then, usage, None, None)
        .is_ok()
}
