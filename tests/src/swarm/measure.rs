//! What is measured with a swarm, case by case.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::crowd::Crowd;
use super::member::Manner;
use super::options::{Case, Options};
use super::report::{Bulk, Changes, Herd, Report, Restart, Sustained};
use super::stage::Stage;
use crate::machine;
use crate::summary::percentiles;

/// Longest wait for anything that a whole swarm does.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for a herd: each of it gets everything, and reads and verifies that.
const HERD: Duration = Duration::from_secs(1_800);
/// Applies of each size in the bulk case, at most.
const BULK: u32 = 5;
/// How long slow members take for an update.
const SLOW: Duration = Duration::from_secs(2);
/// How long endpoints of ailing members are ejected at a time.
const TURN: Duration = Duration::from_secs(5);
/// Before endpoints change nothing was told to the fleet for so long: as if it never had been.
const QUIET: Duration = Duration::from_secs(3);
/// After a first change of endpoints comes the one that is measured.
const AGAIN: Duration = Duration::from_millis(300);

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One weight.
    Weight,
    /// So many weights in one apply.
    Weights(usize),
    /// All endpoints of a Backend, for the second time.
    Endpoints,
}

/// Runs the cases one after the other.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let streams = options.streams as usize;
    let mut stage = Stage::start(options.routes as usize).await?;
    let alone_bytes = stage.resident_bytes()?;
    let mut crowd = Crowd::new(stage.control.grpc)?;
    let newest = crowd.newest().await?;
    let joining = Instant::now();
    let ailing = streams * options.ailing as usize / 100;
    crowd.join(ailing, Manner::Ailing(TURN), Some(&newest));
    crowd.join(streams - ailing, Manner::Prompt, Some(&newest));
    crowd.all_welcomed(streams, PATIENCE).await?;
    let joined_ms = millis(joining.elapsed());
    let idle_cores = idle(options, &stage).await?;
    let mut report = Report {
        machine: machine::description()?,
        command: options.command(),
        streams,
        routes: options.routes,
        joined_ms,
        idle_cores,
        alone_bytes,
        resident_bytes: 0,
        ailing,
        ailing_endpoints: 0,
        change: None,
        bulk: Vec::new(),
        rude: None,
        sustained: None,
        endpoints: None,
        herd: None,
        restart: None,
    };
    for case in &options.cases {
        match case {
            Case::Change => {
                report.change = Some(changes(options, &mut stage, &crowd, Kind::Weight, true).await?);
            }
            Case::Bulk => report.bulk = bulk(options, &mut stage, &crowd).await?,
            Case::Sustained => report.sustained = Some(sustained(options, &mut stage, &crowd).await?),
            Case::Rude => report.rude = Some(rude(options, &mut stage, &mut crowd).await?),
            Case::Endpoints => {
                report.endpoints = Some(changes(options, &mut stage, &crowd, Kind::Endpoints, true).await?);
            }
            Case::Herd => report.herd = Some(herd(options, &mut stage, &mut crowd).await?),
            Case::Restart => {
                let done;
                (stage, done) = restart(options, stage, &crowd).await?;
                report.restart = Some(done);
            }
        }
        report.resident_bytes = report.resident_bytes.max(stage.resident_bytes()?);
        report.ailing_endpoints = report.ailing_endpoints.max(stage.ailing().await?.0);
    }
    crowd.sound()?;
    Ok(report)
}

/// Cores that the control plane is busy with while nothing happens, if that is asked for.
async fn idle(options: &Options, stage: &Stage) -> anyhow::Result<Option<f64>> {
    if options.idle == 0 {
        return Ok(None);
    }
    let rest = Duration::from_secs(options.idle.into());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = stage.cpu()?;
    tokio::time::sleep(rest).await;
    Ok(Some((stage.cpu()? - before).as_secs_f64() / rest.as_secs_f64()))
}

