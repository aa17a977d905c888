//! Another Postgres takes over.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::sys::signal::Signal;
use sluice_model::HistoryId;
use sluice_tests::client::served_by;
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::FakeProxy;
use sluice_tests::link::{Fault, Link};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::servers::{ControlPlane, command};
use sluice_tests::site::{SOON, TOKEN};
use sluice_tests::upstream::Upstream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::load::Load;
use crate::postgres::{head_beyond, names, verify, write_until};

/// Longest time until a database that took over is found, or a leader is missed.
pub(crate) const TAKEN_OVER: Duration = Duration::from_secs(40);

async fn history(cluster: &Cluster) -> Vec<u8> {
    let mut proxy = FakeProxy::join(cluster.controls[0].grpc, "asks").await.unwrap();
    let history = proxy.update().await.unwrap().history;
    // Without a goodbye it would be waited for as one that may come back.
    proxy.leave().await.unwrap();
    history
}

/// Applies to the whole fleet, as soon as the store answers.
pub(crate) async fn applied(rest: &Rest, document: &serde_json::Value) -> u64 {
    let applied = eventually("a write is taken", TAKEN_OVER, async || {
        rest.apply(document, "wait=20s&quorum=1").await
    });
    let applied = applied.await.unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!(receipt.applied, receipt.fleet, "{receipt:?}");
    applied.revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_synchronous_standby_loses_nothing_and_keeps_the_history() {
    let mut primary = Postgres::start().await.unwrap();
    let standby = primary.standby(true).await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let cluster = Cluster::start(2, &[primary.url(), standby.url()]).await.unwrap();
    let proxy = cluster.proxy("edge-1", 0).await.unwrap();
    cluster.fleet_of(1, 1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let rest = &cluster.controls[0].rest;
    let revision = applied(rest, &manifests).await;
    let address = proxy.listening(LISTENER, revision, SOON).await.unwrap();
    let before = history(&cluster).await;

    let (end, refusals) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let _ends = end.clone().drop_guard();
    let load = Load::until(&end);
    let asking = tokio::spawn(load.clone().ask(address));
    let mut writers = JoinSet::new();
    for (writer, control) in cluster.controls.iter().enumerate() {
        let rest = control.rest.clone();
        writers.spawn(write_until(end.clone(), rest, writer, Arc::clone(&refusals)));
    }
    head_beyond(rest, 10).await;
    load.goes_on().await;
    primary.crash().await.unwrap();
    load.goes_on().await;
    standby.promote().unwrap();
    head_beyond(rest, 10).await;
    load.goes_on().await;
    end.cancel();
    let told = writers.join_all().await;
    asking.await.unwrap().unwrap();
    // A replica shows what others wrote a moment later, but writes only after all of it.
    let last = applied(rest, &backend("last", &[])).await;
    verify(rest, &told).await;
    assert_eq!(history(&cluster).await, before);
    assert!(proxy.config().await.unwrap().revision >= last);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_that_lost_commits_begins_a_history_and_proxies_follow_it() {
    let mut primary = Postgres::start().await.unwrap();
    let standby = primary.standby(false).await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let cluster = Cluster::start(2, &[primary.url(), standby.url()]).await.unwrap();
    let proxy = cluster.proxy("edge-1", 0).await.unwrap();
    cluster.fleet_of(0, 1).await.unwrap();
    let rest = &cluster.controls[0].rest;
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let kept = applied(rest, &manifests).await;
    let before = history(&cluster).await;
    standby.left_behind(&primary).await.unwrap();
    let lost = applied(rest, &backend("lost", &[])).await;
    primary.crash().await.unwrap();
    standby.promote().unwrap();
    eventually("the proxy has what is left", TAKEN_OVER, async || {
        let config = proxy.config().await?;
        anyhow::ensure!(config.revision == kept, "{config:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_ne!(history(&cluster).await, before);
    let address = proxy.listening(LISTENER, kept, SOON).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    let next = applied(&cluster.controls[1].rest, &backend("next", &[])).await;
    assert_eq!(next, lost, "numbers go on from what is left");
    let names = names(rest).await;
    assert!(
        names.contains(&"next".into()) && !names.contains(&"lost".into()),
        "{names:?}"
    );
}

/// One control plane heard nothing of the lost commit and gives its number to another before the proxy that
/// runs the lost one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_commit_whose_number_was_given_again_is_found_by_the_proxy_that_runs_it() {
    let mut primary = Postgres::start().await.unwrap();
    let standby = primary.standby(false).await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let mut cluster = Cluster::start(1, &[primary.url(), standby.url()]).await.unwrap();
    let link = Link::to(primary.port()).await.unwrap();
    let mut command = command("sluice-control", None).unwrap();
    let linked = format!(
        "postgres://sluice@{}:{}/postgres",
        Ipv4Addr::LOCALHOST,
        link.port()
    );
    command.args(["--database-url", &linked]);
    let deaf = ControlPlane::start(command, &standby.url(), TOKEN).await.unwrap();
    cluster.controls.push(deaf);
    let mut proxy = cluster.proxy("edge-1", 0).await.unwrap();
    cluster.fleet_of(1, 1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let kept = applied(&cluster.controls[0].rest, &manifests).await;
    let rest = cluster.controls[1].rest.clone();
    rest.receipt(kept, SOON).await.unwrap();
    let before = history(&cluster).await;

    standby.left_behind(&primary).await.unwrap();
    link.set(Fault::Cut);
    let lost = applied(&cluster.controls[0].rest, &backend("lost", &[])).await;
    proxy.process.signal(Signal::SIGTERM).unwrap();
    proxy.process.exit(SOON).await.unwrap();
    primary.crash().await.unwrap();
    let mut killed = cluster.controls.remove(0);
    killed.process.signal(Signal::SIGKILL).unwrap();
    killed.process.exit(SOON).await.unwrap();
    standby.promote().unwrap();
    let written = eventually("a write is taken", TAKEN_OVER, async || {
        rest.apply(&backend("other", &[]), "").await
    });
    assert_eq!(written.await.unwrap().revision, lost, "its number is given again");
    assert_eq!(history(&cluster).await, before, "nobody has told");

    let proxy = cluster.proxy("edge-1", 0).await.unwrap();
    eventually(
        "the history ends, and the proxy follows",
        TAKEN_OVER,
        async || {
            let now = history(&cluster).await;
            anyhow::ensure!(now != before);
            let config: serde_json::Value = serde_json::from_str(&proxy.admin("/config").await?.1)?;
            let followed = HistoryId::try_from(&*now)?.to_string();
            anyhow::ensure!(config["history"] == followed.as_str(), "{config}");
            Ok(())
        },
    )
    .await
    .unwrap();
    let receipt = rest.receipt(lost, SOON).await.unwrap();
    assert_eq!(receipt.applied, receipt.fleet, "{receipt:?}");
    let address = proxy.listening(LISTENER, lost, SOON).await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    let next = applied(&rest, &backend("next", &[])).await;
    assert_eq!(next, lost + 1);
    let names = names(&rest).await;
    assert!(
        names.contains(&"other".into()) && !names.contains(&"lost".into()),
        "{names:?}"
    );
}
