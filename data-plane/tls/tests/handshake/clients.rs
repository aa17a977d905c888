//! Which clients are let in.

use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, ClientConfig, Error};
use sluice_tls::{ALPN_HTTP1, Clients, Identity, Trust, client_config};

use crate::authority::{Authority, Leaf, named};
use crate::setup::server;
use crate::wire::{Failed, connect};

/// How a client with `identity` fares at a listener that asks for `clients`.
fn enter(root: &Authority, clients: Clients, identity: Option<Identity>) -> Result<usize, Failed> {
    let server = server(
        vec![root.identity(named(&["a.example"]))],
        Some(Arc::new(clients)),
        [1; 32],
    );
    let client: ClientConfig = client_config(root.trust(), vec![], identity, ALPN_HTTP1).unwrap();
    let ends = connect(&Arc::new(client), &server, "a.example")?;
    Ok(ends.server.peer_certificates().map_or(0, <[_]>::len))
}

fn refused(error: CertificateError) -> Result<usize, Failed> {
    Err(Failed::Server(Error::InvalidCertificate(error)))
}

#[test]
fn a_client_needs_a_valid_certificate_of_a_trusted_authority() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let required = || Clients::new(root.trust(), false, 4);
    let leaf = || named(&["client.example"]);
    assert_eq!(enter(&root, required(), Some(root.identity(leaf()))), Ok(1));
    assert_eq!(
        enter(&root, required(), Some(other.identity(leaf()))),
        refused(CertificateError::UnknownIssuer)
    );
    let old = Leaf {
        until: 2021,
        ..leaf()
    };
    assert_eq!(
        enter(&root, required(), Some(root.identity(old))),
        refused(CertificateError::Expired)
    );
    assert_eq!(
        enter(&root, required(), None),
        Err(Failed::Server(Error::NoCertificatesPresented))
    );
}

#[test]
fn an_authority_is_no_client_of_its_own() {
    let root = Authority::root("root");
    let (trust, itself) = Authority::itself("client.example", 2100);
    let entered = enter(&root, Clients::new(trust, false, 4), Some(itself));
    assert!(
        matches!(entered, Err(Failed::Server(Error::InvalidCertificate(_)))),
        "{entered:?}"
    );
}

#[test]
fn what_an_authority_has_taken_back_is_refused_and_so_is_all_of_it_once_its_list_is_old() {
    let root = Authority::root("root");
    let below = root.below("below");
    let leaf = |serial| Leaf {
        serial,
        ..named(&["client.example"])
    };
    let required = |crls: &[_]| Clients::new(root.trust_with(crls), false, 4);
    let crl = [root.revoke(&[9], 2100)];
    assert_eq!(enter(&root, required(&crl), Some(root.identity(leaf(8)))), Ok(1));
    assert_eq!(
        enter(&root, required(&crl), Some(root.identity(leaf(9)))),
        refused(CertificateError::Revoked)
    );
    // The authority in between has no list: what it issues is not looked up.
    assert_eq!(enter(&root, required(&crl), Some(below.identity(leaf(9)))), Ok(2));
    let crls = [crl[0].clone(), below.revoke(&[9], 2100)];
    assert_eq!(
        enter(&root, required(&crls), Some(below.identity(leaf(9)))),
        refused(CertificateError::Revoked)
    );
    let old = [root.revoke(&[], 2021)];
    assert_eq!(
        enter(&root, required(&old), Some(root.identity(leaf(8)))),
        refused(CertificateError::ExpiredRevocationList)
    );
}

#[test]
fn a_chain_may_be_as_deep_as_allowed_and_no_deeper() {
    let root = Authority::root("root");
    let second = root.below("first").below("second");
    let leaf = || second.identity(named(&["client.example"]));
    let required = |depth| Clients::new(root.trust(), false, depth);
    assert_eq!(enter(&root, required(2), Some(leaf())), Ok(3));
    assert!(matches!(
        enter(&root, required(1), Some(leaf())),
        Err(Failed::Server(_))
    ));
    assert_eq!(
        enter(&root, required(0), Some(root.identity(named(&["c.example"])))),
        Ok(1)
    );
}

#[test]
fn where_it_is_optional_everybody_is_let_in_and_only_the_valid_are_known() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let optional = || Clients::new(root.trust(), true, 4);
    let (good, bad) = (
        root.identity(named(&["c.example"])),
        other.identity(named(&["c.example"])),
    );
    assert_eq!(enter(&root, optional(), None), Ok(0));
    assert_eq!(enter(&root, optional(), Some(good.clone())), Ok(1));
    assert_eq!(enter(&root, optional(), Some(bad.clone())), Ok(1));
    let now = UnixTime::now();
    assert_eq!(optional().verify(&[], now), Err(Error::NoCertificatesPresented));
    let seen = |identity: Identity| {
        let server = server(vec![good.clone()], Some(Arc::new(optional())), [1; 32]);
        let trust = Trust::union([&root.trust()]);
        let client = client_config(trust, vec![], Some(identity), ALPN_HTTP1).unwrap();
        let ends = connect(&Arc::new(client), &server, "c.example").unwrap();
        optional().verify(ends.server.peer_certificates().unwrap(), now)
    };
    assert_eq!(seen(good.clone()), Ok(()));
    assert_eq!(
        seen(bad),
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    );
}
