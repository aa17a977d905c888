//! Changes as the control plane sends them, and a proxy that is alone.

use std::time::Duration;

use sluice_core::Snapshot;
use sluice_proxy::{Proxy, StartError};
use tokio::time::timeout;

use crate::{
    client::Client,
    control::Control,
    edge::{Edge, HISTORY, config},
    snapshot::{Site, update},
    upstream::Upstream,
};

#[tokio::test]
async fn a_change_is_served_from_the_acknowledgement_on() {
    let (old, new) = (Upstream::saying("old").await, Upstream::saying("new").await);
    let mut edge = Edge::start(&Site::to(&[&old.name()])).await;
    let mut client = edge.client().await;
    assert_eq!(client.get("/").await.body, "old");
    let ack = edge.apply(&Site::to(&[&new.name()])).await;
    assert_eq!(ack.position.unwrap().revision, 2);
    assert!(ack.build_us > 0);
    assert_eq!(client.get("/").await.body, "new");
    let config = edge.config().await;
    assert_eq!(config["revision"], 2);
    assert_eq!(config["history"], HISTORY.to_string());
    assert_eq!(
        config["configDigest"],
        edge.snapshot.position().config.to_string()
    );
    assert_eq!(config["listeners"][0]["gateway"], "default/edge");
    assert_eq!(config["listeners"][0]["address"], edge.address.to_string());
    assert_eq!(config["connected"], true);
}

#[tokio::test]
async fn what_is_wrong_is_refused_whole_and_the_old_goes_on() {
    let upstream = Upstream::saying("ok").await;
    let site = Site::to(&[&upstream.name()]);
    let edge = &mut Edge::start(&site).await;
    let mut bad = site.clone();
    bad.rule.redirect = Some(sluice_proto::v1::Redirect::default());
    let bad = update(&edge.snapshot, &bad);
    edge.control.send(&bad).await;
    let nack = edge.control.nack().await;
    assert!(!nack.retrying && !nack.violations.is_empty());
    assert_eq!(nack.violations[0].resource, "rule/default/shop/0");
    let mut corrupt = update(&edge.snapshot, &site).to_wire();
    corrupt.upserts.pop();
    edge.control.send_wire(corrupt).await;
    assert_eq!(edge.control.nack().await.violations[0].code, "corrupt");
    assert_eq!(edge.get("/").await.body, "ok");
    assert_eq!(edge.config().await["revision"], 1);
}

#[tokio::test]
async fn an_update_that_starts_elsewhere_leads_to_a_new_hello() {
    let site = Site::to(&[]);
    let mut edge = Edge::start(&site).await;
    let mut wire = update(&edge.snapshot, &site).to_wire();
    wire.base = wire.target.clone();
    edge.control.send_wire(wire).await;
    assert_eq!(edge.control.hello().await.holds.unwrap().revision, 1);
    edge.apply(&site).await;
}

#[tokio::test]
async fn a_full_update_of_another_history_replaces_everything() {
    let (old, new) = (Upstream::saying("old").await, Upstream::saying("new").await);
    let mut edge = Edge::start(&Site::to(&[&old.name()])).await;
    edge.apply(&Site::to(&[&old.name()])).await;
    let other = Snapshot::empty(sluice_model::HistoryId([9; 16]));
    edge.control
        .send(&update(&other, &Site::to(&[&new.name()])))
        .await;
    let ack = edge.control.ack().await;
    assert_eq!((ack.history, ack.position.unwrap().revision), (vec![9; 16], 1));
    assert_eq!(edge.get("/").await.body, "new");
}

#[tokio::test]
async fn a_control_plane_that_comes_back_hears_what_is_held() {
    let upstream = Upstream::saying("ok").await;
    let mut edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let position = edge.snapshot.position();
    let address = edge.control.address;
    let away = std::mem::replace(&mut edge.control, Control::start().await);
    away.stop().await;
    assert_eq!(edge.get("/").await.body, "ok");
    edge.control = Control::start_at(address).await;
    let hello = edge.control.hello().await;
    assert_eq!(hello.history, HISTORY.0);
    assert_eq!(hello.holds.unwrap(), sluice_core::position_to_wire(position));
    assert_eq!(hello.listeners[0].address, edge.address.to_string());
}

#[tokio::test]
async fn a_proxy_goes_on_to_the_next_control_plane() {
    let mut control = Control::start().await;
    let mut config = config(&control);
    config.control.insert(0, crate::upstream::nobody());
    let _proxy = Proxy::start(config).unwrap();
    assert_eq!(control.hello().await.proxy_id, "edge-1");
}

#[tokio::test]
async fn a_restarted_proxy_serves_what_it_had_without_a_control_plane() {
    let upstream = Upstream::saying("saved").await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), |config| {
        config.state_dir = Some(path.clone());
    })
    .await;
    let mut alone = config(&edge.control);
    alone.state_dir = Some(path.clone());
    assert!(
        matches!(Proxy::start(alone.clone()), Err(StartError::State(_))),
        "two share a directory"
    );
    edge.proxy.shutdown().await;

    alone.control = vec![crate::upstream::nobody()];
    let proxy = Proxy::start(alone).unwrap();
    let mut status = proxy.status();
    let ready = status.wait_for(|status| status.is_ready());
    let listener = timeout(Duration::from_secs(10), ready)
        .await
        .unwrap()
        .unwrap()
        .listeners[0]
        .address;
    assert_eq!(Client::connect(listener).await.get("/").await.body, "saved");
    assert_eq!(status.borrow().position, edge.snapshot.position());
}

#[tokio::test]
async fn an_empty_snapshot_is_complete_too() {
    let mut control = Control::start().await;
    let proxy = Proxy::start(config(&control)).unwrap();
    control.hello().await;
    let ready = Client::connect(proxy.admin()).await.get("/ready").await;
    assert_eq!(ready.status.as_u16(), 503);
    let empty = Snapshot::empty(HISTORY);
    let full = sluice_core::Update::full(HISTORY, empty.position(), empty.resources());
    control.send(&full).await;
    assert!(control.ack().await.listeners.is_empty());
    let ready = Client::connect(proxy.admin()).await.get("/ready").await;
    assert_eq!(ready.status.as_u16(), 200);
}
