//! Hostile and odd HTTP/1 requests through a real proxy, with an upstream that records each byte.
//!
//! A case has a connection of its own; after it, a probe on another connection must get its own
//! answer. What reached the upstream must be canonical, whatever was sent ([`canonical`]), and be
//! answered as often as it arrived ([`verdict`]). Cases run in lanes: a listener, a route and an
//! upstream each, so that what arrives belongs to one case.

pub mod canonical;
mod case;
mod lane;
mod recorder;
mod verdict;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) use case::latin1;
pub use case::{Case, Expect};
pub use recorder::Arrival;
pub use verdict::{Fault, Outcome};

use self::lane::Lane;
use self::recorder::Recorder;
use crate::manifest::{backend, gateway_on};
use crate::site::{SOON, Site};

/// Port of the first lane's listener, as the Gateway names it.
const FIRST_PORT: u16 = 8001;

/// A case that did not pass.
#[derive(Debug)]
pub struct Failure {
    /// The case.
    pub case: Case,
    /// What was seen.
    pub outcome: Outcome,
    /// What is wrong with that.
    pub faults: Vec<Fault>,
}

/// Runs all cases against a proxy of its own; those that fail, by name.
///
/// # Errors
/// When the proxy does not start.
pub async fn run(cases: Vec<Case>, lanes: u16) -> anyhow::Result<Vec<Failure>> {
    let recorders = start_recorders(lanes).await?;
    let site = start_site(&recorders).await?;
    let queue = Arc::new(Mutex::new(cases.into_iter()));
    let mut running = JoinSet::new();
    for (number, recorder) in (0..).zip(recorders) {
        let address = site.proxies[0].listening(&listener(number), 1, SOON).await?;
        let (queue, lane) = (Arc::clone(&queue), Lane::new(address, recorder));
        running.spawn(async move {
            let mut failures = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(case) = next else { break };
                let (outcome, faults) = lane.judge(&case).await?;
                if !faults.is_empty() {
                    failures.push(Failure {
                        case,
                        outcome,
                        faults,
                    });
                }
            }
            anyhow::Ok(failures)
        });
    }
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        failures.extend(ended??);
    }
    failures.sort_by(|a, b| a.case.id.cmp(&b.case.id));
    Ok(failures)
}

async fn start_recorders(lanes: u16) -> anyhow::Result<Vec<Recorder>> {
    let mut recorders = Vec::new();
    for _ in 0..lanes {
        recorders.push(Recorder::start().await?);
    }
    Ok(recorders)
}

/// One proxy with a listener for each recorder.
async fn start_site(recorders: &[Recorder]) -> anyhow::Result<Site> {
    let lanes: Vec<_> = (0..).zip(recorders).collect();
    let maps: Vec<_> = lanes
        .iter()
        .map(|(lane, _)| format!("{}=0", FIRST_PORT + lane))
        .collect();
    let options: Vec<_> = maps.iter().flat_map(|map| ["--port-map", map]).collect();
    let site = Site::with(1, None, &options).await?;

    let names: Vec<_> = lanes.iter().map(|(lane, _)| name(*lane)).collect();
    let listeners: Vec<_> = names
        .iter()
        .zip(&lanes)
        .map(|(name, (lane, _))| (name.as_str(), FIRST_PORT + lane, None))
        .collect();
    let mut manifests = vec![gateway_on(&listeners)];
    for (name, (_, recorder)) in names.iter().zip(&lanes) {
        manifests.push(backend(name, &[recorder.address]));
        manifests.push(route(name));
    }
    site.apply(&manifests).await?;
    Ok(site)
}

fn name(lane: u16) -> String {
    format!("lane-{lane}")
}

fn listener(lane: u16) -> String {
    format!("listener/default/edge/{}", name(lane))
}

/// Everything of one listener, whatever its Host, to the backend of the same name.
fn route(lane: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": lane},
        "spec": {
            "parentRefs": [{"name": "edge", "sectionName": lane}],
            "rules": [{"name": "all", "backendRefs": [{"name": lane}]}],
        },
    })
}
