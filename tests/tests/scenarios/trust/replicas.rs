//! Trust of several control planes on one Postgres.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::{eventually, median};
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::backend;
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::servers::DataPlane;
use sluice_tests::site::SOON;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{AT_ONCE, streams};
use crate::failover::TAKEN_OVER;

/// Updates that were taken and not looked at yet.
const SEEN: usize = 64;

async fn killed(mut process: sluice_tests::process::Process) {
    process.signal(Signal::SIGKILL).unwrap();
    process.exit(SOON).await.unwrap();
}

async fn revoke(rest: &Rest, id: &str) {
    let path = format!("/v1/fleet/{id}/certificate");
    let revoked = rest.send(Method::DELETE, &path, None).await.unwrap();
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{revoked:?}");
}

/// Revokes the certificate of `id` at `rest`; how long after the answer `other` does not have it connected any more.
async fn cut_off(rest: &Rest, other: &Rest, id: &str) -> Duration {
    revoke(rest, id).await;
    let answered = Instant::now();
    other.connected(id, false, SOON).await.unwrap();
    answered.elapsed()
}

async fn rotate(rest: &Rest) {
    let begun = rest.send(Method::POST, "/v1/ca/rotate", None).await.unwrap();
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{begun:?}");
}

/// The authorities that are trusted: stage and pin of each.
async fn authorities(rest: &Rest) -> anyhow::Result<Vec<(String, String)>> {
    let answer = rest.send(Method::GET, "/v1/ca", None).await?;
    let items = answer.body["items"]
        .as_array()
        .with_context(|| format!("{answer:?}"))?;
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    Ok(items
        .iter()
        .map(|one| (text(one, "stage"), text(one, "pin")))
        .collect())
}

/// The stages at all control planes; that of one if they are equal.
async fn stages(cluster: &Cluster) -> anyhow::Result<Option<Vec<String>>> {
    let mut all = Vec::new();
    for control in &cluster.controls {
        let stages = authorities(&control.rest).await?.into_iter();
        all.push(stages.map(|(stage, _)| stage).collect::<Vec<_>>());
    }
    all.dedup();
    Ok(all.pop().filter(|_| all.is_empty()))
}