/// Changes one after the other: the next begins when all that behave have the one before. Receipts are
/// asked for when nobody misbehaves, since these are part of the fleet, too.
async fn changes(
    options: &Options,
    stage: &mut Stage,
    crowd: &Crowd,
    kind: Kind,
    receipts: bool,
) -> anyhow::Result<Changes> {
    crowd.board().forget_acks();
    let streams = options.streams as usize;
    let (mut answer, mut most, mut all, mut acks) = (vec![], vec![], vec![], vec![]);
    let before = crowd.traffic();
    let cpu = stage.cpu()?;
    for _ in 0..options.changes {
        let document = match kind {
            Kind::Weight => stage.change(),
            Kind::Weights(count) => stage.changes(count),
            Kind::Endpoints => move_again(stage).await?,
        };
        let sent = Instant::now();
        let revision = stage.rest().apply(&document, "").await?.revision;
        let answered = Instant::now();
        answer.push(millis(answered - sent));
        if receipts {
            let asked = async |share| quorum(stage, revision, share, answered).await;
            let (first, last) = tokio::try_join!(asked(0.99), asked(1.0))?;
            most.push(first);
            all.push(last);
        }
        crowd.all_at(revision, 0..streams, PATIENCE).await?;
        let at = crowd.board().acks(revision).into_iter();
        acks.extend(at.map(|at| millis(at.saturating_duration_since(answered))));
    }
    let traffic = crowd.traffic().since(before);
    let updates = (streams as u64 * u64::from(options.changes)) as f64;
    Ok(Changes {
        changes: options.changes,
        answer_ms: percentiles(answer).context("no change")?,
        ack_ms: percentiles(acks).context("nobody acknowledged")?,
        receipt_99_ms: percentiles(most),
        receipt_all_ms: percentiles(all),
        received_bytes: traffic.received as f64 / updates,
        sent_bytes: traffic.sent as f64 / updates,
        cpu_ms: millis(stage.cpu()? - cpu) / f64::from(options.changes),
    })
}

/// The same with many routes in each change, size by size.
async fn bulk(options: &Options, stage: &mut Stage, crowd: &Crowd) -> anyhow::Result<Vec<Bulk>> {
    let fewer = Options {
        changes: options.changes.min(BULK),
        ..options.clone()
    };
    let mut found = Vec::new();
    for resources in options.bulk.iter().filter(|size| **size <= options.routes) {
        let resources = *resources as usize;
        let changes = changes(&fewer, stage, crowd, Kind::Weights(resources), true).await?;
        found.push(Bulk { resources, changes });
    }
    Ok(found)
}

/// Moves endpoints after a pause; the move that follows soon after it.
async fn move_again(stage: &mut Stage) -> anyhow::Result<Value> {
    tokio::time::sleep(QUIET).await;
    let first = stage.move_endpoints();
    stage.rest().apply(&first, "").await?;
    tokio::time::sleep(AGAIN).await;
    Ok(stage.move_endpoints())
}

/// How long after `answered` the receipt of `revision` says that so large a share has it.
async fn quorum(stage: &Stage, revision: u64, share: f64, answered: Instant) -> anyhow::Result<f64> {
    let receipt = stage
        .rest()
        .quorum(revision, share, Duration::from_secs(30))
        .await?;
    let needed = receipt.fleet as f64 * share;
    ensure!(
        receipt.applied as f64 >= needed,
        "revision {revision}: {receipt:?}"
    );
    Ok(millis(answered.elapsed()))
}

/// The same while others are slow or deaf.
async fn rude(options: &Options, stage: &mut Stage, crowd: &mut Crowd) -> anyhow::Result<Changes> {
    let newest = crowd.newest().await?;
    let (others, streams) = (options.rude as usize, options.streams as usize);
    let slow = crowd.join(others, Manner::Slow(SLOW), Some(&newest));
    let deaf = crowd.join(others, Manner::Deaf, Some(&newest));
    crowd.all_welcomed(streams + 2 * others, PATIENCE).await?;
    let among_them = changes(options, stage, crowd, Kind::Weight, false).await?;
    crowd.dismiss(slow.start..deaf.end);
    Ok(among_them)
}

