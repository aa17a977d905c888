//! A network that is split: a control plane with its proxy on one side, Postgres and all others on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route_to};
use sluice_tests::namespace::Namespace;
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::servers::DataPlane;
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;
use tokio_util::sync::CancellationToken;

use crate::failover::{TAKEN_OVER, applied};
use crate::load::Load;
use crate::postgres::{Told, head_beyond, names, verify, write_until};

async fn leader(cluster: &Cluster, index: usize) -> anyhow::Result<usize> {
    let replicas = cluster.replicas(index).await?;
    let leader = replicas.iter().position(|replica| replica["leader"] == true);
    anyhow::Context::context(leader, format!("nobody leads: {replicas:?}"))
}

/// The leader is cut off with its proxy, while clients on both sides write and ask, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_network_loses_no_write_and_no_proxy_and_another_one_leads() {
    let postgres = Postgres::start().await.unwrap();
    let upstream = Upstream::echo("near").await.unwrap();
    let namespace = Namespace::new().unwrap();
    let (address, _carrying) = namespace.carry(postgres.port()).await.unwrap();
    let mut cluster = Cluster::start(0, &[postgres.url()]).await.unwrap();
    let url = format!("postgres://sluice@{address}/postgres");
    let away = cluster.add_in(&namespace, &url, "edge-away").await.unwrap();
    eventually("the first one leads", SOON, async || {
        anyhow::ensure!(leader(&cluster, 0).await? == 0);
        Ok(())
    })
    .await
    .unwrap();
    cluster.add().await.unwrap();
    // The one in the namespace listens on that one's loopback: only the other can be reached.
    let near = cluster.proxy("edge-near", 1).await.unwrap();
    cluster.fleet_of(1, 2).await.unwrap();
    let [there, rest] = [0, 1].map(|index| cluster.controls[index].rest.clone());
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let revision = applied(&rest, &manifests).await;

    let end = CancellationToken::new();
    let _ends = end.clone().drop_guard();
    let loads = [Load::until(&end), Load::until(&end)];
    let refused = Arc::new(AtomicU64::new(0));
    let inside = Inside {
        proxy: Arc::new(away),
        rest: there.clone(),
        upstream: upstream.address,
        load: loads[0].clone(),
        refused: Arc::clone(&refused),
    };
    let stays = Arc::clone(&inside.proxy);
    let ends = end.clone();
    let inside = namespace.work(move || inside.write_and_ask(revision, ends));
    let address = near.listening(LISTENER, revision, SOON).await.unwrap();
    let asking = tokio::spawn(loads[1].clone().ask(address));
    let writing = tokio::spawn(write_until(end.clone(), rest.clone(), 1, Arc::default()));
    head_beyond(&there, 10).await;
    all_go_on(&loads).await;

    let before = refused.load(Ordering::SeqCst);
    namespace.cut(true).unwrap();
    let written = meanwhile(&rest).await;
    eventually("writes over there are refused", SOON, async || {
        anyhow::ensure!(refused.load(Ordering::SeqCst) > before + 1);
        Ok(())
    })
    .await
    .unwrap();
    head_beyond(&rest, 10).await;
    all_go_on(&loads).await;
    led_by_who_is_near(&cluster).await;
    counted(&rest, written, 1).await;
    all_go_on(&loads).await;

    namespace.cut(false).unwrap();
    counted(&rest, written, 2).await;
    // What is written over there is with everybody again.
    applied(&there, &backend("back", &[])).await;
    all_go_on(&loads).await;
    end.cancel();
    let told = [inside.join().unwrap().unwrap(), writing.await.unwrap()];
    asking.await.unwrap().unwrap();
    let last = applied(&rest, &backend("last", &[])).await;
    for rest in [&rest, &there] {
        let receipt = rest.receipt(last, SOON).await.unwrap();
        assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
        assert!(names(rest).await.contains(&"meanwhile".to_owned()));
        verify(rest, &told).await;
    }
    assert_eq!(leader(&cluster, 1).await.unwrap(), 0);
    drop(stays);
}

/// What the side that is cut off has for itself.
struct Inside {
    proxy: Arc<DataPlane>,
    rest: Rest,
    /// Where upstreams are on either side.
    upstream: SocketAddr,
    load: Load,
    /// Writes that were refused there.
    refused: Arc<AtomicU64>,
}

impl Inside {
    /// Writes and asks there until `end`, with an upstream of its own.
    async fn write_and_ask(self, revision: u64, end: CancellationToken) -> anyhow::Result<Told> {
        let _upstream = Upstream::echo_at("away", self.upstream).await?;
        let address = self.proxy.listening(LISTENER, revision, SOON).await?;
        // One whose connections are inside.
        let rest = Rest::new(&self.rest.url(""), self.rest.token())?;
        let writing = write_until(end, rest, 0, self.refused);
        let (asked, told) = tokio::join!(self.load.ask(address), writing);
        asked?;
        Ok(told)
    }
}

/// A write while the network is split: its revision, once the proxy that is near has it.
async fn meanwhile(rest: &Rest) -> u64 {
    // What the one that is away had begun may hold locks for some seconds.
    let written = eventually("a write is taken", TAKEN_OVER, async || {
        rest.apply(&backend("meanwhile", &[]), "").await
    });
    let written = written.await.unwrap().revision;
    let told = "who is near has it, and who is away is waited for";
    eventually(told, SOON, async || {
        let receipt = rest.receipt(written, Duration::ZERO).await?;
        anyhow::ensure!(
            (receipt.fleet, &*receipt.pending) == (2, &["edge-away".to_owned()]),
            "{receipt:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
    written
}

async fn led_by_who_is_near(cluster: &Cluster) {
    eventually("another one leads", TAKEN_OVER, async || {
        anyhow::ensure!(
            leader(cluster, 1).await? == 0,
            "the first in its own list is itself"
        );
        Ok(())
    })
    .await
    .unwrap();
}

async fn all_go_on(loads: &[Load]) {
    for load in loads {
        load.goes_on().await;
    }
}

/// Waits until the fleet is so many proxies, and all of them run `revision`.
async fn counted(rest: &Rest, revision: u64, proxies: u64) {
    eventually("all that count have it", TAKEN_OVER, async || {
        let receipt = rest.receipt(revision, Duration::ZERO).await?;
        anyhow::ensure!(
            (receipt.fleet, receipt.applied) == (proxies, proxies),
            "{receipt:?}"
        );
        Ok(())
    })
    .await
    .unwrap();
}
