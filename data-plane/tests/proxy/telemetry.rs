//! What is counted, reported and logged.

use http::Response;
use sluice_proxy::{Format, Sink};

use crate::{client::full, edge::Edge, snapshot::Site, upstream::Upstream};

async fn flaky() -> Upstream {
    Upstream::http1(|request| async move {
        let status = match request.uri().path() {
            "/bad" => 500,
            _ => 200,
        };
        Response::builder().status(status).body(full("12345")).unwrap()
    })
    .await
}

#[tokio::test]
async fn a_scrape_counts_every_request_that_has_ended() {
    let upstream = flaky().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = edge.client().await;
    for count in 1..=20 {
        client.get("/").await;
        let metrics = edge.admin("/metrics").await.body;
        for line in [
            format!(
                "sluice_requests_total{{route=\"default/shop\",rule=\"rule/default/shop/0\",variant=\"\",code=\"2xx\"}} {count}"
            ),
            format!(
                "sluice_request_duration_seconds_count{{route=\"default/shop\",rule=\"rule/default/shop/0\",variant=\"\"}} {count}"
            ),
            format!("sluice_response_bytes_total {}", 5 * count),
            "sluice_snapshot_revision 1".to_owned(),
        ] {
            assert!(metrics.contains(&format!("\n{line}\n")), "{line}\n{metrics}");
        }
    }
}

#[tokio::test]
async fn reports_say_what_came_since_the_last_one() {
    let upstream = flaky().await;
    let mut edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = edge.client().await;
    for _ in 0..9 {
        client.get("/").await;
    }
    client.get("/bad").await;
    let (mut requests, mut failures, mut latencies) = (0, 0, 0);
    edge.control
        .report(|report| {
            for traffic in &report.traffic {
                assert_eq!((&*traffic.rule, &*traffic.variant), ("rule/default/shop/0", ""));
                requests += traffic.requests;
                failures += traffic.failures;
                let sketch = traffic.latency.as_ref().unwrap();
                latencies += sketch.zeros + sketch.counts.iter().sum::<u64>();
            }
            (requests >= 10).then_some(())
        })
        .await;
    assert_eq!((requests, failures, latencies), (10, 1, 10));
}

#[tokio::test]
async fn the_log_has_a_line_for_every_request() {
    let upstream = flaky().await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), |config| {
        config.access_log = Sink::File(path.clone());
        config.access_log_format = Format::Json;
    })
    .await;
    let mut client = edge.client().await;
    client.get("/a?b=c").await;
    client.get("/bad").await;
    drop(client);
    edge.proxy.shutdown().await;
    let log = std::fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    let first = &lines[0];
    assert_eq!(
        (&first["path"], &first["status"]),
        (&"/a?b=c".into(), &200.into())
    );
    assert_eq!(
        (&first["revision"], &first["route"]),
        (&1.into(), &"default/shop".into())
    );
    assert_eq!(
        (&first["backend"], &first["endpoint"]),
        (&"default/web".into(), &upstream.name().into())
    );
    assert_eq!(
        (&first["bytes_out"], &first["host"]),
        (&5.into(), &"shop.example".into())
    );
    assert_eq!(
        (&first["port"], &first["scheme"]),
        (&80.into(), &"http".into()),
        "as the Gateway has it, whatever is bound"
    );
    assert!(first["duration_us"].as_u64() >= first["first_byte_us"].as_u64());
    assert!(first["connect_us"].is_u64() && first["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(
        (&lines[1]["flags"], &lines[1]["status"]),
        (&"reused".into(), &500.into())
    );
}