async fn told(proxy: &DataPlane, what: &str) {
    eventually(what, SOON, async || {
        let log = proxy.process.log();
        ensure!(log.contains(what), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}

/// Joined at one control plane, it is known to the other when it comes there, and when it is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_control_plane_says_of_a_certificate_holds_at_the_other() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::sealed(2, &[postgres.url()], &[]).await.unwrap();
    let rests = [&cluster.controls[0].rest, &cluster.controls[1].rest];
    let own = async |index: usize| cluster.replicas(index).await.unwrap()[0]["id"].clone();
    let replicas = [own(0).await, own(1).await];

    // Both at once, each at its own control plane.
    let token = rests[0].join_token(cluster.path(), &json!({})).await.unwrap();
    let options = ["--join-token-file", token.to_str().unwrap()];
    let twins = [
        cluster.proxy_with("edge-1", 0, &options),
        cluster.proxy_with("edge-2", 1, &options),
    ];
    let mut twins = futures_util::future::try_join_all(twins).await.unwrap();
    let winner = eventually("one of them joins", SOON, async || {
        let joined = twins
            .iter()
            .position(|twin| twin.process.log().contains("joined the fleet"));
        joined.context("nobody joined")
    });
    let winner = winner.await.unwrap();
    let proxy = twins.remove(winner);
    told(&twins[0], "the join token was used before").await;
    let (id, other) = (format!("edge-{}", winner + 1), 1 - winner);
    let loser = format!("/v1/fleet/edge-{}", other + 1);
    for rest in rests {
        rest.connected(&id, true, SOON).await.unwrap();
        let nobody = rest.send(Method::GET, &loser, None).await.unwrap();
        assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{nobody:?}");
    }

    killed(proxy.process).await;
    rests[other].connected(&id, false, SOON).await.unwrap();
    let proxy = cluster.proxy(&id, other).await.unwrap();
    let known = rests[winner].connected(&id, true, SOON).await.unwrap();
    assert_eq!(known["authentication"], "certificate", "{known}");
    // It was let in where it came first.
    assert_eq!(known["replica"], replicas[other], "{known}");

    let more = ["edge-3", "edge-4"];
    let _more = futures_util::future::try_join_all(more.map(|id| cluster.joined(id, other)))
        .await
        .unwrap();
    let mut took = Vec::new();
    for id in [&*id].into_iter().chain(more) {
        took.push(cut_off(rests[winner], rests[other], id).await);
    }
    assert!(median(took.clone()) < AT_ONCE, "{took:?}");
    told(&proxy, "the certificate was revoked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_by_another_control_plane_than_issued_it() {
    let postgres = Postgres::start().await.unwrap();
    let options = ["--certificate-lifetime", "6"];
    let mut cluster = Cluster::sealed(2, &[postgres.url()], &options).await.unwrap();
    let proxy = cluster.joined("edge-1", 0).await.unwrap();
    let rest = cluster.controls[1].rest.clone();
    let expiry = |known: &Value| known["certificateExpiresAtMs"].as_u64().unwrap();
    let first = expiry(&rest.connected("edge-1", true, SOON).await.unwrap());
    killed(cluster.controls.remove(0).process).await;
    eventually("two certificates later", SOON, async || {
        let known = rest.connected("edge-1", true, Duration::ZERO).await?;
        ensure!(expiry(&known) > first + 6_000, "{known}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(streams(&proxy), 2, "{}", proxy.process.log());
}

/// A proxy on this machine that takes everything, and tells which key signed it.
async fn witness(cluster: &Cluster, index: usize) -> (AbortOnDropHandle<()>, mpsc::Receiver<(u64, Vec<u8>)>) {
    let (seen, told) = mpsc::channel(SEEN);
    let id = format!("witness-{index}");
    let mut proxy = FakeProxy::join(cluster.controls[index].grpc, &id).await.unwrap();
    let watching = tokio::spawn(async move {
        loop {
            // Nothing may come for long.
            if let Ok(update) = proxy.update().await {
                proxy.ack(&update).await.unwrap();
                let _ = seen.send((revision(&update), update.signing_key)).await;
            }
        }
    });
    (AbortOnDropHandle::new(watching), told)
}

/// Has something written there; who signed it for each of the witnesses.
async fn signers(
    rest: &Rest,
    port: u16,
    witnesses: &mut [mpsc::Receiver<(u64, Vec<u8>)>; 2],
) -> [Vec<u8>; 2] {
    let web = backend("web", &[([127, 0, 0, 1], port).into()]);
    let applied = rest.apply(&web, "wait=20s&quorum=1").await.unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (4, 4), "{receipt:?}");
    let [one, other] = witnesses;
    [
        signer(one, applied.revision).await,
        signer(other, applied.revision).await,
    ]
}

/// Takes what is told of until `revision`; who signed that.
async fn signer(told: &mut mpsc::Receiver<(u64, Vec<u8>)>, revision: u64) -> Vec<u8> {
    loop {
        let (at, key) = told.recv().await.unwrap();
        if at == revision {
            return key;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_is_replaced_at_all_control_planes_in_step() {
    let postgres = Postgres::start().await.unwrap();
    let options = ["--certificate-lifetime", "8"];
    let cluster = Cluster::sealed(2, &[postgres.url()], &options).await.unwrap();
    let proxies = [
        cluster.joined("edge-1", 0).await.unwrap(),
        cluster.joined("edge-2", 1).await.unwrap(),
    ];
    let (_watching_a, at_a) = witness(&cluster, 0).await;
    let (_watching_b, at_b) = witness(&cluster, 1).await;
    let mut witnesses = [at_a, at_b];
    cluster.fleet_of(0, 4).await.unwrap();
    let rests = [0, 1].map(|index| &cluster.controls[index].rest);
    let [old, same] = signers(rests[0], 1, &mut witnesses).await;
    assert!(old.len() == 8 && old == same, "{old:?} {same:?}");

    rotate(rests[0]).await;
    let (start, mut rounds) = (Instant::now(), Vec::new());
    for port in 2.. {
        let before = stages(&cluster).await.unwrap();
        assert!(start.elapsed() < 2 * SOON, "{before:?}");
        let signed = signers(rests[usize::from(port % 2)], port, &mut witnesses).await;
        let is_over = before.as_ref().is_some_and(|stages| *stages == ["issuing"]);
        rounds.push((before, signed, stages(&cluster).await.unwrap()));
        if is_over {
            break;
        }
    }
    let [new, same] = rounds.last().unwrap().1.clone();
    assert!(new.len() == 8 && new == same && new != old, "{new:?} {same:?}");
    // Between two stages either may sign, and what either signs is good.
    let is_at = |stages: &Option<Vec<String>>, all: [&str; 2]| stages.as_ref().is_some_and(|is| *is == all);
    for (before, signed, after) in &rounds {
        let has_taken_over = is_at(before, ["outgoing", "issuing"]);
        let is_awaited = is_at(after, ["issuing", "incoming"]);
        for key in signed {
            assert!(*key == new || *key == old && !has_taken_over, "{rounds:?}");
            assert!(*key == old || !is_awaited, "{rounds:?}");
        }
    }
    for proxy in &proxies {
        assert_eq!(streams(proxy), 1, "{}", proxy.process.log());
    }
    let [of_a, of_b] = rests.map(authorities);
    assert_eq!(of_a.await.unwrap(), of_b.await.unwrap());
}

/// What is known of changes by their number is read anew: the number is given twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_after_a_failover_that_lost_others_are_seen_though_their_numbers_were_given_before() {
    let mut primary = Postgres::start().await.unwrap();
    let standby = primary.standby(false).await.unwrap();
    let urls = [primary.url(), standby.url()];
    let cluster = Cluster::sealed(2, &urls, &[]).await.unwrap();
    let joined = ["edge-1", "edge-2", "edge-3"].map(|id| cluster.joined(id, 1));
    let _proxies = futures_util::future::try_join_all(joined).await.unwrap();
    let [a, b] = [0, 1].map(|index| &cluster.controls[index].rest);
    let first = authorities(a).await.unwrap();
    let label = async |id: &str, zone: &str| {
        let path = format!("/v1/fleet/{id}/labels");
        a.send(Method::PATCH, &path, Some(&json!({"zone": zone}))).await
    };
    let is_labelled = async |id: &str, zone: Option<&str>| {
        let known = b.connected(id, true, Duration::ZERO).await?;
        let operators = known["operatorLabels"]["zone"].as_str();
        ensure!(operators == zone, "{known}");
        Ok(())
    };

    standby.left_behind(&primary).await.unwrap();
    label("edge-1", "lost").await.unwrap();
    let labelled = eventually("it is labelled", SOON, async || {
        is_labelled("edge-1", Some("lost")).await
    });
    labelled.await.unwrap();
    for id in ["edge-2", "edge-3", "edge-1"] {
        revoke(a, id).await;
        b.connected(id, false, SOON).await.unwrap();
    }
    rotate(a).await;
    let rotating = eventually("both authorities are known", SOON, async || {
        let known = authorities(b).await?;
        ensure!(known.len() == 2, "{known:?}");
        Ok(known)
    });
    let lost = rotating.await.unwrap();
    primary.crash().await.unwrap();
    standby.promote().unwrap();

    // Nothing of that has happened.
    for id in ["edge-2", "edge-3", "edge-1"] {
        b.connected(id, true, TAKEN_OVER).await.unwrap();
    }
    for rest in [a, b] {
        eventually("the authority is what it was", TAKEN_OVER, async || {
            let known = authorities(rest).await?;
            ensure!(known == first, "{known:?}");
            Ok(())
        })
        .await
        .unwrap();
    }
    let unlabelled = eventually("the label is gone", SOON, async || {
        is_labelled("edge-1", None).await
    });
    unlabelled.await.unwrap();

    // The same numbers again.
    label("edge-2", "kept").await.unwrap();
    let labelled = eventually("the other one is labelled", SOON, async || {
        is_labelled("edge-2", Some("kept")).await
    });
    labelled.await.unwrap();
    let mut took = Vec::new();
    for id in ["edge-1", "edge-3", "edge-2"] {
        took.push(cut_off(a, b, id).await);
    }
    assert!(median(took.clone()) < AT_ONCE, "{took:?}");
    rotate(a).await;
    let next = authorities(a).await.unwrap();
    assert!(next.len() == 2 && next != lost, "{next:?}");
    eventually("both know the same authorities", SOON, async || {
        let known = authorities(b).await?;
        ensure!(known == next, "{known:?}");
        Ok(())
    })
    .await
    .unwrap();
}
