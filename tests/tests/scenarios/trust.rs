//! The stream between the planes over a network: who gets a certificate, how long it lasts, and what
//! happens to those who have none.

mod elsewhere;
mod fleet;
mod readme;
mod replicas;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_tests::eventually::{eventually, median};
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route_to};
use sluice_tests::process::Process;
use sluice_tests::servers::{DataPlane, command};
use sluice_tests::site::SOON;

use fleet::Fleet;

/// Most that a revocation usually takes from its answer: it is told of, and a poll comes every 5 seconds.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often it was welcomed.
fn streams(proxy: &DataPlane) -> usize {
    proxy.process.log().matches("control plane connected").count()
}

async fn restart(fleet: &Fleet, mut proxy: DataPlane, id: &str) -> DataPlane {
    proxy.process.signal(Signal::SIGKILL).unwrap();
    proxy.process.exit(SOON).await.unwrap();
    fleet.proxy(id, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_joins_with_a_token_once_and_comes_back_with_its_certificate() {
    let fleet = Fleet::start(&[]).await.unwrap();
    let token = fleet.token(json!({"labels": {"zone": "given"}})).await.unwrap();
    let proxy = fleet.proxy("edge-1", Some(&token)).await.unwrap();
    let known = fleet.connected("edge-1", true, SOON).await.unwrap();
    assert_eq!(known["authentication"], "certificate", "{known}");
    assert_eq!(
        known["labels"],
        json!({"zone": "given", "said": "yes"}),
        "the token's labels win"
    );
    assert!(known["certificateExpiresAtMs"].as_u64().is_some(), "{known}");

    let document = list(&[gateway(), backend("web", &[]), route_to("shop", HOST, "web")]);
    let applied = fleet.rest().apply(&document, "wait=20s&quorum=1").await.unwrap();
    let receipt = applied.receipt.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (1, 1), "{receipt:?}");
    proxy.listening(LISTENER, applied.revision, SOON).await.unwrap();
    assert!(
        proxy
            .metric("sluice_certificate_expiry_timestamp_seconds", &[])
            .await
            .unwrap()
            > 1e9
    );

    let _again = restart(&fleet, proxy, "edge-1").await;
    fleet.connected("edge-1", true, SOON).await.unwrap();

    // The token is used up, for whatever id.
    let twin = fleet.proxy("edge-2", Some(&token)).await.unwrap();
    eventually("the second one is told", SOON, async || {
        let log = twin.process.log();
        anyhow::ensure!(log.contains("the join token was used before"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    let nobody = fleet.send(Method::GET, "/v1/fleet/edge-2", None).await.unwrap();
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let used = fleet.send(Method::GET, "/v1/join-tokens", None).await.unwrap();
    assert_eq!(used.body["items"][0]["usedBy"], "edge-1", "{used:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_for_its_proxy_in_its_time_only_and_no_proxy_takes_anothers_id() {
    let fleet = Fleet::start(&[]).await.unwrap();
    let _edge = fleet.joined("edge-1").await.unwrap();
    let other = fleet.token(json!({"proxy": "edge-9"})).await.unwrap();
    let late = fleet.token(json!({"expiresInSeconds": 1})).await.unwrap();
    let made = Instant::now();
    let gone = fleet.token(json!({})).await.unwrap();
    let id = gone
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_prefix("token-")
        .unwrap()
        .to_owned();
    let withdrawn = fleet
        .send(Method::DELETE, &format!("/v1/join-tokens/{id}"), None)
        .await;
    assert_eq!(withdrawn.unwrap().status, StatusCode::NO_CONTENT);
    let taken = fleet.token(json!({})).await.unwrap();
    // A second life of edge-1, on another disk.
    let elsewhere = fleet.path().join("elsewhere");
    let mut thief = command("sluice-proxy", None).unwrap();
    thief.args([
        "--control",
        &fleet.grpc().to_string(),
        "--id",
        "edge-1",
        "--state-dir",
    ]);
    thief.arg(elsewhere).arg("--join-token-file").arg(taken);
    let thief = Process::spawn("thief", thief).unwrap();
    eventually("the late one has expired", SOON, async || {
        anyhow::ensure!(made.elapsed() > Duration::from_secs(1));
        Ok(())
    })
    .await
    .unwrap();
    for (id, token, reason) in [
        ("a", other, "the join token is for another proxy"),
        ("b", gone, "the join token was withdrawn"),
        ("c", late, "the join token has expired"),
    ] {
        let proxy = fleet.proxy(id, Some(&token)).await.unwrap();
        eventually(reason, SOON, async || {
            let log = proxy.process.log();
            anyhow::ensure!(log.contains(reason), "{log}");
            Ok(())
        })
        .await
        .unwrap();
    }
    eventually("the thief is told", SOON, async || {
        let log = thief.log();
        anyhow::ensure!(log.contains("this id belongs to another key"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    fleet.connected("edge-1", true, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_proxy_is_cut_off_within_a_second_and_comes_back_with_a_new_token_only() {
    let fleet = Fleet::start(&[]).await.unwrap();
    let ids = ["edge-1", "edge-2", "edge-3"];
    let joined = futures_util::future::try_join_all(ids.map(|id| fleet.joined(id))).await;
    let [proxy, ..] = <[DataPlane; 3]>::try_from(joined.unwrap()).unwrap();
    let revoke = async |id: &str| {
        let path = format!("/v1/fleet/{id}/certificate");
        fleet.send(Method::DELETE, &path, None).await.unwrap().status
    };
    let mut took = Vec::new();
    for id in ids {
        assert_eq!(revoke(id).await, StatusCode::NO_CONTENT);
        let answered = Instant::now();
        fleet.connected(id, false, SOON).await.unwrap();
        took.push(answered.elapsed());
    }
    assert!(median(took.clone()) < AT_ONCE, "{took:?}");
    assert_eq!(revoke("edge-1").await, StatusCode::NOT_FOUND);
    eventually("it is told", SOON, async || {
        let log = proxy.process.log();
        anyhow::ensure!(log.contains("the certificate was revoked"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    let proxy = restart(&fleet, proxy, "edge-1").await;
    eventually("it is told after a restart, too", SOON, async || {
        let log = proxy.process.log();
        anyhow::ensure!(log.contains("the certificate was revoked"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
    drop(proxy);
    let _proxy = fleet.joined("edge-1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_before_it_runs_out_and_the_stream_stays() {
    let fleet = Fleet::start(&["--certificate-lifetime", "6"]).await.unwrap();
    let proxy = fleet.joined("edge-1").await.unwrap();
    let expiry = |known: Value| known["certificateExpiresAtMs"].as_u64().unwrap();
    let first = expiry(fleet.connected("edge-1", true, SOON).await.unwrap());
    eventually("two certificates later", SOON, async || {
        let now = expiry(fleet.connected("edge-1", true, Duration::ZERO).await?);
        anyhow::ensure!(now > first + 6_000, "{now}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(streams(&proxy), 1, "{}", proxy.process.log());
    let _proxy = restart(&fleet, proxy, "edge-1").await;
    fleet.connected("edge-1", true, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_renew_is_cut_off_when_the_certificate_has_run_out() {
    let fleet = Fleet::start(&["--certificate-lifetime", "5"]).await.unwrap();
    let proxy = fleet.joined("edge-1").await.unwrap();
    // It keeps its stream, and does nothing any more.
    proxy.process.signal(Signal::SIGSTOP).unwrap();
    fleet.connected("edge-1", false, SOON).await.unwrap();
    proxy.process.signal(Signal::SIGCONT).unwrap();
    eventually("it knows why", SOON, async || {
        let log = proxy.process.log();
        anyhow::ensure!(log.contains("the certificate has expired"), "{log}");
        Ok(())
    })
    .await
    .unwrap();
}

/// The new one issues after 30 seconds, when certificates last for a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_does_not_issue_yet_is_not_replaced() {
    let fleet = Fleet::start(&[]).await.unwrap();
    let rotate = || fleet.send(Method::POST, "/v1/ca/rotate", None);
    assert_eq!(rotate().await.unwrap().status, StatusCode::ACCEPTED);
    assert_eq!(rotate().await.unwrap().status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_authority_is_replaced_under_changes_and_no_stream_breaks() {
    let fleet = Fleet::start(&["--certificate-lifetime", "8"]).await.unwrap();
    let proxies = [
        fleet.joined("edge-1").await.unwrap(),
        fleet.joined("edge-2").await.unwrap(),
    ];
    let listed = |body: &Value| -> Vec<(u64, String)> {
        let items = body["items"].as_array().cloned().unwrap_or_default();
        let one = |one: &Value| (one["number"].as_u64().unwrap_or(0), one["stage"].to_string());
        items.iter().map(one).collect()
    };
    let authorities = async || -> anyhow::Result<Vec<(u64, String)>> {
        let answer = fleet.send(Method::GET, "/v1/ca", None).await?;
        Ok(listed(&answer.body))
    };
    let pinned_to_the_old = fleet.token(json!({})).await.unwrap();
    let begun = fleet.send(Method::POST, "/v1/ca/rotate", None).await.unwrap();
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{begun:?}");

    // The new one may issue by the time that it is asked for again.
    let mut seen = vec![listed(&begun.body)];
    let start = Instant::now();
    while authorities().await.unwrap() != [(2, "\"issuing\"".to_owned())] {
        assert!(start.elapsed() < 2 * SOON, "{seen:?}");
        let now = authorities().await.unwrap();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
        let labelled = json!({
            "apiVersion": "sluice.dev/v1", "kind": "Backend",
            "metadata": {"name": "web", "labels": {"at": format!("t{}", start.elapsed().as_millis())}},
            "spec": {"endpoints": [{"address": "127.0.0.1", "port": 1 + start.elapsed().subsec_millis()}]},
        });
        let applied = fleet.rest().apply(&labelled, "wait=5s&quorum=1").await.unwrap();
        let receipt = applied.receipt.unwrap();
        assert_eq!((receipt.fleet, receipt.applied), (2, 2), "{receipt:?}");
    }
    let stages = |stages: &[(u64, &str)]| -> Vec<(u64, String)> {
        stages
            .iter()
            .map(|(number, stage)| (*number, format!("\"{stage}\"")))
            .collect()
    };
    let both = [
        stages(&[(1, "issuing"), (2, "incoming")]),
        stages(&[(1, "outgoing"), (2, "issuing")]),
    ];
    assert_eq!(seen[..2], both, "{seen:?}");
    for proxy in &proxies {
        assert_eq!(streams(proxy), 1, "{}", proxy.process.log());
    }
    let [one, _two] = proxies;
    let _one = restart(&fleet, one, "edge-1").await;
    fleet.connected("edge-1", true, SOON).await.unwrap();
    let _three = fleet.joined("edge-3").await.unwrap();
    let late = fleet.proxy("edge-4", Some(&pinned_to_the_old)).await.unwrap();
    eventually(
        "a token of the authority that is gone opens nothing",
        SOON,
        async || {
            let log = late.process.log();
            anyhow::ensure!(log.contains("UnknownIssuer"), "{log}");
            Ok(())
        },
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_without_a_certificate_speaks_to_this_machine_only() {
    let mut proxy = command("sluice-proxy", None).unwrap();
    proxy.args(["--control", "192.0.2.1:7401", "--id", "edge-1"]);
    let mut proxy = Process::spawn("proxy", proxy).unwrap();
    let status = proxy.exit(SOON).await.unwrap();
    assert!(!status.success());
    assert!(proxy.log().contains("--join-token-file"), "{}", proxy.log());
}
