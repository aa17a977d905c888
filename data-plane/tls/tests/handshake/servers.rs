//! What a server shows, and what is taken from one.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use rustls::pki_types::DnsName;
use rustls::{CertificateError, ClientConfig, Error, ProtocolVersion};
use sluice_tls::{
    ALPN_H2, ALPN_HTTP1, Identity, MinVersion, SubjectName, Tickets, Trust, client_config, server_config,
};

use crate::authority::{Authority, ED25519, Leaf, RSA, named};
use crate::setup::{clock, server};
use crate::wire::{Failed, connect};

fn dns(name: &str) -> SubjectName {
    SubjectName::Dns(DnsName::try_from(name.to_owned()).unwrap())
}

fn client(trust: Trust, names: Vec<SubjectName>) -> Arc<ClientConfig> {
    Arc::new(client_config(trust, names, None, ALPN_HTTP1).unwrap())
}

fn refused(error: CertificateError) -> Failed {
    Failed::Client(Error::InvalidCertificate(error))
}

#[test]
fn any_of_the_names_will_do_and_without_names_the_one_that_is_connected_to() {
    let root = Authority::root("root");
    let spiffe = "spiffe://cluster.example/ns/shop";
    let mut leaf = named(&["a.example", "*.b.example"]);
    leaf.uris = &["spiffe://cluster.example/ns/shop"];
    let server = server(vec![root.identity(leaf)], None, [1; 32]);
    let try_names =
        |names: Vec<SubjectName>, sni: &str| connect(&client(root.trust(), names), &server, sni).map(drop);
    assert_eq!(try_names(vec![], "a.example"), Ok(()));
    assert_eq!(
        try_names(vec![dns("x.example"), dns("x.b.example")], "sni.example"),
        Ok(())
    );
    assert_eq!(
        try_names(vec![SubjectName::Uri(spiffe.into())], "sni.example"),
        Ok(())
    );
    let wrong = || Err(refused(CertificateError::NotValidForName));
    assert_eq!(try_names(vec![], "sni.example"), wrong());
    assert_eq!(try_names(vec![dns("c.example")], "a.example"), wrong());
    let other = SubjectName::Uri(format!("{spiffe}2").into());
    assert_eq!(try_names(vec![other], "a.example"), wrong());
}

#[test]
fn a_server_of_another_authority_or_time_is_refused() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let good = server(vec![root.identity(named(&["a.example"]))], None, [1; 32]);
    let unknown = connect(&client(other.trust(), vec![]), &good, "a.example").map(drop);
    assert_eq!(unknown, Err(refused(CertificateError::UnknownIssuer)));
    let both = Trust::union([&other.trust(), &root.trust()]);
    assert!(connect(&client(both, vec![]), &good, "a.example").is_ok());
    let mut old = named(&["a.example"]);
    old.until = 2021;
    let old = server(vec![root.identity(old)], None, [1; 32]);
    let expired = connect(&client(root.trust(), vec![]), &old, "a.example").map(drop);
    assert_eq!(expired, Err(refused(CertificateError::Expired)));
    let revoked = root.trust_with(&[root.revoke(&[7], 2100)]);
    let revoked = connect(&client(revoked, vec![]), &good, "a.example").map(drop);
    assert_eq!(revoked, Err(refused(CertificateError::Revoked)));
    let nobody = connect(&client(Trust::default(), vec![]), &good, "a.example").map(drop);
    assert_eq!(nobody, Err(refused(CertificateError::UnknownIssuer)));
}

#[test]
fn a_self_signed_server_is_trusted_by_its_own_certificate_in_its_time_and_under_its_name() {
    let now = || Authority::itself("a.example", 2100);
    let (root, issued) = now();
    let good = server(vec![issued], None, [1; 32]);
    assert!(connect(&client(root.clone(), vec![]), &good, "a.example").is_ok());
    let misnamed = connect(&client(root, vec![]), &good, "b.example").map(drop);
    assert_eq!(misnamed, Err(refused(CertificateError::NotValidForName)));
    let (another, _) = now();
    assert!(connect(&client(another, vec![]), &good, "a.example").is_err());
    let (root, issued) = Authority::itself("a.example", 2021);
    let old = server(vec![issued], None, [1; 32]);
    let expired = connect(&client(root, vec![]), &old, "a.example").map(drop);
    assert_eq!(expired, Err(refused(CertificateError::Expired)));
}

fn shown(client: &Arc<ClientConfig>, server: &Arc<rustls::ServerConfig>, name: &str) -> Vec<u8> {
    let ends = connect(client, server, name).unwrap();
    ends.client.peer_certificates().unwrap()[0].to_vec()
}

fn leaf(identities: &[Identity], at: usize, names: &[&str]) {
    assert_eq!(identities[at].leaf().names, names);
}

#[test]
fn the_certificate_that_suits_the_client_is_shown_and_of_those_the_one_with_the_name() {
    let root = Authority::root("root");
    let with = |algorithm, names| {
        root.identity(Leaf {
            algorithm,
            ..named(names)
        })
    };
    let ecdsa = root.identity(named(&["a.example"]));
    let identities = vec![
        with(ED25519, &["a.example"]),
        ecdsa,
        with(RSA, &["a.example", "b.example"]),
    ];
    leaf(&identities, 2, &["a.example", "b.example"]);
    let server = server(identities, None, [1; 32]);
    let any = client(root.trust(), vec![dns("a.example")]);
    let first = shown(&any, &server, "a.example");
    let third = shown(&any, &server, "b.example");
    assert_ne!(first, third);
    assert_eq!(shown(&any, &server, "c.example"), first);
    // A client of TLS 1.2 that offers RSA suites alone gets the RSA certificate.
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.certificate.clone()).unwrap();
    let rsa_only = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert_eq!(shown(&Arc::new(rsa_only), &server, "a.example"), third);
}

#[test]
fn http2_comes_by_negotiation_and_old_versions_are_not_spoken_where_they_are_ruled_out() {
    let root = Authority::root("root");
    let identity = root.identity(named(&["a.example"]));
    let tickets = || Tickets::new([], b"");
    let new_only = server_config(
        vec![identity.clone()],
        None,
        MinVersion::Tls13,
        tickets(),
        clock(),
    )
    .unwrap();
    let server = server(vec![identity], None, [1; 32]);
    let http2 = Arc::new(client_config(root.trust(), vec![], None, ALPN_H2).unwrap());
    let ends = connect(&http2, &server, "a.example").unwrap();
    assert_eq!(ends.server.alpn_protocol(), Some(ALPN_H2));
    assert_eq!(ends.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.certificate.clone()).unwrap();
    let old = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let old = Arc::new(old);
    let ends = connect(&old, &server, "a.example").unwrap();
    assert_eq!(ends.server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert!(matches!(
        connect(&old, &Arc::new(new_only), "a.example").map(drop),
        Err(Failed::Server(Error::PeerIncompatible(_)))
    ));
    assert!(server_config(vec![], None, MinVersion::Tls12, tickets(), clock()).is_err());
}
