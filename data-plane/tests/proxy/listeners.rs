//! Ports: taken, waited for, let go.

use std::{net::TcpListener, time::Duration};

use sluice_core::Snapshot;
use sluice_proxy::Proxy;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    control::Control,
    edge::{Edge, HISTORY, config},
    snapshot::{Site, update},
};

#[tokio::test]
async fn a_port_that_somebody_has_is_refused_for_now_and_taken_when_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut control = Control::start().await;
    let mut config = config(&control);
    config.port_map = [format!("80={port}").parse().unwrap()].into_iter().collect();
    let proxy = Proxy::start(config).unwrap();
    control.hello().await;
    let update = update(&Snapshot::empty(HISTORY), &Site::to(&[]));
    control.send(&update).await;
    let nack = control.nack().await;
    assert!(nack.retrying);
    assert_eq!(nack.position.unwrap().revision, 1);
    assert_eq!(nack.violations[0].code, "local");
    assert_eq!(nack.violations[0].resource, "listener/default/edge/http");
    assert!(!proxy.status().borrow().is_ready());
    drop(taken);
    let ack = control.ack().await;
    assert_eq!(ack.listeners[0].address, format!("127.0.0.1:{port}"));
    assert!(proxy.status().borrow().is_ready());
}

#[tokio::test]
async fn a_change_of_ports_opens_the_new_one_and_ends_connections_on_the_old_in_order() {
    let mut edge = Edge::start(&Site::to(&[])).await;
    let mut client = edge.client().await;
    client.get("/").await;
    let ack = edge
        .apply(&Site {
            port: 81,
            ..Site::to(&[])
        })
        .await;
    let old = edge.address;
    edge.address = ack.listeners[0].address.parse().unwrap();
    assert_ne!(edge.address, old);
    assert_eq!(edge.get("/").await.reason(), (503, "no_endpoints"));
    let closed = async {
        while TcpStream::connect(old).await.is_ok() {}
        client.closed().await;
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn two_proxies_do_not_share_a_port() {
    let first = Edge::start(&Site::to(&[])).await;
    let mut control = Control::start().await;
    let mut config = config(&control);
    let port = first.address.port();
    config.port_map = [format!("80={port}").parse().unwrap()].into_iter().collect();
    let _second = Proxy::start(config).unwrap();
    control.hello().await;
    control
        .send(&update(&Snapshot::empty(HISTORY), &Site::to(&[])))
        .await;
    assert!(control.nack().await.retrying);
}

#[tokio::test]
async fn every_worker_takes_connections() {
    let edge = Edge::start_with(&Site::to(&[]), |config| {
        config.workers = std::num::NonZeroUsize::new(3).unwrap();
    })
    .await;
    // Spread by the kernel: one connection may go anywhere, a hundred go everywhere.
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = edge.client().await;
        assert_eq!(client.get("/").await.status.as_u16(), 503);
        clients.push(client);
    }
    let metrics = edge.admin("/metrics").await.body;
    assert!(metrics.contains("\nsluice_connections 100\n"), "{metrics}");
}
