//! Who is behind, who refused and why, since when, and which control plane holds whom.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sluice_proto::v1::Violation;
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::{FakeProxy, revision};
use sluice_tests::manifest::{backend, gateway};
use sluice_tests::postgres::Postgres;
use sluice_tests::servers::binary;
use sluice_tests::site::{SOON, TOKEN};

/// The wall clock, which all processes here share, in milliseconds.
#[allow(clippy::disallowed_methods)]
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

fn violation() -> Violation {
    Violation {
        resource: "listener/default/edge/http".into(),
        field: "port".into(),
        code: "unsupported".into(),
        message: "too new for this proxy".into(),
    }
}

/// A proxy that runs what is published, at the control plane of this index.
async fn joined(cluster: &Cluster, index: usize, id: &str) -> FakeProxy {
    let mut proxy = FakeProxy::join(cluster.controls[index].grpc, id).await.unwrap();
    let held = proxy.update().await.unwrap();
    proxy.ack(&held).await.unwrap();
    proxy
}

/// What the control plane of this index says of the fleet, once the proxies, by id, have these
/// statuses.
async fn once(cluster: &Cluster, index: usize, statuses: &[(&str, &str)]) -> Value {
    eventually("the fleet is where it should be", SOON, async || {
        let rest = &cluster.controls[index].rest;
        let fleet = rest.send(Method::GET, "/v1/fleet", None).await?.body;
        let proxies = fleet["proxies"].as_array().context("no list")?;
        let told: Option<Vec<_>> = proxies
            .iter()
            .map(|one| Some((one["id"].as_str()?, one["status"].as_str()?)))
            .collect();
        ensure!(told.as_deref() == Some(statuses), "{fleet}");
        Ok(fleet)
    })
    .await
    .unwrap()
}

