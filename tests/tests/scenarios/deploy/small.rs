//! The compose file and the systemd units.

use std::time::Duration;

use sluice_tests::deployment::{compose, unit};

use super::running::Running;
use super::{KEYS, PASSWORD, control_env, owned};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compose_file_starts_a_fleet_that_serves() {
    let mut secrets = owned([
        ("postgres-password", PASSWORD),
        ("envelope-keys", KEYS),
        ("join-edge-1", ""),
        ("join-edge-2", ""),
        ("control.env", &control_env()),
    ]);
    let names = ["postgres", "etcd", "control-1", "control-2", "edge-1", "edge-2"];
    let aliases: Vec<_> = names.iter().map(|name| (*name, std::slice::from_ref(name))).collect();
    let mut running = Running::new(&aliases);
    let pods = compose(&secrets).unwrap();
    let pod = |pods: &[sluice_tests::deployment::Pod], name: &str| {
        pods.iter().find(|pod| pod.name == name).unwrap().clone()
    };
    running
        .start_postgres("postgres", &pod(&pods, "postgres").argv)
        .await;
    for control in ["control-1", "control-2"] {
        running.start(&pod(&pods, control));
        running.probed(control, 7400, "/readyz").await;
    }
    for edge in ["edge-1", "edge-2"] {
        secrets.insert(format!("join-{edge}"), running.join_token("control-2", edge));
    }
    let pods = compose(&secrets).unwrap();
    running.start(&pod(&pods, "edge-1"));
    running.start(&pod(&pods, "edge-2"));
    running.probed("edge-1", 9000, "/ready").await;
    running.probed("edge-2", 9000, "/ready").await;
    running.serves("control-1", &["edge-1", "edge-2"], 8080).await;
    running.stops(&["edge-1", "edge-2"], Duration::from_secs(45)).await;
    running
        .stops(&["control-1", "control-2"], Duration::from_secs(30))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systemd_units_start_a_control_plane_and_a_proxy_that_serve() {
    let mut files = owned([
        ("/etc/sluice/control.env", &control_env()),
        ("/etc/sluice/envelope-keys", KEYS),
    ]);
    let mut running = Running::new(&[
        ("postgres", &["db.example.internal"]),
        ("control-1", &["control-1.example.internal", "control-2.example.internal"]),
        ("edge-1", &[]),
    ]);
    running.start_postgres("postgres", &[]).await;
    running.start(&unit("sluice-control.service", "control-1", &files).unwrap());
    // REST listens on loopback there.
    running.sit_at("control-1");
    running.probed("localhost", 7400, "/readyz").await;
    let token = running.join_token("localhost", "edge-1");
    files.insert("/etc/sluice/join-token".to_owned(), token);
    running.start(&unit("sluice-proxy.service", "edge-1", &files).unwrap());
    running.serves("localhost", &["edge-1"], 80).await;
    running.stops(&["edge-1"], Duration::from_secs(45)).await;
    running.stops(&["control-1"], Duration::from_secs(30)).await;
}
