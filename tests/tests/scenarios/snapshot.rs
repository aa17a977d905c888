//! Snapshots as a control plane would make them, for proxies that get theirs from a test.

use std::net::SocketAddr;

use sluice_core::{Difference, Entry, ResourceSet, Update};
use sluice_model::{Class, HistoryId, Key, Kind, Position, Revision};
use sluice_proto::v1::{self, proxy_message};
use sluice_tests::fake_control::Stream;
use sluice_tests::manifest::PORT;

/// Takes the acknowledgement of `revision`, which must be the next word.
pub(crate) async fn acked(stream: &mut Stream, revision: u64) {
    match stream.next().await.unwrap() {
        proxy_message::Body::Ack(ack) => assert_eq!(ack.position.unwrap().revision, revision),
        other => panic!("revision {revision}: {other:?}"),
    }
}

/// Where `resources` are as `revision`.
pub(crate) fn at(revision: u64, resources: &ResourceSet) -> Position {
    Position {
        revision: Revision(revision),
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    }
}

/// All of `resources`, from nothing.
pub(crate) fn full(history: [u8; 16], revision: u64, resources: &ResourceSet) -> v1::Update {
    Update::full(HistoryId(history), at(revision, resources), resources).to_wire()
}

/// One listener, the rule `rule/default/shop/all`, and one Backend with this endpoint.
pub(crate) fn table(endpoint: SocketAddr) -> ResourceSet {
    table_with(endpoint, v1::Limits::default())
}

/// The same with a listener that has these limits.
pub(crate) fn table_with(endpoint: SocketAddr, limits: v1::Limits) -> ResourceSet {
    let key = |kind, segments: &[&str]| Key::new(kind, segments).unwrap();
    let listener = key(Kind::Listener, &["default", "edge", "http"]);
    let split = key(Kind::Split, &["default", "shop", "all"]);
    let backend = key(Kind::Backend, &["default", "web"]);
    let root = v1::PathMatch {
        kind: v1::path_match::Kind::Prefix.into(),
        value: "/".into(),
    };
    let attachment = v1::Attachment {
        listener: listener.to_string(),
        hostnames: vec![String::new()],
    };
    let upserts = vec![
        Entry::new(
            key(Kind::Route, &["default", "shop"]),
            &v1::Route {
                creation_revision: 1,
                attachments: vec![attachment],
            },
        ),
        Entry::new(
            key(Kind::Rule, &["default", "shop", "all"]),
            &v1::Rule {
                matches: vec![v1::Match {
                    path: Some(root),
                    ..v1::Match::default()
                }],
                target: split.to_string(),
                ..v1::Rule::default()
            },
        ),
        Entry::new(
            split,
            &v1::Split {
                backends: vec![v1::WeightedBackend {
                    backend: backend.to_string(),
                    weight: 1,
                    filters: None,
                }],
            },
        ),
        Entry::new(
            backend,
            &v1::Backend {
                protocol: v1::backend::Protocol::Http.into(),
                ..v1::Backend::default()
            },
        ),
        Entry::new(
            key(Kind::Endpoints, &["default", "web"]),
            &v1::Endpoints {
                endpoints: vec![v1::Endpoint {
                    address: endpoint.ip().to_string(),
                    port: endpoint.port().into(),
                    weight: 1,
                }],
            },
        ),
        Entry::new(
            listener,
            &v1::Listener {
                port: PORT.into(),
                hostname: String::new(),
                protocol: v1::listener::Protocol::Http.into(),
                limits: Some(limits),
                ..v1::Listener::default()
            },
        ),
    ];
    ResourceSet::empty().apply(&Difference {
        upserts,
        removals: Vec::new(),
    })
}
