//! Gateways that are for a part of the fleet, on one control plane and on two.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sluice_proto::v1::{Update, Violation};
use sluice_tests::client::{Connection, Protocol, get};
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{HOST, backend, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::servers::sluice;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

/// Views besides that of no selector that a control plane keeps.
const MOST: usize = 64;

/// A Gateway with one HTTP listener for the proxies that `selector` names.
fn gateway_for(name: &str, selector: &str, port: usize) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "annotations": {"sluice.dev/proxy-selector": selector}},
        "spec": {
            "gatewayClassName": "sluice",
            "listeners": [{"name": "http", "port": port, "protocol": "HTTP"}],
        },
    })
}

/// All that is for one zone: a Gateway, a route, and a Backend with these endpoints. Every zone's
/// listener is at the same place.
fn zone(name: &str, endpoints: &[SocketAddr]) -> Vec<Value> {
    let mut routed = route_to(name, HOST, name);
    routed["spec"]["parentRefs"] = json!([{"name": name}]);
    vec![
        gateway_for(name, &format!("zone={name}"), 80),
        backend(name, endpoints),
        routed,
    ]
}

fn keys<'a>(update: &'a Update, kind: &str) -> Vec<&'a str> {
    let keys = update.upserts.iter().map(|one| one.key.as_str());
    let mut keys: Vec<_> = keys.filter(|key| key.starts_with(kind)).collect();
    keys.sort_unstable();
    keys
}

async fn view_of(rest: &Rest, id: &str) -> anyhow::Result<Value> {
    let known = rest.connected(id, true, Duration::ZERO).await?;
    Ok(known["view"].clone())
}

/// Who answers on this connection, once it is `upstream`.
async fn answered_by(connection: &mut Connection, upstream: &str) {
    eventually(&format!("{upstream} answers"), SOON, async || {
        let answer = connection.send(get(HOST, "/")).await?;
        let by = answer.echo()?.upstream;
        ensure!(by == upstream, "{by} answers");
        Ok(())
    })
    .await
    .unwrap();
}

