//! What a change of one route costs the control plane, by how many views of the fleet it keeps.
//!
//! A Gateway with a proxy selector makes a view, also without a proxy that has it: so the cost is
//! that of compiling and publishing, and no stream's. A route of the Gateway without a selector is
//! in every view; that of a Gateway with one is in one of them.

use std::fmt::Write as _;
use std::time::Instant;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::PROFILE;
use super::options::Views;
use crate::manifest::{HOST, list, route_to};
use crate::summary::{Percentiles, percentiles};
use crate::swarm::Stage;
use crate::{machine, results};

/// What one case found.
struct Row {
    views: u32,
    what: &'static str,
    answer_ms: Percentiles,
    cpu_ms: f64,
}

/// Measures it, prints it, and writes it down if that is asked for.
pub(super) async fn measure(options: &Views) -> anyhow::Result<()> {
    eprintln!("{} routes", options.routes);
    let mut stage = Stage::start(usize::try_from(options.routes)?).await?;
    let (mut rows, mut gateways) = (Vec::new(), 0);
    for &views in &options.views {
        eprintln!("{views} views");
        // The view of no selector is always there.
        let missing: Vec<_> = (gateways + 1..views).map(gateway).collect();
        if !missing.is_empty() {
            stage.rest().apply(&list(&missing), "").await?;
            gateways = views - 1;
        }
        rows.push(case(&mut stage, options, views, "all", Stage::change).await?);
        if gateways > 0 {
            let mut number = 0;
            let own = |_: &mut Stage| {
                number += 1;
                owned(number)
            };
            rows.push(case(&mut stage, options, views, "one of them", own).await?);
        }
    }
    let text = markdown(options, &rows)?;
    println!("{text}");
    if options.write {
        results::write(&text)?;
    }
    Ok(())
}

async fn case(
    stage: &mut Stage,
    options: &Views,
    views: u32,
    what: &'static str,
    mut change: impl FnMut(&mut Stage) -> Value,
) -> anyhow::Result<Row> {
    // The first one also makes what is not there yet.
    let first = change(stage);
    stage.rest().apply(&first, "").await?;
    let (before, mut answers) = (stage.cpu()?, Vec::new());
    for _ in 0..options.changes {
        let document = change(stage);
        let start = Instant::now();
        stage.rest().apply(&document, "").await?;
        answers.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let cpu = stage.cpu()?.saturating_sub(before);
    Ok(Row {
        views,
        what,
        answer_ms: percentiles(answers).context("no change was made")?,
        cpu_ms: cpu.as_secs_f64() * 1e3 / f64::from(options.changes),
    })
}

/// A Gateway for a part of the fleet, at a port of its own.
fn gateway(number: u32) -> Value {
    let mut gateway = crate::manifest::gateway();
    gateway["metadata"] = json!({
        "name": format!("part-{number}"),
        "annotations": {"sluice.dev/proxy-selector": format!("part=p{number}")},
    });
    gateway["spec"]["listeners"][0]["port"] = json!(1000 + number);
    gateway
}

/// The one route of the first of these Gateways; each time to the other backend.
fn owned(number: u32) -> Value {
    let backend = if number.is_multiple_of(2) {
        "stable"
    } else {
        "canary"
    };
    let mut route = route_to("own", HOST, backend);
    route["spec"]["parentRefs"] = json!([{"name": "part-1"}]);
    route
}

fn markdown(options: &Views, rows: &[Row]) -> anyhow::Result<String> {
    let mut text = format!(
        "# Views\n\nWritten by `bench views --write`. One of {} routes is changed {} times; {}; {PROFILE}.\n\n\
         | views | the route is in | answered after p50 / p99, ms | CPU of the control plane, ms/change |\n\
         | --- | --- | --- | --- |\n",
        options.routes,
        options.changes,
        machine::description()?,
    );
    for row in rows {
        let Row { views, what, .. } = row;
        let Percentiles { p50, p99, .. } = row.answer_ms;
        let _ = writeln!(
            text,
            "| {views} | {what} | {p50:.1} / {p99:.1} | {:.2} |",
            row.cpu_ms
        );
    }
    Ok(text)
}
