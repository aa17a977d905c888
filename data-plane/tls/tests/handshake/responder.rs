//! OCSP responses made on the spot.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::{BitString, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PublicKeyData as _, SigningKey as _};
use rustls::pki_types::CertificateDer;
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspResponse, ResponderId, ResponseData,
    RevokedInfo, SingleResponse, Version,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority::Authority;

/// When all responses are made.
pub(crate) const MADE: u64 = 1_700_000_000;
/// `SEQUENCE { id-sha1 }`
const SHA1: &[u8] = &[0x30, 0x07, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// `SEQUENCE { ecdsa-with-SHA256 }`
const ECDSA_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// What is said of one certificate of this serial number, below 128: that it is good for the hundred
/// seconds after [`MADE`], unless something else is said.
#[derive(Clone, Copy)]
pub(crate) struct Says {
    pub(crate) serial: u8,
    pub(crate) status: CertStatus,
    pub(crate) from: u64,
    pub(crate) until: Option<u64>,
}

pub(crate) fn good(serial: u8) -> Says {
    Says {
        serial,
        status: CertStatus::good(),
        from: MADE,
        until: Some(MADE + 100),
    }
}

pub(crate) fn revoked() -> CertStatus {
    CertStatus::Revoked(RevokedInfo {
        revocation_time: time(MADE),
        revocation_reason: None,
    })
}

/// A certificate that an authority gave a responder, and its key.
pub(crate) struct Responder {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    /// Somebody who may answer for this authority, if `usages` say so.
    pub(crate) fn responder(&self, usages: &[ExtendedKeyUsagePurpose]) -> Responder {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = usages.to_vec();
        params.not_before = rcgen::date_time_ymd(2023, 1, 1);
        params.not_after = rcgen::date_time_ymd(2024, 1, 1);
        Responder {
            certificate: params.signed_by(&key, &self.issuer).unwrap().der().clone(),
            key,
        }
    }

    /// A response that it signs itself.
    pub(crate) fn respond(&self, says: &[Says]) -> Vec<u8> {
        self.response(says, self.issuer.key(), &[])
    }

    /// A response about certificates of this authority that somebody else signs.
    pub(crate) fn respond_through(&self, responder: &Responder, says: &[Says]) -> Vec<u8> {
        self.response(says, &responder.key, std::slice::from_ref(&responder.certificate))
    }

    fn response(&self, says: &[Says], signer: &KeyPair, shown: &[CertificateDer<'_>]) -> Vec<u8> {
        let key = |key: &KeyPair| sha1(key.der_bytes());
        let tbs_response_data = ResponseData {
            version: Version::V1,
            responder_id: ResponderId::ByKey(key(signer)),
            produced_at: time(MADE),
            responses: says.iter().map(|says| self.single(says)).collect(),
            response_extensions: None,
        };
        let signature = signer.sign(&tbs_response_data.to_der().unwrap()).unwrap();
        let shown = shown.iter().map(|der| Decode::from_der(der).unwrap());
        let basic = BasicOcspResponse {
            tbs_response_data,
            signature_algorithm: Decode::from_der(ECDSA_SHA256).unwrap(),
            signature: BitString::from_bytes(&signature).unwrap(),
            certs: Some(shown.collect()).filter(|certs: &Vec<_>| !certs.is_empty()),
        };
        OcspResponse::successful(basic).unwrap().to_der().unwrap()
    }

    fn single(&self, says: &Says) -> SingleResponse {
        let (_, own) = X509Certificate::from_der(&self.certificate).unwrap();
        let serial = [0x02, 0x01, says.serial];
        SingleResponse {
            cert_id: CertId {
                hash_algorithm: Decode::from_der(SHA1).unwrap(),
                issuer_name_hash: sha1(own.subject().as_raw()),
                issuer_key_hash: sha1(self.issuer.key().der_bytes()),
                serial_number: Decode::from_der(&serial).unwrap(),
            },
            cert_status: says.status,
            this_update: time(says.from),
            next_update: says.until.map(time),
            single_extensions: None,
        }
    }
}

/// What a responder says that does not want to answer now (RFC 6960 section 4.2.1).
pub(crate) fn try_later() -> Vec<u8> {
    OcspResponse::try_later().to_der().unwrap()
}

/// A status that is none of the others'.
pub(crate) fn unknown() -> CertStatus {
    CertStatus::Unknown(Null)
}

fn sha1(bytes: &[u8]) -> OctetString {
    OctetString::new(digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()).unwrap()
}

fn time(seconds: u64) -> OcspGeneralizedTime {
    OcspGeneralizedTime(GeneralizedTime::from_unix_duration(Duration::from_secs(seconds)).unwrap())
}