/// A label that is set at one control plane moves a proxy of the other, under traffic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_moves_a_proxy_and_its_traffic_and_breaks_no_connection_and_no_stream() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let upstreams = [
        Upstream::echo("eu").await.unwrap(),
        Upstream::echo("us").await.unwrap(),
    ];
    let labels = [["--label", "zone=eu"], ["--label", "zone=us"]];
    let moving = cluster.proxy_with("edge-1", 1, &labels[0]).await.unwrap();
    let staying = cluster.proxy_with("edge-2", 0, &labels[1]).await.unwrap();
    cluster.fleet_of(0, 2).await.unwrap();
    let rest = &cluster.controls[0].rest;
    let zones = [
        zone("eu", &[upstreams[0].address]),
        zone("us", &[upstreams[1].address]),
    ];
    let applied = rest
        .apply(&list(&zones.concat()), "wait=20s&quorum=1")
        .await
        .unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
    let open = async |proxy: &sluice_tests::servers::DataPlane, zone: &str| {
        let listener = format!("listener/default/{zone}/http");
        let address = proxy.listening(&listener, applied.revision, SOON).await.unwrap();
        Connection::open(address, Protocol::Http1).await.unwrap()
    };
    let mut moved = open(&moving, "eu").await;
    let mut stayed = open(&staying, "us").await;
    answered_by(&mut moved, "eu").await;
    answered_by(&mut stayed, "us").await;

    let told = sluice(rest, &["fleet", "label", "edge-1", "zone=us"])
        .await
        .unwrap();
    assert_eq!(told, "proxy edge-1 labelled by operators: zone=us\n");
    answered_by(&mut moved, "us").await;
    eventually("the other control plane hears of it", SOON, async || {
        let view = view_of(rest, "edge-1").await?;
        ensure!(view == json!(["zone=us"]), "{view}");
        Ok(())
    })
    .await
    .unwrap();
    let listeners = moving.config().await.unwrap().listeners;
    let names: Vec<_> = listeners.iter().map(|one| one.listener.as_str()).collect();
    assert_eq!(names, ["listener/default/us/http"]);

    // Taken away at the other control plane, what the proxy says itself counts again.
    sluice(&cluster.controls[1].rest, &["fleet", "label", "edge-1", "zone-"])
        .await
        .unwrap();
    answered_by(&mut moved, "eu").await;
    answered_by(&mut stayed, "us").await;
    for proxy in [&moving, &staying] {
        let log = proxy.process.log();
        assert_eq!(log.matches("control plane connected").count(), 1, "{log}");
    }
    // Labels are no revision.
    let receipt = rest.receipt(applied.revision, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
    assert_eq!(moving.config().await.unwrap().revision, applied.revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_set_at_one_control_plane_sends_a_proxy_of_the_other_a_difference() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let [a, b] = [&cluster.controls[0], &cluster.controls[1]];
    let mut shared = zone("shared", &[]);
    shared[0]["metadata"] = json!({"name": "shared"});
    shared[0]["spec"]["listeners"][0]["port"] = json!(81);
    let manifests = [shared, zone("eu", &[]), zone("us", &[])].concat();
    a.rest.apply(&list(&manifests), "").await.unwrap();
    let mut proxy = FakeProxy::labelled(b.grpc, "edge", &[("zone", "eu")])
        .await
        .unwrap();
    let mut held = proxy.update().await.unwrap();
    while revision(&held) == 0 {
        proxy.ack(&held).await.unwrap();
        held = proxy.update().await.unwrap();
    }
    assert_eq!(
        keys(&held, "backend/"),
        ["backend/default/eu", "backend/default/shared"]
    );
    proxy.ack(&held).await.unwrap();
    sluice(&a.rest, &["fleet", "label", "edge", "zone=us"])
        .await
        .unwrap();
    let update = proxy.update().await.unwrap();
    assert_eq!(update.base, held.target, "a difference from what it has");
    assert_eq!(keys(&update, "backend/"), ["backend/default/us"]);
    assert!(
        update.removals.contains(&"backend/default/eu".to_owned()),
        "{update:?}"
    );
    let is_shared = |key: &str| key.contains("/shared");
    assert!(
        !update.upserts.iter().any(|one| is_shared(&one.key)),
        "{update:?}"
    );
    assert!(!update.removals.iter().any(|key| is_shared(key)), "{update:?}");
    proxy.ack(&update).await.unwrap();
    let receipt = a.rest.receipt(1, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (1, 1), "{receipt:?}");
}

/// The labels of its token count wherever it connects, whatever it says itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_has_the_view_of_its_tokens_labels_at_every_control_plane() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::sealed(2, &[postgres.url()], &[]).await.unwrap();
    let zones = [zone("eu", &[]), zone("us", &[])].concat();
    let [a, b] = [&cluster.controls[0].rest, &cluster.controls[1].rest];
    a.apply(&list(&zones), "").await.unwrap();
    let bound = json!({"proxy": "edge-1", "labels": {"zone": "us"}});
    let token = a.join_token(cluster.path(), &bound).await.unwrap();
    let token = ["--join-token-file", token.to_str().unwrap()];
    let options = [&["--label", "zone=eu"][..], &token].concat();
    for first in [0, 1] {
        let mut proxy = cluster.proxy_with("edge-1", first, &options).await.unwrap();
        proxy
            .listening("listener/default/us/http", 1, SOON)
            .await
            .unwrap();
        eventually("both say so", SOON, async || {
            let views = [view_of(a, "edge-1").await?, view_of(b, "edge-1").await?];
            ensure!(views == [json!(["zone=us"]), json!(["zone=us"])], "{views:?}");
            Ok(())
        })
        .await
        .unwrap();
        proxy.process.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
        proxy.process.exit(SOON).await.unwrap();
    }
}

