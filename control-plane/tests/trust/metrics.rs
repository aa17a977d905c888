//! Who was let in and who was not, and what runs out when, as `/metrics` tells it.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use rcgen::KeyPair;
use sluice_control::trust::TrustCollector;
use sluice_proto::v1::RenewRequest;
use sluice_proto::v1::enrolment_client::EnrolmentClient;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::site::{Site, request, subscribe};

fn metrics(site: &Site) -> String {
    let mut registry = Registry::default();
    let collector = TrustCollector::new(site.control.trust().clone());
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

fn assert_tells(site: &Site, lines: &[&str]) {
    let metrics = metrics(site);
    for line in lines {
        assert!(
            metrics.lines().any(|known| known == *line),
            "{line} is not in\n{metrics}"
        );
    }
}

/// Seconds from now until the time that this gauge tells.
fn until(site: &Site, name: &str) -> f64 {
    let metrics = metrics(site);
    let told = metrics.lines().find_map(|line| line.strip_prefix(name));
    let told: f64 = told.unwrap().trim().parse().unwrap();
    told - sluice_control::clock::since_1970().as_secs_f64()
}

#[tokio::test]
async fn certificates_are_counted_by_what_came_of_the_request() {
    let site = Site::start().await;
    assert_tells(&site, &["sluice_identities{state=\"standing\"} 0"]);
    assert!(
        !metrics(&site).contains("sluice_identity_next_expiry"),
        "nothing runs out"
    );
    let (token, key) = (site.token(&[]).await, KeyPair::generate().unwrap());
    site.join(&token, "edge-1", &key).await.unwrap();
    site.join(&token, "edge-2", &KeyPair::generate().unwrap())
        .await
        .unwrap_err();
    site.join("nobody.guess", "edge-2", &key).await.unwrap_err();
    site.join(&token, "a/b", &key).await.unwrap_err();
    let member = site.member("edge-3", &[]).await;
    let mut client = EnrolmentClient::new(site.connect(member.config()).await.unwrap());
    let renewal = RenewRequest {
        request: request(&member.key),
    };
    client.renew(renewal).await.unwrap();
    assert_tells(
        &site,
        &[
            "sluice_enrolments_total{request=\"join\",outcome=\"granted\"} 2",
            "sluice_enrolments_total{request=\"join\",outcome=\"used_token\"} 1",
            "sluice_enrolments_total{request=\"join\",outcome=\"unknown_token\"} 1",
            "sluice_enrolments_total{request=\"join\",outcome=\"invalid_id\"} 1",
            "sluice_enrolments_total{request=\"renew\",outcome=\"granted\"} 1",
        ],
    );
}

#[tokio::test]
async fn identities_are_counted_by_what_they_are_worth_and_what_runs_out_is_dated() {
    let site = Site::start().await;
    for id in ["edge-1", "edge-2"] {
        let member = site.member(id, &[]).await;
        // This replica knows whoever has connected here.
        let channel = site.connect(member.config()).await.unwrap();
        subscribe(channel, id, &[]).await.unwrap();
    }
    let two = [
        "sluice_identities{state=\"standing\"} 2",
        "sluice_identities{state=\"revoked\"} 0",
    ];
    assert_tells(&site, &two);
    let day = 24.0 * 3_600.0;
    for name in [
        "sluice_identity_next_expiry_timestamp_seconds ",
        "sluice_control_certificate_expiry_timestamp_seconds ",
    ] {
        let left = until(&site, name);
        assert!(left > day - 120.0 && left <= day, "{name}: {left}");
    }
    let root = until(
        &site,
        "sluice_authority_expiry_timestamp_seconds{number=\"1\",stage=\"issuing\"} ",
    );
    assert!(root > 30.0 * day, "{root}");
}

#[tokio::test]
async fn who_is_not_let_in_is_counted_by_the_reason() {
    let site = Site::start().await;
    let member = site.member("edge-1", &[]).await;
    // From here on this replica knows it.
    let own = site.connect(member.config()).await.unwrap();
    let _stream = subscribe(own, "edge-1", &[]).await.unwrap();
    let as_another = site.connect(member.config()).await.unwrap();
    assert!(subscribe(as_another, "edge-2", &[]).await.is_err());
    assert!(subscribe(site.plain().await, "edge-1", &[]).await.is_err());
    assert!(subscribe(site.stranger().await, "edge-1", &[]).await.is_err());
    assert_tells(
        &site,
        &[
            "sluice_control_proxies_refused_total{reason=\"other_id\"} 1",
            "sluice_control_proxies_refused_total{reason=\"taken\"} 1",
            "sluice_control_proxies_refused_total{reason=\"no_certificate\"} 1",
        ],
    );
    // The first byte promises TLS, and then there is none.
    let mut broken = TcpStream::connect(site.control.grpc).await.unwrap();
    broken.write_all(&[22; 64]).await.unwrap();
    // It is counted once it is closed.
    let counted = async {
        let line = "sluice_control_connections_refused_total{reason=\"handshake\"} 1";
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while !metrics(&site).lines().any(|known| known == line) {
            pause.tick().await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(10), counted).await;
    counted.expect("counted in time");
}
