//! The time a one-route change takes to be live, and to be acknowledged by two proxies.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use reqwest::Client;
use reqwest::header::HOST as HOST_HEADER;
use serde::Serialize;

use super::options::Options;
use super::sluice::{self, Edge, Site};
use super::table::{HOST, RouteIndex};
use super::upstream::NAME_HEADER;
use crate::summary::{Percentiles, percentiles};

/// Longest time a change may take before the run fails.
const LIVE: Duration = Duration::from_secs(10);

/// Distance of the routes changed one after the other: prime, so that changes are spread over the
/// whole table and no route is changed twice before all were.
const STRIDE: u32 = 7_919;

/// What the changes of one run measured, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Changes {
    pub(super) changes: u32,
    /// From sending the write to the first request that it routed.
    pub(super) live_after_write_ms: Percentiles,
    /// From the answer to the write; zero when traffic was faster than the answer.
    pub(super) live_after_answer_ms: Percentiles,
    /// From commit to the acknowledgement of the slower proxy, as the receipt says.
    pub(super) receipt_ms: Percentiles,
}

struct Change {
    live_after_write: Duration,
    live_after_answer: Duration,
    receipt_ms: f64,
}

/// Starts a second proxy and sends one route after the other to the other upstream, one change
/// at a time.
pub(super) async fn measure(options: &Options, site: &Site, directory: &Path) -> anyhow::Result<Changes> {
    eprintln!(
        "{} one-route changes to a table of {}",
        options.changes, site.table.0
    );
    let second = Edge::start(options, &site.control, 2, directory).await?;
    let client = Client::builder().no_proxy().timeout(LIVE).build()?;
    let mut changes = Vec::new();
    for number in 0..options.changes {
        let route = RouteIndex((number * STRIDE) % site.table.0);
        // Every pass over the table goes the other way.
        let backend = if (number / site.table.0).is_multiple_of(2) {
            "canary"
        } else {
            "stable"
        };
        changes.push(
            one(site, &client, route, backend)
                .await
                .with_context(|| format!("change {number}"))?,
        );
    }
    drop(second);
    summarise(options.changes, &changes).context("no change was made")
}

async fn one(site: &Site, client: &Client, route: RouteIndex, backend: &str) -> anyhow::Result<Change> {
    let rest = &site.control.rest;
    let document = sluice::route(route, backend);
    let written = Instant::now();
    let write = async {
        let applied = rest.apply(&document, "").await?;
        anyhow::Ok((applied.revision, Instant::now()))
    };
    let seen = first_answer(client, site, route, backend);
    let ((revision, answered), live) = tokio::try_join!(write, seen)?;
    let receipt = sluice::whole_fleet(rest, revision, 2).await?;
    Ok(Change {
        live_after_write: live - written,
        live_after_answer: live.saturating_duration_since(answered),
        receipt_ms: receipt.applied_ms.context("a receipt has times")?.max,
    })
}

/// Requests `route` again and again on one connection; when the answer to the first request that
/// `backend` took was there.
async fn first_answer(
    client: &Client,
    site: &Site,
    route: RouteIndex,
    backend: &str,
) -> anyhow::Result<Instant> {
    let url = format!("http://{}{}", site.edge.address, route.request_path());
    let start = Instant::now();
    while start.elapsed() < LIVE {
        let response = client
            .get(&url)
            .header(HOST_HEADER, HOST)
            .send()
            .await?
            .error_for_status()?;
        let arrived = Instant::now();
        let by_it = response
            .headers()
            .get(NAME_HEADER)
            .is_some_and(|name| name == backend);
        response.bytes().await?;
        if by_it {
            return Ok(arrived);
        }
    }
    anyhow::bail!("not live within {LIVE:?}")
}

fn summarise(count: u32, changes: &[Change]) -> Option<Changes> {
    let of = |field: fn(&Change) -> f64| percentiles(changes.iter().map(field).collect());
    Some(Changes {
        changes: count,
        live_after_write_ms: of(|change| change.live_after_write.as_secs_f64() * 1e3)?,
        live_after_answer_ms: of(|change| change.live_after_answer.as_secs_f64() * 1e3)?,
        receipt_ms: of(|change| change.receipt_ms)?,
    })
}
