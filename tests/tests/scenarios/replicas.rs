//! Several control planes on one Postgres, and proxies that know all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::{Hello, Update};
use sluice_tests::client::served_by;
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::postgres::{Writer, verify};

/// A proxy that takes whatever it is sent.
pub(crate) fn obedient(mut proxy: FakeProxy) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            // Nothing may come for long.
            if let Ok(update) = proxy.update().await {
                proxy.ack(&update).await.unwrap();
            }
        }
    }))
}

pub(crate) fn holding(id: &str, update: &Update) -> Hello {
    Hello {
        proxy_id: id.into(),
        wire_version: WIRE_VERSION,
        instance: vec![7; 16],
        history: update.history.clone(),
        holds: update.target.clone(),
        commit: update.commit,
        commit_seal: update.commit_seal,
        ..Hello::default()
    }
}

fn names<'a>(list: &'a [Value], field: &str) -> Vec<&'a str> {
    list.iter().map(|entry| entry[field].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_and_the_fleet_are_whole_whichever_control_plane_is_asked() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let mut proxies = Vec::new();
    for (id, at) in [("a", 0), ("b", 1), ("c", 1)] {
        let proxy = FakeProxy::join(cluster.controls[at].grpc, id).await.unwrap();
        proxies.push(obedient(proxy));
    }
    let replicas = cluster.replicas(0).await.unwrap();
    let ids = names(&replicas, "id");
    for index in 0..2 {
        let fleet = cluster.fleet_of(index, 3).await.unwrap();
        assert_eq!(names(&fleet, "id"), ["a", "b", "c"]);
        assert_eq!(names(&fleet, "replica"), [ids[0], ids[1], ids[1]]);
    }
    let mut waits = Vec::new();
    for round in 0..9 {
        let (rest, other) = (
            &cluster.controls[round % 2].rest,
            &cluster.controls[(round + 1) % 2].rest,
        );
        let started = Instant::now();
        let document = backend(&format!("b{round}"), &[]);
        let applied = rest.apply(&document, "wait=20s&quorum=1").await.unwrap();
        waits.push(started.elapsed());
        let receipt = applied.receipt.unwrap();
        assert_eq!((receipt.fleet, receipt.applied), (3, 3), "{receipt:?}");
        let theirs = other.receipt(applied.revision, SOON).await.unwrap();
        assert_eq!((theirs.fleet, theirs.applied), (3, 3), "{theirs:?}");
        assert_eq!(theirs.applied_ms.unwrap().proxies, 3);
    }
    // A beat comes every 2 s: only what is told at once is here before.
    waits.sort();
    println!("writes with receipts of two replicas took {waits:?}");
    assert!(waits[waits.len() / 2] < Duration::from_secs(1), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies_of_a_killed_control_plane_move_and_are_counted_once() {
    let postgres = Postgres::start().await.unwrap();
    let mut cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let proxies = [cluster.proxy("edge-1", 0), cluster.proxy("edge-2", 1)];
    let proxies = futures_util::future::try_join_all(proxies).await.unwrap();
    cluster.fleet_of(1, 2).await.unwrap();
    let mut killed = cluster.controls.remove(0);
    killed.process.signal(Signal::SIGKILL).unwrap();
    // From the first moment on nobody is missing.
    let fleet = cluster.fleet(0).await.unwrap();
    assert_eq!(names(&fleet, "id"), ["edge-1", "edge-2"]);
    killed.process.exit(SOON).await.unwrap();
    let own = cluster.replicas(0).await.unwrap()[0]["id"].clone();
    eventually("both are the other one's", SOON, async || {
        let fleet = cluster.fleet_of(0, 2).await?;
        anyhow::ensure!(fleet.iter().all(|proxy| proxy["replica"] == own), "{fleet:?}");
        Ok(())
    })
    .await
    .unwrap();
    let applied = cluster.controls[0]
        .rest
        .apply(&gateway(), "wait=20s&quorum=1")
        .await
        .unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
    for proxy in &proxies {
        proxy.listening(LISTENER, applied.revision, SOON).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_stops_hands_its_proxies_over_and_none_is_missed() {
    let postgres = Postgres::start().await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let mut cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let proxies = ["edge-1", "edge-2", "edge-3"].map(|id| cluster.proxy(id, 0));
    let proxies = futures_util::future::try_join_all(proxies).await.unwrap();
    cluster.fleet_of(1, 3).await.unwrap();
    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let rest = cluster.controls[1].rest.clone();
    let applied = rest.apply(&manifests, "wait=20s&quorum=1").await.unwrap();

    let mut stopped = cluster.controls.remove(0);
    stopped.process.signal(Signal::SIGTERM).unwrap();
    let ended = CancellationToken::new();
    let watching = tokio::spawn({
        let (ended, rest) = (ended.clone(), rest.clone());
        async move {
            while !ended.is_cancelled() {
                let receipt = rest.receipt(applied.revision, Duration::ZERO).await.unwrap();
                assert_eq!((receipt.fleet, receipt.applied), (3, 3), "{receipt:?}");
            }
        }
    });
    let status = stopped.process.exit(SOON).await.unwrap();
    assert!(status.success(), "{status}");
    // They moved before it ended: nobody had to find out by losing a stream.
    let fleet = cluster.fleet(0).await.unwrap();
    let own = cluster.replicas(0).await.unwrap()[0]["id"].clone();
    for proxy in &fleet {
        assert!(proxy["connected"] == true && proxy["replica"] == own, "{fleet:?}");
    }
    ended.cancel();
    watching.await.unwrap();
    for proxy in &proxies {
        let address = proxy.listening(LISTENER, applied.revision, SOON).await.unwrap();
        assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_moves_is_sent_nothing_because_snapshots_are_equal_everywhere() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    // Written here and there, in one order here and in one step there after a restart.
    for round in 0..8 {
        let rest = &cluster.controls[round % 2].rest;
        let name = format!("b{}", round % 3);
        let address = format!("10.0.0.{}:80", round + 1).parse().unwrap();
        let route = route_to(&format!("r{round}"), &format!("h{round}.example.com"), &name);
        let manifests = list(&[gateway(), backend(&name, &[address]), route]);
        rest.apply(&manifests, "").await.unwrap();
    }
    let mut cluster = cluster;
    cluster.add().await.unwrap();
    let mut held = None;
    for control in cluster.controls.iter().cycle().take(6) {
        let mut proxy = match &held {
            None => FakeProxy::join(control.grpc, "edge").await.unwrap(),
            Some(update) => FakeProxy::say_hello(control.grpc, holding("edge", update))
                .await
                .unwrap(),
        };
        match &held {
            None => held = Some(proxy.update().await.unwrap()),
            Some(_) => proxy.quiet(Duration::from_millis(300)).await.unwrap(),
        }
    }
    assert_eq!(held.as_ref().map(revision), Some(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_control_planes_that_start_at_once_migrate_an_empty_database_once() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(5, &[postgres.url()]).await.unwrap();
    let twice = "SELECT count(*) FROM _sqlx_migrations WHERE NOT success";
    assert_eq!(postgres.sql(twice).unwrap(), "0");
    assert_eq!(postgres.sql("SELECT count(*) FROM meta").unwrap(), "1");
    let histories = cluster.controls.iter().map(async |control| {
        let proxy = FakeProxy::join(control.grpc, &control.grpc.to_string()).await;
        proxy.unwrap().update().await.unwrap().history
    });
    let histories = futures_util::future::join_all(histories).await;
    assert!(
        histories.iter().all(|history| *history == histories[0]),
        "{histories:?}"
    );
    eventually("all of them hear of each other", SOON, async || {
        let replicas = cluster.replicas(4).await?;
        anyhow::ensure!(replicas.len() == 5, "{replicas:?}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Asks for the history that there is.
const HISTORY: &str = "SELECT history FROM meta";
/// Those of each control plane that write to it without pause.
const WRITERS: usize = 3;
/// Writes after which the fastest control plane is done.
const WRITES: usize = 80;
/// The others have at least one of so many by then.
const AT_LEAST: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_planes_that_are_written_to_without_pause_take_turns() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let (end, written) = (
        CancellationToken::new(),
        Arc::new([const { AtomicUsize::new(0) }; 2]),
    );
    let mut writers = JoinSet::new();
    for (index, writer) in (0..2).flat_map(|index| (0..WRITERS).map(move |writer| (index, writer))) {
        let rest = cluster.controls[index].rest.clone();
        let (end, written) = (end.clone(), Arc::clone(&written));
        writers.spawn(async move {
            let mut writer = Writer::new(rest, index * WRITERS + writer);
            while !end.is_cancelled() {
                let taken = writer.write().await.unwrap();
                if taken && written[index].fetch_add(1, Ordering::Relaxed) + 1 >= WRITES {
                    end.cancel();
                }
            }
            writer.told()
        });
    }
    let told = writers.join_all().await;
    let mut counts = [0, 1].map(|index| written[index].load(Ordering::Relaxed));
    println!("the control planes took {counts:?} writes");
    counts.sort_unstable();
    assert!(counts[0] * AT_LEAST >= counts[1], "{counts:?}");
    // A replica shows what others wrote a moment later, but writes only after all of it.
    let rest = &cluster.controls[0].rest;
    rest.apply(&backend("last", &[]), "").await.unwrap();
    verify(rest, &told).await;
}

/// Every control plane forgot what it had seen, but the proxies did not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_proxy_remembers_of_lost_commits_renews_the_history() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    lose_what_only_a_proxy_remembers(&postgres, cluster, false).await;
}

/// Where updates are signed, proxies show what they were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_shows_what_it_was_told_renews_the_history_and_one_that_does_not_is_no_witness() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::sealed(2, &[postgres.url()], &[]).await.unwrap();
    lose_what_only_a_proxy_remembers(&postgres, cluster, true).await;
}

async fn lose_what_only_a_proxy_remembers(postgres: &Postgres, mut cluster: Cluster, is_signed: bool) {
    let rest = cluster.controls[0].rest.clone();
    rest.apply(&gateway(), "").await.unwrap();
    let lost = rest.apply(&backend("lost", &[]), "").await.unwrap().revision;
    let mut proxy = FakeProxy::join(cluster.controls[1].grpc, "edge").await.unwrap();
    let mut held = proxy.update().await.unwrap();
    while revision(&held) < lost {
        proxy.ack(&held).await.unwrap();
        held = proxy.update().await.unwrap();
    }
    drop(proxy);
    for mut control in std::mem::take(&mut cluster.controls) {
        control.process.signal(Signal::SIGKILL).unwrap();
        control.process.exit(SOON).await.unwrap();
    }
    let lose = format!(
        "DELETE FROM resources WHERE from_revision = {lost}; DELETE FROM revisions WHERE revision = {lost}; \
         UPDATE meta SET revision = {lost} - 1"
    );
    postgres.sql(&lose).unwrap();
    let history = postgres.sql(HISTORY).unwrap();
    cluster.add().await.unwrap();
    cluster.add().await.unwrap();
    if is_signed {
        // As if of the next revision: the seal is that of another one.
        let mut lie = holding("liar", &held);
        lie.holds.as_mut().unwrap().revision += 1;
        let mut liar = FakeProxy::say_hello(cluster.controls[0].grpc, lie).await.unwrap();
        liar.quiet(Duration::from_secs(3)).await.unwrap();
        assert_eq!(postgres.sql(HISTORY).unwrap(), history);
    }
    let mut proxy = FakeProxy::say_hello(cluster.controls[0].grpc, holding("edge", &held))
        .await
        .unwrap();
    let renewed = proxy.update().await.unwrap();
    assert_ne!(renewed.history, held.history);
    assert_eq!((revision(&renewed), &renewed.base), (lost - 1, &None));
    proxy.ack(&renewed).await.unwrap();
    let applied = cluster.controls[1]
        .rest
        .apply(&backend("next", &[]), "")
        .await
        .unwrap();
    let next = proxy.update().await.unwrap();
    assert_eq!((next.history, applied.revision), (renewed.history, lost));
}
