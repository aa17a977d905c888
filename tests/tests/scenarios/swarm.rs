//! A fleet of some size, with all the bad manners that members can have.

use std::time::Duration;

use anyhow::ensure;
use clap::Parser as _;
use http::Method;
use serde_json::Value;
use sluice_tests::eventually::eventually;
use sluice_tests::site::SOON;
use sluice_tests::swarm::{Crowd, MOVING, Manner, Options, Stage};

/// More than a control plane remembers.
const MANY: usize = 80;
/// Bytes that a change of one weight may take on its way to one proxy; its signature takes 76 of them.
const ONE_WEIGHT: u64 = 300;

/// Applies that many changes of one weight, one after the other; the last revision.
async fn change(stage: &mut Stage, count: usize) -> u64 {
    let mut revision = 0;
    for _ in 0..count {
        let document = stage.change();
        revision = stage.rest().apply(&document, "").await.unwrap().revision;
    }
    revision
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_weight_costs_each_proxy_a_few_hundred_bytes_and_is_acknowledged_by_all() {
    let mut stage = Stage::start(1_000).await.unwrap();
    let mut crowd = Crowd::new(stage.control.grpc).unwrap();
    let newest = crowd.newest().await.unwrap();
    let all = crowd.join(200, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(200, SOON).await.unwrap();
    let before = crowd.traffic();
    let revision = change(&mut stage, 1).await;
    let receipt = stage.rest().receipt(revision, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (200, 200), "{receipt:?}");
    crowd.all_at(revision, all, SOON).await.unwrap();
    let traffic = crowd.traffic().since(before);
    assert_eq!((traffic.differences, traffic.full), (200, 0));
    assert!(traffic.received <= 200 * ONE_WEIGHT, "{traffic:?}");
    crowd.sound().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_deaf_refusing_and_flapping_members_hold_up_nobody_and_all_that_can_end_on_the_newest() {
    let mut stage = Stage::start(200).await.unwrap();
    let mut crowd = Crowd::new(stage.control.grpc).unwrap();
    let old = crowd.newest().await.unwrap();
    change(&mut stage, MANY).await;
    let newest = crowd.newest().await.unwrap();
    crowd.join(20, Manner::Deaf, Some(&newest));
    crowd.join(20, Manner::Refusing, Some(&newest));
    let slow = crowd.join(20, Manner::Slow(Duration::from_millis(300)), Some(&newest));
    let flapping = crowd.join(20, Manner::Flapping(Duration::from_millis(200)), Some(&newest));
    let behind = crowd.join(20, Manner::Prompt, Some(&old));
    let prompt = crowd.join(100, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(170, SOON).await.unwrap();
    for _ in 0..5 {
        let revision = change(&mut stage, 5).await;
        crowd.all_at(revision, prompt.clone(), SOON).await.unwrap();
    }
    let last = change(&mut stage, 1).await;
    for members in [prompt, behind, slow, flapping] {
        crowd.all_at(last, members, SOON).await.unwrap();
    }
    crowd.sound().unwrap();
    assert_eq!(
        crowd.traffic().full,
        0,
        "also those far behind get the difference only"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_all_come_back_for_the_difference_only() {
    let mut stage = Stage::start(200).await.unwrap();
    let mut crowd = Crowd::new(stage.control.grpc).unwrap();
    let old = crowd.newest().await.unwrap();
    let held = change(&mut stage, MANY).await;
    let newest = crowd.newest().await.unwrap();
    let all = crowd.join(100, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(100, SOON).await.unwrap();

    let lost = crowd.lost();
    stage = stage.restart().await.unwrap();
    eventually("everybody noticed", SOON, async || {
        ensure!(crowd.lost() >= lost + 100, "{} streams were lost", crowd.lost());
        Ok(())
    })
    .await
    .unwrap();
    // Proxies that were away while the revisions were made that this process never saw.
    let behind = crowd.join(20, Manner::Prompt, Some(&old));
    crowd.all_welcomed(120, SOON).await.unwrap();
    crowd.all_at(held, behind.clone(), SOON).await.unwrap();
    let next = change(&mut stage, 1).await;
    for members in [all, behind] {
        crowd.all_at(next, members, SOON).await.unwrap();
    }
    crowd.sound().unwrap();
    assert_eq!(crowd.traffic().full, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_endpoints_that_come_go_and_flap_only_what_is_wrong_now_is_kept() {
    const EACH: usize = 20;
    let mut stage = Stage::start(10).await.unwrap();
    // Those of the two Backends that never move, too.
    let there = MOVING + 2;
    let mut crowd = Crowd::new(stage.control.grpc).unwrap();
    let newest = crowd.newest().await.unwrap();
    let failing = crowd.join(EACH, Manner::Ailing(Duration::from_secs(3_600)), Some(&newest));
    let flapping = crowd.join(EACH, Manner::Ailing(Duration::from_millis(700)), Some(&newest));
    let well = crowd.join(2 * EACH, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(4 * EACH, SOON).await.unwrap();
    for _ in 0..3 {
        let document = stage.move_endpoints();
        let moved = document["spec"]["endpoints"][0]["address"].as_str().unwrap();
        let revision = stage.rest().apply(&document, "").await.unwrap().revision;
        crowd
            .all_at(revision, failing.start..well.end, SOON)
            .await
            .unwrap();
        eventually("what is gone is not kept, and what came is", SOON, async || {
            let answer = stage
                .rest()
                .send(Method::GET, "/v1/fleet/swarm-00000", None)
                .await?;
            let told = answer.body["endpoints"].as_array().map_or(&[][..], Vec::as_slice);
            let address = |one: &Value| one["address"].as_str().unwrap_or_default().to_owned();
            let here = told
                .iter()
                .map(address)
                .filter(|one| one.starts_with(moved))
                .count();
            ensure!((told.len(), here) == (there, MOVING), "{told:?}");
            let (all, ejected) = stage.ailing().await?;
            ensure!(
                all == 2 * EACH * there && ejected >= EACH * there,
                "{all}, {ejected}"
            );
            Ok(())
        })
        .await
        .unwrap();
    }
    // Without a goodbye; nobody reports for them any more.
    crowd.dismiss(flapping);
    eventually("theirs are given up", SOON, async || {
        let kept = stage.ailing().await?;
        ensure!(kept == (EACH * there, EACH * there), "{kept:?}");
        Ok(())
    })
    .await
    .unwrap();
    let refused = stage
        .control
        .metric("sluice_fleet_report_overflows_total", &[])
        .await
        .unwrap();
    assert!(refused.abs() < f64::EPSILON, "{refused}");
    crowd.sound().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newcomers_get_everything_beside_others_that_take_nothing_for_longer_than_they_are_waited_for() {
    let mut stage = Stage::start(200).await.unwrap();
    let mut crowd = Crowd::new(stage.control.grpc).unwrap();
    let newest = crowd.newest().await.unwrap();
    // Each is sent everything, keeps its connection alive, and says nothing.
    crowd.join(40, Manner::Stuck, None);
    let prompt = crowd.join(50, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(90, SOON).await.unwrap();
    let newcomers = crowd.join(20, Manner::Newcomer(Duration::from_secs(2)), None);
    let lost = crowd.lost();
    for _ in 0..5 {
        let revision = change(&mut stage, 1).await;
        for members in [&prompt, &newcomers] {
            crowd.all_at(revision, members.clone(), SOON).await.unwrap();
        }
    }
    // Their 30 s begin with their turn, and there is room for all of them at once.
    eventually("those who take nothing are cut off", 3 * SOON, async || {
        let cut = crowd.lost() - lost;
        ensure!(cut >= 40, "{cut} of 40");
        Ok(())
    })
    .await
    .unwrap();
    let last = change(&mut stage, 1).await;
    for members in [prompt, newcomers] {
        crowd.all_at(last, members, SOON).await.unwrap();
    }
    let traffic = crowd.traffic();
    assert!(traffic.full > 20, "newcomers come again and again: {traffic:?}");
    crowd.sound().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_measured_of_large_applies_long_rates_and_herds_is_measured_of_a_small_fleet_too() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("report.json");
    let mut line = "swarm --streams 20 --routes 60 --ailing 0 --rude 1 --idle 0 --cases bulk,sustained,herd \
                    --changes 2 --bulk 10,50,1000 --rate 20 --sustain 2 --herd 15"
        .split_whitespace()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    line.extend(["--json".to_owned(), json.display().to_string()]);
    sluice_tests::swarm::run(Options::parse_from(line)).await.unwrap();
    let report: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let number = |at: &str| {
        let value = report.pointer(at).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("{at} of {report:#}"))
    };

    let whole = |at: &str| number(at) as u64;

    // There are not 1,000 routes.
    assert_eq!(report["bulk"].as_array().map(Vec::len), Some(2));
    let sizes = [whole("/bulk/0/resources"), whole("/bulk/1/resources")];
    assert_eq!(sizes, [10, 50]);
    let bytes = [0, 1].map(|at| number(&format!("/bulk/{at}/changes/received_bytes")));
    let weights = 40.0 * 20.0;
    assert!(bytes[0] + weights < bytes[1], "40 weights more: {bytes:?}");
    for receipts in ["receipt_99_ms", "receipt_all_ms"] {
        assert!(number(&format!("/bulk/1/changes/{receipts}/max")) > 0.0);
    }

    assert_eq!(whole("/sustained/changes"), 40);
    for resident in ["start", "end", "resident"] {
        assert!(whole(&format!("/sustained/{resident}_bytes")) > 0, "{report:#}");
    }

    // Each gets everything, once unless its stream was lost before it had it.
    let (full, lost) = (whole("/herd/full"), whole("/herd/lost"));
    assert!((15..=15 + lost).contains(&full), "{full}, {lost}");
    assert!(
        number("/herd/received_bytes") > bytes[1],
        "everything is more than 50 weights"
    );
    assert!(number("/herd/serving_ms/max") > 0.0 && whole("/herd/resident_bytes") > 0);
}
