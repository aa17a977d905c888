//! Load in rounds: every case and proxy once per round.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::load::{Generator, Sample};
use super::options::{Options, Proxy};
use super::subject::{Fleet, Subject};
use super::table::{RouteIndex, Table};
use crate::summary::{Spread, spread};

/// Which table, and which of its routes the requests are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Case {
    pub(super) table: Table,
    pub(super) route: RouteIndex,
}

/// What all rounds of one proxy in one case measured.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Requests {
    pub(super) proxy: Proxy,
    pub(super) case: Case,
    pub(super) cpu_us: Spread,
    pub(super) per_second: Spread,
    pub(super) p50_us: Spread,
    pub(super) p99_us: Spread,
}

/// One route, and the first and the last of many.
pub(super) fn cases(options: &Options) -> [Case; 3] {
    let many = Table(options.routes);
    [
        Case {
            table: Table(1),
            route: RouteIndex::FIRST,
        },
        Case {
            table: many,
            route: RouteIndex::FIRST,
        },
        Case {
            table: many,
            route: many.last(),
        },
    ]
}

/// Runs a short warm-up of every case, then the rounds.
pub(super) async fn measure(
    options: &Options,
    fleet: &Fleet,
    directory: &Path,
) -> anyhow::Result<Vec<Requests>> {
    let plan: Vec<(Case, &Subject)> = cases(options)
        .into_iter()
        .flat_map(|case| fleet.with_table(case.table).map(move |subject| (case, subject)))
        .collect();
    let generator = |seconds| Generator {
        connections: options.connections,
        seconds,
        directory,
    };
    for &(case, subject) in &plan {
        slice(&generator(1), case, subject).await?;
    }
    let mut samples = vec![Vec::new(); plan.len()];
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (&(case, subject), samples) in plan.iter().zip(&mut samples) {
            samples.push(slice(&generator(options.seconds), case, subject).await?);
        }
    }
    plan.iter()
        .zip(&samples)
        .map(|(&(case, subject), samples)| {
            summarise(case, subject.proxy, samples).context("no round was run")
        })
        .collect()
}

async fn slice(generator: &Generator<'_>, case: Case, subject: &Subject) -> anyhow::Result<Sample> {
    let sample = generator.run(subject.pid(), subject.address(), case.route).await;
    sample.with_context(|| format!("{} with {:?}", subject.proxy, case))
}

fn summarise(case: Case, proxy: Proxy, samples: &[Sample]) -> Option<Requests> {
    let of = |field: fn(&Sample) -> f64| spread(samples.iter().map(field).collect());
    Some(Requests {
        proxy,
        case,
        cpu_us: of(|sample| sample.cpu_us_per_request)?,
        per_second: of(|sample| sample.requests_per_second)?,
        p50_us: of(|sample| sample.p50_us)?,
        p99_us: of(|sample| sample.p99_us)?,
    })
}
