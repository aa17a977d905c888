//! Streams of those with and without certificates.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use sluice_core::statement_of;
use sluice_proto::v1::RenewRequest;
use sluice_proto::v1::control_message::Body;
use sluice_proto::v1::enrolment_client::EnrolmentClient;
use sluice_tls::{ALPN_H2, Verifiers, client_config, proxy_uri};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::Code;

use crate::site::{Member, Site, control_name, identity, line, request, subscribe};

#[tokio::test]
async fn whoever_has_no_certificate_may_join_and_nothing_else() {
    let site = Site::start().await;
    let refused = subscribe(site.stranger().await, "edge-1", &[])
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut client = EnrolmentClient::new(site.stranger().await);
    let key = KeyPair::generate().unwrap();
    let renewal = RenewRequest {
        request: request(&key),
    };
    assert_eq!(
        client.renew(renewal).await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn a_certificate_that_another_authority_issued_opens_nothing() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(root, KeyPair::generate().unwrap());
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names = vec![SanType::URI(proxy_uri("edge-1").as_str().try_into().unwrap())];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &issuer).unwrap().der().clone();

    let foreign = identity(vec![certificate], &key);
    let config = client_config(member.trust(), control_name(), Some(foreign), ALPN_H2).unwrap();
    // In TLS 1.3 a client is done before the server has looked at its certificate.
    let got = match site.connect(config).await {
        Ok(channel) => subscribe(channel, "edge-1", &[]).await.map(drop).map_err(drop),
        Err(_) => Err(()),
    };
    assert_eq!(got, Err(()));
    let channel = site.connect(member.config()).await.unwrap();
    assert!(
        subscribe(channel, "edge-1", &[]).await.is_ok(),
        "the real one gets in"
    );
}

#[tokio::test]
async fn a_proxy_is_the_one_that_its_certificate_names() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    let channel = site.connect(member.config()).await.unwrap();
    let other = subscribe(channel, "edge-2", &[]).await.err().unwrap();
    assert_eq!(other.code(), Code::PermissionDenied);
    let plain = subscribe(site.plain().await, "edge-1", &[]).await.err().unwrap();
    assert_eq!(plain.code(), Code::AlreadyExists, "{plain}");
    assert!(subscribe(site.plain().await, "edge-3", &[]).await.is_ok());
}

#[tokio::test]
async fn a_revoked_proxy_is_cut_off_and_told_why_and_does_not_get_in_again() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    let channel = site.connect(member.config()).await.unwrap();
    let (mut stream, _) = subscribe(channel.clone(), "edge-1", &[]).await.unwrap();
    let now = sluice_control::clock::wall();
    // In the name of another replica: this one has to hear of it.
    assert!(site.store.revoke_identity("edge-1", "test", now).await.unwrap());
    let end = loop {
        if let Err(end) = stream.next().await {
            break end;
        }
    };
    assert_eq!(end.code(), Code::PermissionDenied, "{end}");
    let again = subscribe(channel, "edge-1", &[]).await.err().unwrap();
    assert_eq!(again.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_revoked_proxy_keeps_no_connection_either_though_nothing_runs_on_it() {
    let site = Site::start().await;
    let (good, bad) = (site.member("edge-1", &[]).await, site.member("edge-2", &[]).await);
    let open = |member: &Member| line(site.control.grpc, Arc::new(member.config()));
    let (mut stays, mut before) = (open(&good).await.unwrap(), open(&bad).await.unwrap());
    let now = sluice_control::clock::wall();
    assert!(site.store.revoke_identity("edge-2", "test", now).await.unwrap());
    // Two looks for whose certificates do not stand are 10 s at most.
    let ended = async |line: &mut TlsStream<TcpStream>| while line.read_u8().await.is_ok() {};
    let cut = tokio::time::timeout(Duration::from_secs(20), ended(&mut before));
    assert!(cut.await.is_ok(), "the connection of a revoked proxy stays");
    let alive = tokio::time::timeout(Duration::ZERO, ended(&mut stays));
    assert!(alive.await.is_err(), "and another one's was cut");
}

#[tokio::test]
async fn every_update_is_signed_by_a_key_that_the_proxy_was_told_of() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    let certain = site.connect(member.config()).await.unwrap();
    for (channel, id) in [(certain, "edge-1"), (site.plain().await, "edge-2")] {
        let (mut stream, welcome) = subscribe(channel, id, &[]).await.unwrap();
        let bundle = welcome.bundle.unwrap();
        assert_eq!(Some(&bundle), member.enrolled.bundle.as_ref());
        let verifiers = Verifiers::new(&bundle.signing_keys).unwrap();
        let Body::Update(mut update) = stream.next().await.unwrap() else {
            panic!("no update");
        };
        let verify = |update: &sluice_proto::v1::Update| {
            let statement = statement_of(update).unwrap();
            verifiers.verify(&update.signing_key, &statement, &update.signature)
        };
        assert_eq!(verify(&update), Ok(()));
        update.target.as_mut().unwrap().revision += 1;
        assert!(verify(&update).is_err());
    }
}
