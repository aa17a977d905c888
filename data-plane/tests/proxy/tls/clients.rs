//! Clients that are asked for certificates.

use std::sync::Arc;

use http::StatusCode;
use rustls::ClientConfig;
use sluice_proto::v1;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    authority::{Authority, Issued, Leaf, named},
    peer::{client, connect, http1},
    wire::{secured, trust},
};
use crate::{edge::Edge, snapshot::Site, upstream::Upstream};

const HEADER: &str = "x-forwarded-client-cert: ";

fn asking(site: Site, root: &Authority, optional: bool, crls: &[&[u8]]) -> Site {
    let mut site = secured(site, root.issue(named(&["shop.example"])));
    let client = v1::ClientValidation {
        trust: vec!["trust/default/clients".into()],
        optional,
        max_depth: None,
    };
    site.tls.as_mut().unwrap().client = Some(client);
    site.more.push(trust("clients", root, crls));
    site
}

fn alice(root: &Authority) -> Issued {
    root.issue(Leaf {
        uris: &["spiffe://cluster.example/alice"],
        ..named(&["alice.example"])
    })
}

/// Whether a client gets an answer. In TLS 1.3 it learns no sooner than that what the server thinks
/// of its certificate.
async fn is_let_in(config: &Arc<ClientConfig>, edge: &Edge) -> bool {
    let Ok(mut stream) = connect(config, edge.address, "shop.example").await else {
        return false;
    };
    let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n";
    stream.write_all(request).await.is_ok() && stream.read_u8().await.is_ok()
}

/// The line that the upstream got of the client, if it got any.
async fn told(edge: &Edge, root: &Authority, issued: Option<Issued>) -> Option<String> {
    let mut client = http1(&client(root, &[], issued), edge.address, "shop.example").await;
    let body = client.get("/").await.body;
    let mut lines = body.lines();
    lines.find_map(|line| line.strip_prefix(HEADER).map(ToOwned::to_owned))
}

#[tokio::test]
async fn the_upstream_is_told_of_a_verified_client_and_others_are_not_let_in() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let upstream = Upstream::echoing().await;
    let crl = root.revoke(&[9], 2100);
    let site = asking(Site::to(&[&upstream.name()]), &root, false, &[&crl]);
    let edge = Edge::start(&site).await;
    let line = told(&edge, &root, Some(alice(&root))).await.unwrap();
    assert!(line.starts_with("Hash="), "{line}");
    assert!(
        line.ends_with(";URI=spiffe://cluster.example/alice;DNS=alice.example"),
        "{line}"
    );
    let revoked = Leaf {
        serial: 9,
        ..named(&["alice.example"])
    };
    for issued in [None, Some(alice(&other)), Some(root.issue(revoked))] {
        assert!(!is_let_in(&client(&root, &[], issued), &edge).await);
    }
    let failures = "sluice_tls_handshake_failures_total";
    let metrics = edge
        .metrics_with(&format!("{failures}{{reason=\"client_cert_revoked\"}} 1"))
        .await;
    for reason in ["client_cert_missing", "client_cert_invalid"] {
        let line = format!("{failures}{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn where_it_is_optional_only_the_verified_are_named() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&asking(Site::to(&[&upstream.name()]), &root, true, &[])).await;
    assert_eq!(told(&edge, &root, None).await, None);
    assert_eq!(told(&edge, &root, Some(alice(&other))).await, None);
    assert!(told(&edge, &root, Some(alice(&root))).await.is_some());
}

#[tokio::test]
async fn with_a_depth_of_none_only_the_roots_own_clients_are_let_in() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let mut site = asking(Site::to(&[&upstream.name()]), &root, false, &[]);
    let deep = || client(&root, &[], Some(alice(&root.below("below"))));
    let mut edge = Edge::start(&site).await;
    assert!(is_let_in(&deep(), &edge).await, "by default");
    let tls = site.tls.as_mut().unwrap();
    tls.client.as_mut().unwrap().max_depth = Some(0);
    edge.apply(&site).await;
    assert!(!is_let_in(&deep(), &edge).await);
    assert!(is_let_in(&client(&root, &[], Some(alice(&root))), &edge).await);
}

#[tokio::test]
async fn a_resumed_session_still_has_its_name() {
    let (root, upstream) = (Authority::root("root"), Upstream::echoing().await);
    let edge = Edge::start(&asking(Site::to(&[&upstream.name()]), &root, false, &[])).await;
    let config = client(&root, &[], Some(alice(&root)));
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut client = http1(&config, edge.address, "shop.example").await;
        bodies.push(client.get("/").await.body);
    }
    edge.metrics_with("sluice_tls_handshakes_total{kind=\"resumed\"} 1")
        .await;
    assert!(bodies[1].contains("DNS=alice.example"), "{}", bodies[1]);
}

#[tokio::test]
async fn who_came_before_clients_were_asked_has_to_come_again() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let open = secured(
        Site::to(&[&upstream.name()]),
        root.issue(named(&["shop.example"])),
    );
    let mut edge = Edge::start(&open).await;
    let config = client(&root, &[], None);
    let mut before = http1(&config, edge.address, "shop.example").await;
    assert_eq!(before.get("/").await.body, "ok");
    edge.apply(&asking(Site::to(&[&upstream.name()]), &root, false, &[]))
        .await;
    assert_eq!(before.get("/").await.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(!is_let_in(&config, &edge).await, "its session was taken up");
}
