//! Processes that are told to end.

use std::net::SocketAddr;

use http::Response;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use sluice_tests::client::{get, send};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::{Upstream, full};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_told_to_end_finishes_what_runs_and_leaves_the_fleet_at_once() {
    let (release, released) = watch::channel(false);
    let (started, mut starts) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::serve(move |_, _| {
        let (mut released, started) = (released.clone(), started.clone());
        async move {
            started.send(()).await?;
            released.wait_for(|released| *released).await?;
            Ok(Response::new(full("finished")))
        }
    })
    .await
    .unwrap();
    let mut site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    let running = tokio::spawn(send(address, get(HOST, "/")));
    timeout(SOON, starts.recv()).await.unwrap().unwrap();

    site.proxies[0].process.signal(Signal::SIGTERM).unwrap();
    not_accepted(address).await;
    let (ready, _) = site.proxies[0].admin("/ready").await.unwrap();
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        site.proxies[0].process.exited().is_none(),
        "ended before the request did"
    );
    release.send(true).unwrap();

    let answer = running.await.unwrap().unwrap();
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, &b"finished"[..]));
    let status = site.proxies[0].process.exit(SOON).await.unwrap();
    assert_eq!(status.code(), Some(0));
    site.fleet_of(0).await.unwrap();
}

async fn not_accepted(address: SocketAddr) {
    eventually("nothing is accepted", SOON, async || {
        anyhow::ensure!(TcpStream::connect(address).await.is_err());
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_told_to_end_ends_well_with_proxies_connected() {
    let mut site = Site::start(1).await.unwrap();
    site.apply(&[gateway(), backend("web", &[])]).await.unwrap();
    site.control.process.signal(Signal::SIGTERM).unwrap();
    let status = site.control.process.exit(SOON).await.unwrap();
    assert_eq!(status.code(), Some(0));
    eventually("the proxy knows", SOON, async || {
        anyhow::ensure!(!site.proxies[0].config().await?.connected);
        Ok(())
    })
    .await
    .unwrap();
    let (ready, _) = site.proxies[0].admin("/ready").await.unwrap();
    assert_eq!(ready, StatusCode::OK);
}
