//! What is stapled, and until when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme};
use sluice_tls::{Fault, MinVersion, OcspFault, Staple, Tickets, server_config};

use crate::authority::{Authority, Issued, Leaf, named};
use crate::responder::{MADE, Responder, Says, good, revoked, try_later, unknown};
use crate::setup::identity;
use crate::wire::connect;

/// The serial number of [`leaf`].
const SERIAL: u8 = 7;

fn leaf(issuer: &Authority) -> Issued {
    issuer.issue(Leaf {
        serial: SERIAL.into(),
        ..named(&["a.example"])
    })
}

/// An authority below a root, so that the chain has the issuer, and a certificate of it.
fn issued() -> (Authority, Issued) {
    let authority = Authority::root("root").below("below");
    let issued = leaf(&authority);
    (authority, issued)
}

fn fault(read: Result<Staple, Fault>) -> OcspFault {
    match read {
        Err(Fault::Ocsp(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_issuer_says_until_when_a_certificate_is_good() {
    let (authority, issued) = issued();
    let response = authority.respond(&[good(1), good(SERIAL)]);
    let staple = Staple::read(&response, &issued.chain).unwrap();
    assert_eq!((staple.this_update(), staple.next_update()), (MADE, MADE + 100));
}

#[test]
fn only_a_good_answer_about_the_leaf_that_begins_and_ends_is_taken() {
    let (authority, issued) = issued();
    let with = |status| Says {
        status,
        ..good(SERIAL)
    };
    let until = |until| Says {
        until,
        ..good(SERIAL)
    };
    let refused: [(&[Says], OcspFault); 7] = [
        (&[], OcspFault::OfOthers),
        (&[good(1)], OcspFault::OfOthers),
        (&[with(revoked())], OcspFault::Revoked),
        (&[good(SERIAL), with(revoked())], OcspFault::Revoked),
        (&[with(unknown())], OcspFault::Unknown),
        (&[until(None)], OcspFault::Endless),
        (&[until(Some(MADE))], OcspFault::Times),
    ];
    for (says, expected) in refused {
        let read = Staple::read(&authority.respond(says), &issued.chain);
        assert_eq!(fault(read), expected);
    }
    // The same name and serial number, and another key.
    let namesake = Authority::root("root").below("below");
    let read = Staple::read(&namesake.respond(&[good(SERIAL)]), &issued.chain);
    assert_eq!(fault(read), OcspFault::OfOthers);
}

#[test]
fn what_is_no_successful_response_is_refused() {
    let (authority, issued) = issued();
    let whole = authority.respond(&[good(SERIAL)]);
    let longer = [&whole[..], &[0]].concat();
    for bad in [&[][..], b"garbage", &try_later(), &longer] {
        assert_eq!(fault(Staple::read(bad, &issued.chain)), OcspFault::Unreadable);
    }
    for length in 0..whole.len() {
        let read = Staple::read(&whole[..length], &issued.chain);
        assert_eq!(fault(read), OcspFault::Unreadable, "{length}");
    }
}

#[test]
fn no_byte_of_a_response_can_be_changed() {
    let (authority, issued) = issued();
    let whole = authority.respond(&[good(SERIAL)]);
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            assert!(Staple::read(&changed, &issued.chain).is_err(), "{at} {bit}");
        }
    }
}

#[test]
fn whoever_signs_is_the_issuer_or_has_its_certificate_for_it() {
    let (authority, issued) = issued();
    let signing = [ExtendedKeyUsagePurpose::OcspSigning];
    let says = [good(SERIAL)];
    let by =
        |responder: Responder| Staple::read(&authority.respond_through(&responder, &says), &issued.chain);
    assert!(by(authority.responder(&signing)).is_ok());
    let server = authority.responder(&[ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(fault(by(server)), OcspFault::Signature);
    assert_eq!(fault(by(authority.responder(&[]))), OcspFault::Signature);
    let foreign = Authority::root("other").responder(&signing);
    assert_eq!(fault(by(foreign)), OcspFault::Signature);
}

#[test]
fn a_chain_without_the_issuer_is_looked_up_by_its_name() {
    let root = Authority::root("root");
    let issued = leaf(&root);
    assert_eq!(issued.chain.len(), 1);
    assert!(Staple::read(&root.respond(&[good(SERIAL)]), &issued.chain).is_ok());
    let other = Authority::root("other");
    let read = Staple::read(&other.respond(&[good(SERIAL)]), &issued.chain);
    assert_eq!(fault(read), OcspFault::OfOthers);
}

/// A clock that stands.
#[derive(Debug)]
struct Standing(u64);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0)))
    }
}

#[test]
fn a_response_is_stapled_from_its_first_second_on_and_never_once_it_is_over() {
    let (authority, mut issued) = issued();
    let response = authority.respond(&[good(SERIAL)]);
    issued.ocsp = Some(response.clone());
    let identity = identity(issued);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (now, stapled) in [
            (MADE - 1, false),
            (MADE, true),
            (MADE + 99, true),
            (MADE + 100, false),
        ] {
            let tickets = Tickets::new([&[1; 32]], b"listener");
            let clock = Arc::new(Standing(now));
            let identities = vec![identity.clone()];
            let server = server_config(identities, None, MinVersion::Tls12, tickets, clock).unwrap();
            let seen = Arc::new(Stapled::default());
            let client = ClientConfig::builder_with_provider(Arc::clone(&seen.provider))
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<_>)
                .with_no_client_auth();
            let ends = connect(&Arc::new(client), &Arc::new(server), "a.example").unwrap();
            assert_eq!(ends.client.handshake_kind(), Some(HandshakeKind::Full));
            let expected: &[u8] = if stapled { &response } else { &[] };
            assert_eq!(*seen.response.lock().unwrap(), expected, "{now}");
        }
    }
}

/// Takes every certificate, and keeps the response that was stapled.
#[derive(Debug)]
struct Stapled {
    response: Mutex<Vec<u8>>,
    provider: Arc<CryptoProvider>,
}

impl Default for Stapled {
    fn default() -> Self {
        Self {
            response: Mutex::default(),
            provider: Arc::new(default_provider()),
        }
    }
}

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.response.lock().unwrap() = ocsp.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