/// What `sluice fleet` prints when it asks the control plane of this index.
async fn sluice_fleet(cluster: &Cluster, index: usize, arguments: &[&str]) -> String {
    let mut command = tokio::process::Command::new(binary("sluice").unwrap());
    command.arg("fleet").args(arguments);
    command.env("SLUICE_ADMIN", cluster.controls[index].rest.url(""));
    command.env("SLUICE_TOKEN", TOKEN);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn metric(cluster: &Cluster, index: usize, name: &str, labels: &[&str]) -> f64 {
    cluster.controls[index].metric(name, labels).await.unwrap()
}

/// How often each of these stages was counted on the control plane of this index.
async fn stages(cluster: &Cluster, index: usize) -> [f64; 6] {
    let mut counts = [0.0; 6];
    let stages = ["commit", "notify", "compile", "send", "build", "ack"];
    for (count, stage) in counts.iter_mut().zip(stages) {
        let label = format!("stage=\"{stage}\"");
        *count = metric(cluster, index, "sluice_propagation_seconds_count", &[&label]).await;
    }
    counts
}

const TROUBLED: [(&str, &str); 4] = [
    ("edge-1", "current"),
    ("edge-2", "current"),
    ("refuser", "refused"),
    ("sleeper", "behind"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_behind_or_refused_is_seen_on_a_control_plane_that_does_not_hold_it() {
    let postgres = Postgres::start().await.unwrap();
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let real = [cluster.proxy("edge-1", 0), cluster.proxy("edge-2", 1)];
    let _real = futures_util::future::try_join_all(real).await.unwrap();
    let mut refuser = joined(&cluster, 1, "refuser").await;
    let mut sleeper = joined(&cluster, 1, "sleeper").await;
    let well = TROUBLED.map(|(id, _)| (id, "current"));
    for index in 0..2 {
        let fleet = once(&cluster, index, &well).await;
        assert_eq!(fleet["summary"].get("behindSinceMs"), None, "{fleet}");
    }

    let before = wall_ms();
    let first = cluster.controls[0]
        .rest
        .apply(&gateway(), "")
        .await
        .unwrap()
        .revision;
    let refused = refuser.update().await.unwrap();
    refuser.nack(&refused, violation()).await.unwrap();
    let slept = sleeper.update().await.unwrap();
    once(&cluster, 0, &TROUBLED).await;
    let refused_by = wall_ms();
    let rest = &cluster.controls[1].rest;
    let second = rest.apply(&backend("web", &[]), "").await.unwrap().revision;
    for control in &cluster.controls {
        // Both have heard that the real ones run it, so neither looks at them on the way.
        let receipt = control.rest.quorum(second, 0.5, SOON).await.unwrap();
        assert_eq!((receipt.fleet, receipt.applied), (4, 2), "{receipt:?}");
    }

    let replicas = cluster.replicas(0).await.unwrap();
    let ids = [&replicas[0]["id"], &replicas[1]["id"]];
    let mut refused_at = Vec::new();
    for index in 0..2 {
        let fleet = once(&cluster, index, &TROUBLED).await;
        let proxy = |index: usize| &fleet["proxies"][index];
        assert_eq!(
            [0, 1, 2, 3].map(|one| &proxy(one)["replica"]),
            [ids[0], ids[1], ids[1], ids[1]]
        );
        for one in [2, 3] {
            let since = proxy(one)["behindSinceMs"].as_u64().unwrap();
            // Clocks are read one after the other, each in whole milliseconds.
            assert!(
                (before..=refused_by + 1).contains(&since),
                "{before} {fleet} {refused_by}"
            );
        }
        let refusal = &proxy(2)["refusal"];
        assert_eq!(refusal["refusedRevision"], first);
        assert_eq!(refusal["violations"][0]["message"], "too new for this proxy");
        refused_at.push(refusal["refusedAtMs"].as_u64().unwrap());
        let counts = ["proxies", "current", "behind", "refused", "lost"].map(|name| &fleet["summary"][name]);
        assert_eq!(counts, [&json!(4), &json!(2), &json!(1), &json!(1), &json!(0)]);
    }
    assert_eq!(refused_at[0], refused_at[1], "the time travels with the refusal");
    assert!(
        (before..=refused_by).contains(&refused_at[0]),
        "{before} {refused_at:?} {refused_by}"
    );

    the_command_says_so(&cluster, ids[1]).await;
    the_metrics_say_so(&cluster, ids, before).await;

    // Both come round: nobody is behind any more.
    sleeper.ack(&slept).await.unwrap();
    for proxy in [&mut refuser, &mut sleeper] {
        let update = proxy.update().await.unwrap();
        assert_eq!(revision(&update), first + 1);
        proxy.ack(&update).await.unwrap();
    }
    for index in 0..2 {
        once(&cluster, index, &well).await;
        assert_eq!(
            metric(&cluster, index, "sluice_fleet_oldest_behind_seconds", &[]).await,
            0.0
        );
    }
    assert!(
        sluice_fleet(&cluster, 0, &[])
            .await
            .ends_with("\n\n4 proxies: 4 current\n")
    );
    the_way_was_timed(&cluster).await;
}

/// Asked of the control plane that holds none of the two.
async fn the_command_says_so(cluster: &Cluster, replica: &Value) {
    let all = sluice_fleet(cluster, 0, &[]).await;
    let rows: Vec<Vec<_>> = all
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let firsts: Vec<_> = rows
        .iter()
        .map(|row| row.first().copied().unwrap_or_default())
        .collect();
    assert_eq!(
        firsts,
        ["ID", "refuser", "sleeper", "edge-1", "edge-2", "", "4"],
        "{all}"
    );
    assert_eq!(rows[2][1..4], ["behind", "0", "2"], "{all}");
    let held_by = replica.as_str().unwrap().get(..8).unwrap();
    for row in [1, 2, 4] {
        assert!(rows[row].contains(&held_by), "{held_by}: {all}");
    }
    let line = all.lines().nth(1).unwrap();
    let reason = "ago): listener/default/edge/http port: too new for this proxy";
    assert!(line.ends_with(reason), "{all}");
    let summary = "4 proxies: 2 current, 1 behind, 1 refused; the longest behind for ";
    assert!(all.lines().last().unwrap().starts_with(summary), "{all}");

    let few = sluice_fleet(cluster, 0, &["--refused", "-o", "json"]).await;
    let few: Value = serde_json::from_str(&few).unwrap();
    assert_eq!(few["proxies"].as_array().unwrap().len(), 1, "{few}");
    assert_eq!(
        (&few["proxies"][0]["id"], &few["summary"]["proxies"]),
        (&json!("refuser"), &json!(4))
    );
}

async fn the_metrics_say_so(cluster: &Cluster, ids: [&Value; 2], before: u64) {
    for index in 0..2 {
        for (replica, status, count) in [
            (0, "current", 1.0),
            (0, "refused", 0.0),
            (1, "current", 1.0),
            (1, "behind", 1.0),
            (1, "refused", 1.0),
            (1, "lost", 0.0),
        ] {
            let labels = [
                format!("replica={}", ids[replica]),
                format!("status=\"{status}\""),
            ];
            let told = metric(
                cluster,
                index,
                "sluice_fleet_proxies",
                &labels.each_ref().map(|one| &**one),
            )
            .await;
            assert_eq!(told, count, "{status} of {replica} as {index} tells it");
        }
        let oldest = metric(cluster, index, "sluice_fleet_oldest_behind_seconds", &[]).await;
        let most = (wall_ms() - before) as f64 / 1_000.0;
        assert!(0.0 < oldest && oldest <= most, "{oldest} of {most}");
    }
}

/// Two revisions, written one on each control plane, reached one proxy here and three there.
async fn the_way_was_timed(cluster: &Cluster) {
    eventually("every stage is counted", SOON, async || {
        for index in 0..2 {
            let [commit, notify, compile, send, build, ack] = stages(cluster, index).await;
            ensure!(
                [commit, notify, compile] == [1.0, 2.0, 2.0],
                "{commit} {notify} {compile}"
            );
            // A proxy may skip the first of the two, and what is refused is sent but never acknowledged.
            let proxies = if index == 0 { 1.0 } else { 3.0 };
            ensure!((proxies..=2.0 * proxies).contains(&send), "{send} of {proxies}");
            ensure!(
                build == ack && (proxies..=send).contains(&ack),
                "{send} {build} {ack}"
            );
        }
        Ok(())
    })
    .await
    .unwrap();
    // The sleeper, and nobody else, took its time: the stages before do not count it.
    for stage in ["commit", "notify", "compile"] {
        let label = format!("stage=\"{stage}\"");
        let slow = metric(cluster, 1, "sluice_propagation_seconds_sum", &[&label]).await;
        assert!(slow < 10.0, "{stage}: {slow} s");
    }
}
