//! Control planes that are killed in turn, while all of them take writes.

use sluice_tests::cluster::Cluster;
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::failover::applied;
use crate::load::Load;
use crate::postgres::{Told, Writer, head, head_beyond, verify};

/// Writes until `end` while its control plane `lives`. What that did not live to answer may be there or not.
async fn write_on(
    end: CancellationToken,
    rest: Rest,
    writer: usize,
    mut lives: watch::Receiver<bool>,
) -> Told {
    let mut writer = Writer::new(rest, writer);
    while !end.is_cancelled() {
        if writer.write().await.is_err() {
            lives.wait_for(|lives| *lives).await.unwrap();
        }
    }
    writer.told()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_planes_killed_in_turn_lose_and_double_no_write_and_proxies_always_serve() {
    const REPLICAS: usize = 3;
    let postgres = Postgres::start().await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let mut cluster = Cluster::start(REPLICAS, &[postgres.url()]).await.unwrap();
    let proxies = ["edge-1", "edge-2", "edge-3"].into_iter().enumerate();
    let proxies = proxies.map(|(index, id)| cluster.proxy(id, index));
    let proxies = futures_util::future::try_join_all(proxies).await.unwrap();
    cluster.fleet_of(0, proxies.len()).await.unwrap();
    let rests: Vec<_> = cluster.controls.iter().map(|one| one.rest.clone()).collect();
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let revision = applied(&rests[0], &manifests).await;

    let end = CancellationToken::new();
    let _ends = end.clone().drop_guard();
    let (mut asking, mut loads) = (JoinSet::new(), Vec::new());
    for proxy in &proxies {
        let address = proxy.listening(LISTENER, revision, SOON).await.unwrap();
        loads.push(Load::until(&end));
        asking.spawn(loads[loads.len() - 1].clone().ask(address));
    }
    let mut writers = JoinSet::new();
    let lives = [(); REPLICAS].map(|()| watch::Sender::new(true));
    for (writer, rest) in rests.iter().enumerate() {
        writers.spawn(write_on(
            end.clone(),
            rest.clone(),
            writer,
            lives[writer].subscribe(),
        ));
    }
    for killed in 0..REPLICAS {
        head_beyond(&rests[killed], 10).await;
        lives[killed].send_replace(false);
        cluster.kill(killed).await.unwrap();
        head_beyond(&rests[(killed + 1) % REPLICAS], 10).await;
        for load in &loads {
            load.goes_on().await;
        }
        cluster.start_again(killed).await.unwrap();
        lives[killed].send_replace(true);
        // It takes writes again, and they reach all proxies, wherever these are by now.
        applied(&rests[killed], &backend(&format!("round-{killed}"), &[])).await;
        cluster.fleet_of(killed, proxies.len()).await.unwrap();
    }
    end.cancel();
    let told = writers.join_all().await;
    for asked in asking.join_all().await {
        asked.unwrap();
    }
    let last = applied(&rests[0], &backend("last", &[])).await;
    for rest in &rests {
        rest.receipt(last, SOON).await.unwrap();
        assert_eq!(head(rest).await.unwrap(), last);
    }
    verify(&rests[REPLICAS - 1], &told).await;
}
