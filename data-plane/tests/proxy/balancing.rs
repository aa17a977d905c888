//! Which endpoint gets a request.

use std::collections::HashSet;

use http::Response;
use sluice_proto::v1::{self, endpoint_health::State};

use crate::{
    client::full,
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, nobody},
};

#[tokio::test]
async fn all_endpoints_get_requests() {
    let (a, b) = (Upstream::saying("a").await, Upstream::saying("b").await);
    let edge = Edge::start(&Site::to(&[&a.name(), &b.name()])).await;
    let mut client = edge.client().await;
    let mut seen = HashSet::new();
    for _ in 0..100 {
        seen.insert(client.get("/").await.body);
    }
    assert_eq!(seen, ["a".to_owned(), "b".to_owned()].into());
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_out_and_reported() {
    let good = Upstream::saying("good").await;
    let bad = Upstream::http1(|_| async { Response::builder().status(503).body(full("bad")).unwrap() }).await;
    let dead = nobody();
    let mut site = Site::to(&[&good.name(), &bad.name(), &dead]);
    site.backend.outlier = Some(v1::Outlier {
        failures: 2,
        base_ejection_ms: 600_000,
        max_ejection_ms: 600_000,
        max_ejected_percent: 100,
    });
    let mut edge = Edge::start(&site).await;
    let mut client = edge.client().await;
    let bodies: Vec<_> = {
        let mut bodies = Vec::new();
        for _ in 0..200 {
            bodies.push(client.get("/").await.body);
        }
        bodies
    };
    assert!(
        bodies.iter().filter(|body| *body == "bad").count() <= 2,
        "{bodies:?}"
    );
    assert_eq!(bodies[190..], ["good"; 10]);

    let mut ejected = HashSet::new();
    let report = |report: &v1::Report| {
        let out = report
            .endpoints
            .iter()
            .filter(|one| one.state() == State::Ejected);
        ejected.extend(out.map(|one| one.address.clone()));
        (ejected.len() == 2).then(|| ejected.clone())
    };
    let ejected = edge.control.report(report).await;
    assert_eq!(ejected, [bad.name(), dead].into());
    let metrics = edge.admin("/metrics").await.body;
    assert!(
        metrics.contains("\nsluice_endpoint_ejections_total 2\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn connections_outlive_a_change() {
    let upstream = Upstream::saying("ok").await;
    let site = Site::to(&[&upstream.name()]);
    let mut edge = Edge::start(&site).await;
    let mut client = edge.client().await;
    for count in 0..10 {
        assert_eq!(client.get("/").await.body, "ok");
        let mut site = site.clone();
        site.rule.request_timeout_ms = 10_000 + count;
        edge.apply(&site).await;
    }
    let metrics = edge.admin("/metrics").await.body;
    assert!(
        metrics.contains("\nsluice_upstream_connects_total 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nsluice_connections_accepted_total 1\n"),
        "{metrics}"
    );
}
