//! Processes that are killed and come back.

use std::path::PathBuf;

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::{Hello, Update};
use sluice_tests::client::served_by;
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_proxy_serves_from_disk_while_the_control_plane_is_away() {
    let upstream = Upstream::echo("web").await.unwrap();
    let mut site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let applied = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    saved(&site).await;

    site.control.process.signal(Signal::SIGKILL).unwrap();
    site.control.process.exit(SOON).await.unwrap();
    let mut proxy = site.proxies.remove(0);
    proxy.process.signal(Signal::SIGKILL).unwrap();
    proxy.process.exit(SOON).await.unwrap();

    let proxy = site.proxy("edge-1", &[]).await.unwrap();
    site.proxies.push(proxy);
    let address = site.address().await.unwrap();
    let config = site.proxies[0].config().await.unwrap();
    assert_eq!(config.revision, applied.revision);
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    let (status, body) = site.proxies[0].admin("/ready").await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(!site.proxies[0].config().await.unwrap().connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_is_set_aside_and_the_control_plane_asked_for_everything() {
    let upstream = Upstream::echo("web").await.unwrap();
    let mut site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let applied = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let file = saved(&site).await;
    let mut proxy = site.proxies.remove(0);
    proxy.process.signal(Signal::SIGKILL).unwrap();
    proxy.process.exit(SOON).await.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();

    let proxy = site.proxy("edge-1", &[]).await.unwrap();
    site.proxies.push(proxy);
    let address = site.proxies[0]
        .listening(LISTENER, applied.revision, SOON)
        .await
        .unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    // Kept beside, for whoever wants to know how it broke.
    let mut kept = std::fs::read_dir(file.parent().unwrap()).unwrap();
    let is_broken = |path: PathBuf| std::fs::read(path).is_ok_and(|kept| kept == bytes);
    assert!(kept.any(|entry| is_broken(entry.unwrap().path())));
}

/// The file with the snapshot of `edge-1`, once it is there: it is written after the
/// acknowledgement, and the empty snapshot before it is shorter.
async fn saved(site: &Site) -> PathBuf {
    let file = site.directory().join("edge-1/snapshot");
    eventually("the snapshot is on disk", SOON, async || {
        anyhow::ensure!(std::fs::metadata(&file)?.len() > 200);
        Ok(())
    })
    .await
    .unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_a_snapshot_is_alive_but_not_ready() {
    let mut site = Site::start(0).await.unwrap();
    site.control.process.signal(Signal::SIGKILL).unwrap();
    site.control.process.exit(SOON).await.unwrap();
    let proxy = site.proxy("edge-1", &[]).await.unwrap();
    let (ready, _) = proxy.admin("/ready").await.unwrap();
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    let (live, _) = proxy.admin("/live").await.unwrap();
    assert_eq!(live, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_control_plane_loses_nothing_and_sends_nothing_twice_on_sqlite() {
    control_killed(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_control_plane_loses_nothing_and_sends_nothing_twice_on_postgres() {
    let postgres = Postgres::start().await.unwrap();
    control_killed(Some(&postgres.url())).await;
}

async fn control_killed(database: Option<&str>) {
    let upstream = Upstream::echo("web").await.unwrap();
    let mut site = Site::with(2, database, &[]).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let applied = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    let mut witness = FakeProxy::join(site.control.grpc, "witness").await.unwrap();
    let held = witness.update().await.unwrap();
    assert_eq!(revision(&held), applied.revision);
    witness.ack(&held).await.unwrap();

    site.replace_control().await.unwrap();
    // Who is up to date hears of the next revision, and of nothing before.
    let mut witness = FakeProxy::say_hello(site.control.grpc, holding(&held))
        .await
        .unwrap();
    site.fleet_of(3).await.unwrap();
    let spare = site.rest().apply(&backend("spare", &[]), "").await.unwrap();
    let update = witness.update().await.unwrap();
    assert_eq!((revision(&update), &update.base), (spare.revision, &held.target));
    let keys: Vec<_> = update.upserts.iter().map(|resource| &*resource.key).collect();
    assert_eq!(keys, ["backend/default/spare", "endpoints/default/spare"]);
    witness.ack(&update).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");

    // Acknowledged, then killed at once.
    let last = site.rest().apply(&backend("last", &[]), "").await.unwrap();
    site.replace_control().await.unwrap();
    let path = "/v1/namespaces/default/backends/last";
    let read = site.rest().send(Method::GET, path, None).await.unwrap();
    assert_eq!(read.status, StatusCode::OK, "{read:?}");
    site.fleet_of(2).await.unwrap();
    let receipt = site.rest().receipt(last.revision, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
}

/// The hello of a proxy that took `update` before.
fn holding(update: &Update) -> Hello {
    Hello {
        proxy_id: "witness".into(),
        wire_version: WIRE_VERSION,
        history: update.history.clone(),
        holds: update.target.clone(),
        instance: vec![7; 16],
        ..Hello::default()
    }
}
