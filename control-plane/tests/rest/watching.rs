//! Health, metrics and the fleet's view.

use serde_json::json;

use crate::manifests::shop;
use crate::server::Server;

#[tokio::test]
async fn readiness_and_metrics_tell_what_is_live() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    assert_eq!(
        server.get("/readyz").await.json,
        json!({"status": "ok", "revision": 1, "head": 1})
    );
    let metrics = server.get("/metrics").await.text;
    for line in [
        "sluice_control_revision{} 1",
        "sluice_fleet_proxies{replica=\"\",status=\"current\"} 0",
        "sluice_control_views{} 1",
        "sluice_identities{state=\"standing\"} 0",
        "sluice_propagation_seconds_count{stage=\"commit\"} 1",
        "sluice_propagation_seconds_count{stage=\"ack\"} 0",
        "sluice_fleet_connected{replica=\"\"} 0",
        "sluice_fleet_oldest_behind_seconds 0.0",
        "sluice_control_requests_total{method=\"post\",path=\"/v1/apply\",status=\"200\"} 1",
    ] {
        assert!(
            metrics.lines().any(|known| known == line),
            "{line} is not in\n{metrics}"
        );
    }
}

#[tokio::test]
async fn a_fleet_without_proxies_is_an_empty_list() {
    let server = Server::start().await;
    let none = json!({"proxies": 0, "connected": 0, "current": 0, "behind": 0, "refused": 0, "lost": 0});
    assert_eq!(
        server.get("/v1/fleet").await.json,
        json!({"proxies": [], "summary": none})
    );
    assert_eq!(
        server.get("/v1/fleet/edge-1").await.problem(404),
        "no proxy `edge-1` is known"
    );
    assert_eq!(server.delete("/v1/fleet/edge-1").await.status, 404);
}