/// Newcomers without anything come all at once, and are waited for until each runs what the fleet runs.
async fn herd(options: &Options, stage: &mut Stage, crowd: &mut Crowd) -> anyhow::Result<Herd> {
    // So that there is a revision that is acknowledged by all, and by nobody after that but newcomers.
    let document = stage.change();
    let revision = stage.rest().apply(&document, "").await?.revision;
    crowd
        .all_at(revision, 0..options.streams as usize, PATIENCE)
        .await?;
    crowd.board().forget_acks();
    let count = options.herd as usize;
    let (traffic, lost) = (crowd.traffic(), crowd.lost());
    let (before_bytes, cpu) = (stage.resident_bytes()?, stage.cpu()?);
    stage.forget_peak()?;
    let came = Instant::now();
    let newcomers = crowd.join(count, Manner::Prompt, None);
    crowd.all_at(revision, newcomers.clone(), HERD).await?;
    let acks = crowd.board().acks(revision).into_iter();
    let serving_ms = acks
        .map(|at| millis(at.saturating_duration_since(came)))
        .collect();
    let traffic = crowd.traffic().since(traffic);
    let found = Herd {
        newcomers: count,
        serving_ms: percentiles(serving_ms).context("nobody acknowledged")?,
        full: traffic.full,
        lost: crowd.lost() - lost,
        received_bytes: traffic.received as f64 / count as f64,
        cpu_ms: millis(stage.cpu()? - cpu) / count as f64,
        before_bytes,
        resident_bytes: stage.peak_resident_bytes()?,
    };
    crowd.dismiss(newcomers);
    Ok(found)
}

/// Changes at a fixed rate, however fast the fleet follows.
async fn sustained(options: &Options, stage: &mut Stage, crowd: &Crowd) -> anyhow::Result<Sustained> {
    crowd.board().forget_acks();
    let count = options.rate * options.sustain;
    let mut beat = interval(Duration::from_secs(1) / options.rate);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut answers = Vec::new();
    let start_bytes = stage.resident_bytes()?;
    stage.forget_peak()?;
    let (started, cpu) = (Instant::now(), stage.cpu()?);
    for _ in 0..count {
        beat.tick().await;
        let document = stage.change();
        let sent = Instant::now();
        let revision = stage.rest().apply(&document, "").await?.revision;
        answers.push((revision, Instant::now(), millis(sent.elapsed())));
    }
    let took = started.elapsed();
    let (last, ended, _) = *answers.last().context("no change")?;
    crowd.all_at(last, 0..options.streams as usize, PATIENCE).await?;
    let caught_up_ms = millis(ended.elapsed());
    let cpu_cores = (stage.cpu()? - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let lags = answers.iter().flat_map(|(revision, answered, _)| {
        let acks = crowd.board().acks(*revision).into_iter();
        acks.map(|at| millis(at.saturating_duration_since(*answered)))
    });
    let lag_ms = percentiles(lags.collect()).context("nobody acknowledged")?;
    let updates = crowd.board().ack_count() as f64 / f64::from(options.streams);
    Ok(Sustained {
        changes: count,
        per_second: f64::from(count) / took.as_secs_f64(),
        answer_ms: percentiles(answers.iter().map(|(_, _, took)| *took).collect()).context("no change")?,
        lag_ms,
        caught_up_ms,
        updates_per_proxy: updates,
        cpu_cores,
        start_bytes,
        end_bytes: stage.resident_bytes()?,
        resident_bytes: stage.peak_resident_bytes()?.max(start_bytes),
    })
}

/// Kills the control plane, starts it again, and waits until all are back and have the next change.
async fn restart(options: &Options, mut stage: Stage, crowd: &Crowd) -> anyhow::Result<(Stage, Restart)> {
    let streams = options.streams as usize;
    let before = crowd.traffic();
    let killed = Instant::now();
    stage = stage.restart().await?;
    let serving = Instant::now();
    crowd.all_welcomed(streams, PATIENCE).await?;
    let back_ms = millis(serving.elapsed());
    let document = stage.change();
    let revision = stage.rest().apply(&document, "").await?.revision;
    let receipt = stage
        .rest()
        .quorum(revision, 1.0, Duration::from_secs(30))
        .await?;
    ensure!(receipt.applied == receipt.fleet, "{receipt:?}");
    let traffic = crowd.traffic().since(before);
    Ok((
        stage,
        Restart {
            away_ms: millis(serving - killed),
            back_ms,
            full: traffic.full,
            received_bytes: traffic.received as f64 / streams as f64,
        },
    ))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
