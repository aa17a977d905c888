//! Sessions that go on elsewhere.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, HandshakeKind, ServerConfig, SupportedProtocolVersion, version};
use sluice_tls::{Clients, MinVersion, Tickets, server_config};

use crate::authority::{Authority, named};
use crate::setup::{clock, server};
use crate::wire::connect;

fn client(root: &Authority, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn kind(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
    connect(client, server, "a.example")
        .unwrap()
        .server
        .handshake_kind()
}

#[test]
fn a_session_is_resumed_by_any_server_that_has_the_key() {
    for version in [&version::TLS12, &version::TLS13] {
        let root = Authority::root("root");
        let identity = || vec![root.identity(named(&["a.example"]))];
        let (one, two) = (
            server(identity(), None, [1; 32]),
            server(identity(), None, [1; 32]),
        );
        let stranger = server(identity(), None, [2; 32]);
        let client = client(&root, version);
        assert_eq!(kind(&client, &one), Some(HandshakeKind::Full));
        assert_eq!(kind(&client, &two), Some(HandshakeKind::Resumed));
        assert_eq!(kind(&client, &one), Some(HandshakeKind::Resumed));
        assert_eq!(kind(&client, &stranger), Some(HandshakeKind::Full));
    }
}

#[test]
fn a_new_key_is_taken_up_without_losing_a_session() {
    let root = Authority::root("root");
    let keys: [[u8; 32]; 3] = [[1; 32], [2; 32], [3; 32]];
    let with = |keys: &[[u8; 32]]| {
        let identity = root.identity(named(&["a.example"]));
        let tickets = Tickets::new(keys, b"listener");
        Arc::new(server_config(vec![identity], None, MinVersion::Tls12, tickets, clock()).unwrap())
    };
    let client = client(&root, &version::TLS13);
    let [a, b, c] = keys;
    assert_eq!(kind(&client, &with(&[a])), Some(HandshakeKind::Full));
    // While the fleet learns of `b`, both are opened everywhere that has them.
    assert_eq!(kind(&client, &with(&[b, a])), Some(HandshakeKind::Resumed));
    assert_eq!(kind(&client, &with(&[c, b])), Some(HandshakeKind::Resumed));
    // Two rotations without a visit: the key is gone, and so is the session.
    let rested = self::client(&root, &version::TLS12);
    assert_eq!(kind(&rested, &with(&[a])), Some(HandshakeKind::Full));
    assert_eq!(kind(&rested, &with(&[c, b])), Some(HandshakeKind::Full));
}

#[test]
fn a_session_that_nobody_was_asked_for_does_not_open_where_clients_are_asked() {
    let root = Authority::root("root");
    let scoped = |clients: Option<Clients>, scope: &[u8]| {
        let identity = root.identity(named(&["a.example"]));
        let tickets = Tickets::new([&[1; 32]], scope);
        let clients = clients.map(Arc::new);
        Arc::new(server_config(vec![identity], clients, MinVersion::Tls12, tickets, clock()).unwrap())
    };
    let client = client(&root, &version::TLS13);
    assert_eq!(kind(&client, &scoped(None, b"open")), Some(HandshakeKind::Full));
    assert_eq!(
        kind(&client, &scoped(None, b"open")),
        Some(HandshakeKind::Resumed)
    );
    let strict = scoped(Some(Clients::new(root.trust(), false, 4)), b"strict");
    assert!(connect(&client, &strict, "a.example").is_err());
}
