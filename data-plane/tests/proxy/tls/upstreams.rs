//! TLS to upstreams.

use http::StatusCode;
use sluice_core::Entry;
use sluice_proto::v1;

use super::{
    authority::{Authority, Leaf, named},
    peer::upstream,
    wire::{certificate, trust},
};
use crate::{client::Answer, edge::Edge, snapshot::Site};

/// A site whose backend is reached over TLS.
fn site(endpoint: &str, sni: &str, names: &[&str], more: Vec<Entry>) -> Site {
    let mut site = Site::to(&[endpoint]);
    site.backend.tls = Some(v1::BackendTls {
        sni: sni.into(),
        names: names.iter().map(ToString::to_string).collect(),
        trust: vec!["trust/default/upstream".into()],
        client_certificate: String::new(),
    });
    site.more = more;
    site
}

fn assert_untrusted(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers["x-sluice-reason"], "upstream_tls");
}

#[tokio::test]
async fn an_upstream_has_to_have_any_of_the_names() {
    let root = Authority::root("root");
    let leaf = Leaf {
        uris: &["spiffe://cluster.example/web"],
        ..named(&["web.internal"])
    };
    let web = upstream(root.issue(leaf), None, false).await;
    let roots = || vec![trust("upstream", &root, &[])];
    let mut edge = Edge::start(&site(&web.name(), "web.internal", &[], roots())).await;
    assert!(edge.get("/a").await.body.starts_with("GET /a"));
    edge.apply(&site(
        &web.name(),
        "",
        &["x", "spiffe://cluster.example/web"],
        roots(),
    ))
    .await;
    assert_eq!(edge.get("/").await.status, StatusCode::OK);
    // Connections that were secured by the other names are not used again.
    edge.apply(&site(&web.name(), "web.internal", &["other.internal"], roots()))
        .await;
    assert_untrusted(&edge.get("/").await);
    let other = vec![trust("upstream", &Authority::root("other"), &[])];
    edge.apply(&site(&web.name(), "web.internal", &[], other)).await;
    assert_untrusted(&edge.get("/").await);
}

#[tokio::test]
async fn an_upstream_that_asks_is_shown_the_certificate() {
    let (root, clients) = (Authority::root("root"), Authority::root("clients"));
    let web = upstream(root.issue(named(&["web.internal"])), Some(&clients), false).await;
    let mut with = site(
        &web.name(),
        "web.internal",
        &[],
        vec![trust("upstream", &root, &[])],
    );
    let without = with.clone();
    with.backend.tls.as_mut().unwrap().client_certificate = "certificate/default/client".into();
    with.more
        .push(certificate("client", clients.issue(named(&["edge.internal"]))));
    let mut edge = Edge::start(&with).await;
    assert_eq!(edge.get("/").await.status, StatusCode::OK);
    edge.apply(&without).await;
    assert_eq!(edge.get("/").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn http2_is_agreed_on_or_there_is_no_connection() {
    let root = Authority::root("root");
    let leaf = || root.issue(named(&["web.internal"]));
    let (new, old) = (
        upstream(leaf(), None, true).await,
        upstream(leaf(), None, false).await,
    );
    let to = |endpoint: &str| {
        let mut site = site(endpoint, "web.internal", &[], vec![trust("upstream", &root, &[])]);
        site.backend.protocol = v1::backend::Protocol::H2c.into();
        site
    };
    let mut edge = Edge::start(&to(&new.name())).await;
    let answer = edge.get("/two").await;
    assert!(
        answer.body.starts_with("GET https://shop.example/two"),
        "{}",
        answer.body
    );
    edge.apply(&to(&old.name())).await;
    assert_untrusted(&edge.get("/").await);
}

#[tokio::test]
async fn an_upstream_that_does_no_tls_is_never_sent_anything_in_the_clear() {
    let root = Authority::root("root");
    let plain = crate::upstream::Upstream::saying("plain").await;
    let site = site(
        &plain.name(),
        "web.internal",
        &[],
        vec![trust("upstream", &root, &[])],
    );
    let edge = Edge::start(&site).await;
    assert_untrusted(&edge.get("/").await);
}