/// One control plane saw the refusal; the other never had a proxy of that view.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_starts_at_what_was_good_at_another_control_plane() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let [a, b] = [&cluster.controls[0], &cluster.controls[1]];
    let labels = [("zone", "eu")];
    let good = a.rest.apply(&list(&zone("eu", &[])), "").await.unwrap().revision;
    let mut old = FakeProxy::labelled(a.grpc, "old", &labels).await.unwrap();
    let mut held = old.update().await.unwrap();
    old.ack(&held).await.unwrap();
    while revision(&held) < good {
        held = old.update().await.unwrap();
        old.ack(&held).await.unwrap();
    }
    let address = "127.0.0.1:9".parse().unwrap();
    let bad = a
        .rest
        .apply(&backend("eu", &[address]), "")
        .await
        .unwrap()
        .revision;
    let update = old.update().await.unwrap();
    assert_eq!(revision(&update), bad);
    let violation = Violation {
        resource: "backend/default/eu".into(),
        code: "invalid".into(),
        ..Violation::default()
    };
    old.nack(&update, violation).await.unwrap();
    let mut attempt = 0;
    let newcomer = eventually("a newcomer starts at the good one", SOON, async || {
        attempt += 1;
        let id = format!("newcomer-{attempt}");
        let mut newcomer = FakeProxy::labelled(b.grpc, &id, &labels).await?;
        let first = newcomer.update().await?;
        match revision(&first) == good {
            true => Ok((newcomer, first)),
            false => {
                newcomer.leave().await?;
                anyhow::bail!("starts at {}", revision(&first))
            }
        }
    });
    let (mut newcomer, first) = newcomer.await.unwrap();
    assert_eq!(first.base, None);
    newcomer.ack(&first).await.unwrap();
    let next = newcomer.update().await.unwrap();
    assert_eq!((revision(&next), next.base), (bad, first.target));
}

/// The labels of a proxy that matches the selectors whose bit is set in `number`.
fn bits(number: usize) -> Vec<(String, String)> {
    let set = (0..7).filter(|bit| number >> bit & 1 == 1);
    set.map(|bit| (format!("bit{bit}"), "set".to_owned())).collect()
}

async fn of_view(site: &Site, number: usize) -> FakeProxy {
    let labels = bits(number);
    let labels: Vec<_> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    let id = format!("p{number}");
    FakeProxy::labelled(site.control.grpc, &id, &labels)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_view_more_than_are_kept_is_told_and_made_when_another_goes() {
    let site = Site::start(0).await.unwrap();
    let gateways: Vec<_> = (0..7)
        .map(|bit| gateway_for(&format!("g{bit}"), &format!("bit{bit}=set"), 1000 + bit))
        .collect();
    site.rest().apply(&list(&gateways), "").await.unwrap();
    let mut proxies = Vec::new();
    for number in 1..=MOST {
        let mut proxy = of_view(&site, number).await;
        let update = proxy.update().await.unwrap();
        assert_eq!(keys(&update, "listener/").len(), bits(number).len(), "{number}");
        proxy.ack(&update).await.unwrap();
        proxies.push(proxy);
    }
    let warnings = async |number: usize| {
        let known = site.rest().connected(&format!("p{number}"), true, SOON).await;
        known.unwrap()["warnings"].clone()
    };
    assert_eq!(warnings(MOST).await, json!([]), "there is room for {MOST}");

    let mut late = of_view(&site, MOST + 1).await;
    eventually("it is told", SOON, async || {
        let told = warnings(MOST + 1).await.to_string();
        ensure!(told.contains("more than 64 combinations"), "{told}");
        Ok(())
    })
    .await
    .unwrap();
    let mut again = gateways[0].clone();
    again["spec"]["listeners"][0]["hostname"] = json!("*.example.com");
    let changed = site.rest().apply(&again, "").await.unwrap().revision;
    // Each of the others gets on, whatever they had before.
    for (index, proxy) in proxies.iter_mut().enumerate() {
        let update = proxy.update().await.unwrap();
        assert_eq!((revision(&update), update.base.is_some()), (changed, true));
        assert_eq!(update.upserts.len(), (index + 1) % 2, "who has the first Gateway");
        proxy.ack(&update).await.unwrap();
    }
    late.quiet(Duration::from_millis(300)).await.unwrap();

    proxies.pop().context("the last").unwrap().leave().await.unwrap();
    let update = late.update().await.unwrap();
    assert_eq!(revision(&update), changed);
    assert_eq!(keys(&update, "listener/").len(), bits(MOST + 1).len());
    late.ack(&update).await.unwrap();
    assert_eq!(warnings(MOST + 1).await, json!([]));
}
