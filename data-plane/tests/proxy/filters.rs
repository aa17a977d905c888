//! Mirrors, cross-origin requests, and filters of one backend.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use sluice_core::Entry;
use sluice_model::Key;
use sluice_proto::v1;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    client::{empty, full},
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, nobody, read_head},
};

const LONG: Duration = Duration::from_secs(10);

/// A site to `upstream` whose requests are copied to `shadow`, too.
fn mirrored(upstream: &str, shadow: &str) -> Site {
    let mut site = Site::to(&[upstream]);
    let key = |text: &str| Key::parse(text).unwrap();
    let endpoints = v1::Endpoints {
        endpoints: Site::to(&[shadow]).endpoints,
    };
    site.more = vec![
        Entry::new(key("backend/default/shadow"), &site.backend),
        Entry::new(key("endpoints/default/shadow"), &endpoints),
    ];
    site.rule.mirrors = vec![v1::Mirror {
        backend: "backend/default/shadow".into(),
        ..v1::Mirror::default()
    }];
    site
}

#[tokio::test]
async fn a_mirror_gets_the_request_and_its_answer_goes_nowhere() {
    let (copies, mut copied) = mpsc::channel(4);
    let shadow = Upstream::http1(move |request| {
        let copies = copies.clone();
        async move {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            let client = request.headers()["x-forwarded-for"].clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            copies.send((method, uri, client, body)).await.unwrap();
            http::Response::builder()
                .status(500)
                .body(full("shadow"))
                .unwrap()
        }
    })
    .await;
    let upstream = Upstream::saying("ok").await;
    let edge = Edge::start(&mirrored(&upstream.name(), &shadow.name())).await;
    let mut client = edge.client().await;
    for (method, body) in [("GET", ""), ("POST", "all of it")] {
        let request = Request::builder().method(method).uri("/x?y").header("host", "a");
        let request = match body {
            "" => request.body(empty()),
            text => request.body(full(text)),
        };
        let answer = client.send(request.unwrap()).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, "ok"));
        let copy = timeout(LONG, copied.recv()).await.unwrap().unwrap();
        assert_eq!((copy.0.as_str(), copy.1.to_string()), (method, "/x?y".into()));
        assert_eq!(
            (copy.2.to_str().unwrap(), &copy.3[..]),
            ("127.0.0.1", body.as_bytes())
        );
    }
    edge.metrics_with("sluice_mirrored_total 2").await;
}

#[tokio::test]
async fn a_mirror_that_never_answers_or_is_not_there_holds_up_nobody() {
    let silent = Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        read_head(&mut stream).await;
    })
    .await;
    let upstream = Upstream::echoing().await;
    for shadow in [silent.name(), nobody()] {
        let edge = Edge::start(&mirrored(&upstream.name(), &shadow)).await;
        for _ in 0..3 {
            let answer = timeout(LONG, edge.get("/")).await.unwrap();
            assert_eq!(answer.status.as_u16(), 200);
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_here_and_answers_say_which_origins_may_read_them() {
    let upstream = Upstream::saying("ok").await;
    let mut site = Site::to(&[&upstream.name()]);
    site.rule.cors = Some(v1::Cors {
        allow_origins: vec!["https://*.a.example".into()],
        allow_methods: vec!["PUT".into()],
        max_age_s: 60,
        ..v1::Cors::default()
    });
    let edge = Edge::start(&site).await;
    let mut client = edge.client().await;
    let ask = |method: &str, origin: &str| {
        let request = Request::builder().method(method).uri("/").header("host", "a");
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "PUT");
        request.body(empty()).unwrap()
    };
    let allowed = client.send(ask("OPTIONS", "https://x.a.example")).await;
    assert_eq!((allowed.status.as_u16(), &*allowed.body), (204, ""));
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        "https://x.a.example"
    );
    assert_eq!(allowed.header("access-control-allow-methods"), "PUT");
    let refused = client.send(ask("OPTIONS", "https://b.example")).await;
    assert_eq!(refused.status.as_u16(), 204);
    assert!(refused.headers.get("access-control-allow-origin").is_none());
    let read = client.send(ask("GET", "https://x.a.example")).await;
    assert_eq!((read.status.as_u16(), &*read.body), (200, "ok"));
    assert_eq!(read.header("access-control-allow-origin"), "https://x.a.example");
}

#[tokio::test]
async fn a_backends_own_filters_come_after_the_rules() {
    let upstream = Upstream::echoing().await;
    let set = |name: &str, value: &str| v1::Header {
        name: name.into(),
        value: value.into(),
    };
    let edit = |headers: &[(&str, &str)]| v1::HeaderEdit {
        set: headers.iter().map(|(name, value)| set(name, value)).collect(),
        ..v1::HeaderEdit::default()
    };
    let mut site = Site::to(&[&upstream.name()]);
    site.rule.request_headers = Some(edit(&[("x-a", "rule"), ("x-b", "rule")]));
    site.filters = Some(v1::BackendFilters {
        request_headers: Some(edit(&[("x-b", "backend")])),
        response_headers: Some(edit(&[("x-c", "backend")])),
        rewrite: Some(v1::Rewrite {
            hostname: String::new(),
            path: Some(v1::PathEdit {
                edit: Some(v1::path_edit::Edit::Full("/new".into())),
            }),
        }),
        mirrors: vec![],
    });
    let edge = Edge::start(&site).await;
    let answer = edge.get("/old?q").await;
    assert!(answer.body.starts_with("GET /new?q\n"), "{}", answer.body);
    assert!(
        answer.body.contains("x-a: rule\nx-b: backend\n"),
        "{}",
        answer.body
    );
    assert_eq!(answer.header("x-c"), "backend");
}
