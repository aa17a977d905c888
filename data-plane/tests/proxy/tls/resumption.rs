//! Sessions go on at any proxy of the fleet.

use std::sync::Arc;

use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    authority::{Authority, named},
    peer::{client, connect},
    wire::{secured, tickets},
};
use crate::{edge::Edge, snapshot::Site, upstream::Upstream};

/// How a handshake goes. The answer to a request is read, so that the tickets in front of it are.
async fn kind(config: &Arc<ClientConfig>, edge: &Edge) -> HandshakeKind {
    let mut stream = connect(config, edge.address, "shop.example").await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    stream.get_ref().1.handshake_kind().unwrap()
}

fn site(upstream: &Upstream, root: &Authority, keys: &[u8]) -> Site {
    let issued = root.issue(named(&["shop.example"]));
    let mut site = secured(Site::to(&[&upstream.name()]), issued);
    site.more.push(tickets(keys));
    site
}

#[tokio::test]
async fn a_session_is_resumed_by_another_proxy_and_over_a_rotation() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let mut one = Edge::start(&site(&upstream, &root, &[1])).await;
    let two = Edge::start(&site(&upstream, &root, &[2, 1])).await;
    let config = client(&root, &[], None);
    assert_eq!(kind(&config, &one).await, HandshakeKind::Full);
    assert_eq!(kind(&config, &two).await, HandshakeKind::Resumed);
    // What it has now was made under a key that `one` has not heard of yet.
    assert_eq!(kind(&config, &one).await, HandshakeKind::Full);
    assert_eq!(kind(&config, &one).await, HandshakeKind::Resumed);
    one.apply(&site(&upstream, &root, &[2, 1])).await;
    assert_eq!(kind(&config, &one).await, HandshakeKind::Resumed);
    assert_eq!(kind(&config, &two).await, HandshakeKind::Resumed);
}

/// Runs `openssl s_client` against `edge`, with these arguments besides.
async fn openssl(edge: &Edge, arguments: &[&str]) -> String {
    let address = edge.address.to_string();
    let mut command = tokio::process::Command::new("openssl");
    command.args(["s_client", "-connect", &address, "-servername", "shop.example"]);
    command.args(arguments).stdin(std::process::Stdio::piped());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    // It leaves when the server does, which is when this has been answered.
    let request = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    let mut input = child.stdin.take().unwrap();
    input.write_all(request).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    drop(input);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn openssl_takes_its_session_from_one_proxy_to_the_other() {
    let (root, upstream) = (Authority::root("root"), Upstream::saying("ok").await);
    let one = Edge::start(&site(&upstream, &root, &[1])).await;
    let two = Edge::start(&site(&upstream, &root, &[1])).await;
    let directory = tempfile::tempdir().unwrap();
    let session = directory.path().join("session");
    let session = session.to_str().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let first = openssl(&one, &[version, "-ign_eof", "-sess_out", session]).await;
        assert!(first.contains("New, TLSv1"), "{first}");
        let second = openssl(&two, &[version, "-ign_eof", "-sess_in", session]).await;
        assert!(second.contains("Reused, TLSv1"), "{second}");
        assert!(second.contains("HTTP/1.1 200 OK"), "{second}");
    }
}
