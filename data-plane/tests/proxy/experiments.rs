//! Sticky variants.

use http::Request;
use sluice_proto::v1;

use crate::{
    client::{Answer, empty},
    edge::Edge,
    snapshot::Site,
    upstream::Upstream,
};

/// A site with an experiment of two halves on the cookie `sid`.
pub(crate) fn site(upstream: &Upstream) -> Site {
    let variant = |name: &str| v1::Variant {
        name: name.into(),
        backends: vec![],
    };
    Site {
        experiment: Some(v1::Experiment {
            unit: Some(v1::Unit {
                source: Some(v1::unit::Source::Cookie("sid".into())),
            }),
            salt: "salt".into(),
            variants: vec![variant("old"), variant("new")],
            slot_runs: vec![5000, 0, 5000, 1],
            override_header: "x-force".into(),
            upstream_header: "x-variant".into(),
        }),
        ..Site::to(&[&upstream.name()])
    }
}

async fn ask(edge: &Edge, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get("/").header("host", "a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    edge.client().await.send(request.body(empty()).unwrap()).await
}

/// The variant that the upstream was told.
pub(crate) fn told(answer: &Answer) -> &str {
    let mut lines = answer.body.lines();
    lines.find_map(|line| line.strip_prefix("x-variant: ")).unwrap()
}

#[tokio::test]
async fn a_client_without_a_cookie_gets_one_and_stays_where_it_leads() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start_with(&site(&upstream), |config| config.provenance = true).await;
    for _ in 0..10 {
        let first = ask(&edge, &[]).await;
        let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(cookie.starts_with("sid="), "{cookie}");
        assert_eq!(first.header("x-sluice-variant"), told(&first));
        let second = ask(&edge, &[("cookie", &cookie)]).await;
        assert_eq!(told(&second), told(&first));
        assert!(!second.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_tester_can_force_a_variant_and_nobody_can_forge_its_name() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&site(&upstream)).await;
    for variant in ["old", "new"] {
        let answer = ask(&edge, &[("x-force", variant), ("x-variant", "forged")]).await;
        assert_eq!(told(&answer), variant);
        assert!(!answer.headers.contains_key("set-cookie"));
        assert!(!answer.headers.contains_key("x-sluice-variant"));
    }
}
