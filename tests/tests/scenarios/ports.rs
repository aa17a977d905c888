//! Ports that are taken, and ports that come and go.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use sluice_tests::client::{Connection, Protocol, get, served_by};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, gateway_on, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_told_and_tried_again_until_it_is_free() {
    let upstream = Upstream::echo("web").await.unwrap();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = holder.local_addr().unwrap();
    let map = format!("81={}", taken.port());
    let site = Site::with(1, None, &["--port-map", "80=0", "--port-map", &map])
        .await
        .unwrap();
    let web = backend("web", &[upstream.address]);
    let good = site
        .apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();

    let second = gateway_on(&[("http", 80, None), ("second", 81, None)]);
    let written = site.rest().apply(&second, "").await.unwrap();
    let refusal = eventually("the refusal is told", SOON, async || {
        let path = format!("/v1/revisions/{}/receipt", written.revision);
        let answer = site.rest().send(reqwest::Method::GET, &path, None).await?;
        let refused = answer.body["refused"][0].clone();
        anyhow::ensure!(refused["proxy"] == "edge-1", "{answer:?}");
        Ok(refused)
    })
    .await
    .unwrap();
    assert_eq!(refusal["violations"][0]["code"], "local", "{refusal}");
    assert!(
        refusal.to_string().contains(&taken.port().to_string()),
        "{refusal}"
    );
    // What was live stays live.
    assert_eq!(site.proxies[0].config().await.unwrap().revision, good.revision);
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");

    drop(holder);
    let receipt = eventually("the proxy takes the port", SOON, async || {
        let receipt = site.rest().receipt(written.revision, SOON).await?;
        anyhow::ensure!(receipt.applied == 1, "{receipt:?}");
        Ok(receipt)
    })
    .await
    .unwrap();
    assert_eq!(receipt.refused.len(), 0, "{receipt:?}");
    assert_eq!(served_by(taken, HOST).await.unwrap(), "web");
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_changes_of_its_port_and_ends_in_good_order_with_it() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::with(1, None, &["--port-map", "80=0", "--port-map", "81=0"])
        .await
        .unwrap();
    let both = gateway_on(&[("http", 80, None), ("second", 81, None)]);
    let web = backend("web", &[upstream.address]);
    site.apply(&[both, web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let second = "listener/default/edge/second";
    let second = site.proxies[0].listening(second, 1, SOON).await.unwrap();
    let mut connection = Connection::open(second, Protocol::Http1).await.unwrap();
    assert_eq!(connection.send(get(HOST, "/")).await.unwrap().status, 200);

    // The listener gets another name: the socket and the connection stay.
    let renamed = gateway_on(&[("http", 80, None), ("renamed", 81, None)]);
    let applied = site.apply(&[renamed]).await.unwrap();
    let key = "listener/default/edge/renamed";
    let same = site.proxies[0]
        .listening(key, applied.revision, SOON)
        .await
        .unwrap();
    assert_eq!(same, second);
    assert_eq!(connection.send(get(HOST, "/")).await.unwrap().status, 200);

    // The port goes: nothing new is accepted.
    site.apply(&[gateway()]).await.unwrap();
    closed(second).await;
    let first = site.address().await.unwrap();
    assert_eq!(served_by(first, HOST).await.unwrap(), "web");
}

async fn closed(address: SocketAddr) {
    eventually("the port is closed", SOON, async || {
        anyhow::ensure!(Connection::open(address, Protocol::Http1).await.is_err());
        Ok(())
    })
    .await
    .unwrap();
}
