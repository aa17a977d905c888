//! How long whoever reviews a change waits for its plan, and what memory that takes.
//!
//! The manifests are those of the change alone, and those of the whole table with the change in it, as
//! they lie in a repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::PROFILE;
use super::options::Plans;
use crate::manifest::list;
use crate::summary::{Percentiles, percentiles};
use crate::swarm::Stage;
use crate::{machine, results};

/// What one case found.
struct Row {
    routes: u32,
    manifests: usize,
    classes: u64,
    answer_ms: Percentiles,
    /// What the control plane takes while nothing is planned, and at most while something is.
    resident: [u64; 2],
}

/// Measures it, prints it, and writes it down if that is asked for.
pub(super) async fn measure(options: &Plans) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for &routes in &options.routes {
        eprintln!("{routes} routes");
        let mut stage = Stage::start(usize::try_from(routes)?).await?;
        let changes: Vec<_> = (0..options.changes).map(|_| stage.change()).collect();
        let name = |route: &Value| route["metadata"]["name"].to_string();
        let mut table: BTreeMap<_, _> = stage.table().map(|route| (name(&route), route)).collect();
        table.extend(changes.iter().map(|route| (name(route), route.clone())));
        let table: Vec<_> = table.into_values().collect();
        for manifests in [changes, table] {
            rows.push(case(&stage, options, routes, &manifests).await?);
        }
    }
    let text = markdown(options, &rows)?;
    println!("{text}");
    if options.write {
        results::write(&text)?;
    }
    Ok(())
}

async fn case(stage: &Stage, options: &Plans, routes: u32, manifests: &[Value]) -> anyhow::Result<Row> {
    let (document, pid) = (list(manifests), stage.control.process.pid());
    let before = stage.resident_bytes()?;
    machine::forget_peak(pid)?;
    let (mut answers, mut classes) = (Vec::new(), 0);
    for _ in 0..options.rounds {
        let start = Instant::now();
        let answer = stage
            .rest()
            .send(Method::POST, "/v1/plan", Some(&document))
            .await?;
        answers.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.status == StatusCode::OK, "{answer:?}");
        let seen = &answer.body["views"][0]["requests"]["classCount"];
        classes = seen.as_u64().with_context(|| answer.body.to_string())?;
        ensure!(classes > 0, "a plan that sees nothing: {}", answer.body);
    }
    Ok(Row {
        routes,
        manifests: manifests.len(),
        classes,
        answer_ms: percentiles(answers).context("nothing was planned")?,
        resident: [before, machine::peak_resident_bytes(pid)?],
    })
}

fn markdown(options: &Plans, rows: &[Row]) -> anyhow::Result<String> {
    let mut text = format!(
        "# Plans\n\nWritten by `bench plans --write`. {} routes get other weights; each is planned {} times; \
         {}; {PROFILE}.\n\n\
         | routes | manifests planned | classes of requests | answered after p50 / max, ms | \
         resident before / at most, MiB |\n\
         | --- | --- | --- | --- | --- |\n",
        options.changes,
        options.rounds,
        machine::description()?,
    );
    for row in rows {
        let Percentiles { p50, max, .. } = row.answer_ms;
        let [before, most] = row.resident.map(|bytes| bytes >> 20);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {p50:.0} / {max:.0} | {before} / {most} |",
            row.routes, row.manifests, row.classes
        );
    }
    Ok(text)
}
