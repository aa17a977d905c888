//! Certificates made on the spot.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RevokedCertParams,
    SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

/// A certificate, the leaf first, and its key in DER.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Vec<u8>,
    /// To be stapled.
    pub(crate) ocsp: Option<Vec<u8>>,
}

/// An authority that issues certificates.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
    /// Authorities between it and the root, itself included, nearest first.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
            above: Vec::new(),
        }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str) -> Self {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let above = [std::slice::from_ref(&certificate), &self.above].concat();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
            above,
        }
    }

    /// A list that takes back the certificates with these serial numbers, good until `year`.
    pub(crate) fn revoke(&self, serials: &[u64], year: i32) -> CertificateRevocationListDer<'static> {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().clone()
    }

    pub(crate) fn issue(&self, leaf: Leaf) -> Issued {
        let key = KeyPair::generate_for(leaf.algorithm).unwrap();
        let names: Vec<String> = leaf.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.serial_number = Some(SerialNumber::from(leaf.serial));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(leaf.until, 1, 1);
        for uri in leaf.uris {
            let uri = SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names.push(uri);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Issued {
            chain: [&[certificate][..], &self.above].concat(),
            key: key.serialize_der(),
            ocsp: None,
        }
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// What a certificate is to say.
pub(crate) struct Leaf {
    pub(crate) names: &'static [&'static str],
    pub(crate) uris: &'static [&'static str],
    pub(crate) algorithm: &'static SignatureAlgorithm,
    pub(crate) serial: u64,
    /// The year it ends with.
    pub(crate) until: i32,
}

pub(crate) fn named(names: &'static [&'static str]) -> Leaf {
    Leaf {
        names,
        uris: &[],
        algorithm: &PKCS_ECDSA_P256_SHA256,
        serial: 7,
        until: 2100,
    }
}

pub(crate) static RSA: &SignatureAlgorithm = &PKCS_RSA_SHA256;
pub(crate) static ED25519: &SignatureAlgorithm = &PKCS_ED25519;
