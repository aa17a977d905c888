//! What a change would do before it is made: to requests, to users, to the fleet, to what else there is.
//!
//! The worlds before and after are compiled by the code that compiles live ones, and compared by the code
//! that routes live requests ([`sluice_core::diff`]), so what is predicted is what happens.

mod part;
mod replay;
mod samples;
pub(crate) mod schema;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::Snapshot;
use sluice_core::diff::{Bounds, Diff, diff};
use sluice_intent::{Kind, Labels};
use sluice_model::{CommitId, Violation};
use sluice_tls::Signer;
use tokio::time::Instant;

pub use replay::{Feed, Malformed, TrafficReplay, replay};
pub use samples::{Interval, Margin, Sampled, SampledTraffic, ViewTraffic, replay_samples};

use crate::compile::{ViewKey, World};
use crate::fleet::push_bytes;
use crate::live::{ChangeReport, Proposal, Version};

/// Most views that are compared; a fleet has at most so many.
const MAX_VIEWS: usize = crate::live::MAX_VIEWS;
/// Resources and warnings that are named.
const MAX_NAMED: usize = 100;
/// What one proxy should have to take at once: with it, a thousand proxies are a GiB.
const PUSH_BUDGET: u64 = 1024 * 1024;
/// What the control plane should have to send at once: at 1 Gbit/s that is 8 s.
const FLEET_BUDGET: u64 = 1024 * 1024 * 1024;

/// What a change would do.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The revision that it was judged against. With it as `baseRevision`, an apply is refused if what it touches
    /// has changed since.
    pub base: u64,
    /// The revision that it would be.
    pub revision: u64,
    /// What would happen to each resource.
    pub changes: Vec<ChangeReport>,
    /// What would happen to requests, for each part of the fleet.
    pub views: Vec<ViewPlan>,
    /// Parts of the fleet that were not compared, for want of room.
    pub views_omitted: usize,
    /// `KIND/NAMESPACE/NAME` of what nothing would refer to any more; at most 100.
    pub orphaned: Vec<String>,
    /// Certificates and lists that have expired or soon will, of everything that would be there; at most 100.
    #[schemars(with = "Vec<schema::Warning>")]
    pub certificates: Vec<Violation>,
    /// What is allowed but probably not meant.
    #[schemars(with = "Vec<schema::Warning>")]
    pub warnings: Vec<Violation>,
    /// Bounds that the push would come near, and whether it would break them.
    pub budgets: Vec<Budget>,
}

/// What a change would do on the proxies that have one view before it and one after it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ViewPlan {
    /// The proxy selectors that their labels match now.
    pub selectors: Vec<String>,
    /// Those that they would match.
    pub selectors_after: Vec<String>,
    /// How many such proxies there are.
    pub proxies: usize,
    /// Bytes that each of them would get, as it travels; without those of HTTP/2 and TLS.
    pub push_bytes: u64,
    /// Requests whose outcome would change.
    #[schemars(with = "schema::Requests")]
    pub requests: Diff,
}

/// A bound, and how near the push would come.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Of what.
    pub name: &'static str,
    /// The bound, in bytes.
    pub limit: u64,
    /// What is predicted.
    pub predicted: u64,
    /// Whether that is more.
    pub is_broken: bool,
}

/// The plan of `proposal` for a fleet of proxies with these `labels`.
///
/// # Errors
/// What the snapshot of a view refuses.
pub fn plan(proposal: &Proposal, labels: &[Labels], signer: Option<&Signer>) -> Result<Plan, Vec<Violation>> {
    let (before, after) = (&proposal.before, &proposal.changed.world);
    let parts = parts(before, after, labels);
    let views_omitted = parts.len().saturating_sub(MAX_VIEWS);
    let bounds = shared(parts.len().min(MAX_VIEWS));
    let views = parts.into_iter().take(MAX_VIEWS);
    let views: Vec<_> = views
        .map(|(keys, proxies)| view([before, after], keys, proxies, (&bounds, signer)))
        .collect::<Result<_, _>>()?;
    let touched = proposal.changed.actions.iter().map(|(id, _)| id);
    let orphans = before.orphans(after, touched).into_iter();
    Ok(Plan {
        base: before.revision().0,
        revision: after.revision().0,
        changes: proposal.reports(),
        budgets: budgets(&views),
        views,
        views_omitted,
        orphaned: orphans.take(MAX_NAMED).map(|id| id.to_string()).collect(),
        certificates: certificates(after),
        warnings: proposal.changed.warnings.clone(),
    })
}

/// The views that proxies have before and after, and how many have them. That of proxies which match no
/// selector is always one, and so is each that is kept.
fn parts(before: &World, after: &World, labels: &[Labels]) -> BTreeMap<[ViewKey; 2], usize> {
    let kept = before.views().chain(after.views()).map(|(key, _)| key);
    let known = |world: &World, key: &ViewKey| world.view(key).is_some();
    let both = kept.filter(|key| known(before, key) && known(after, key));
    let mut parts: BTreeMap<_, _> = both.map(|key| ([key.clone(), key], 0)).collect();
    for labels in labels {
        *parts
            .entry([before, after].map(|world| world.view_of(labels)))
            .or_default() += 1;
    }
    parts
}

fn view(
    worlds: [&World; 2],
    keys: [ViewKey; 2],
    proxies: usize,
    (bounds, signer): (&Bounds, Option<&Signer>),
) -> Result<ViewPlan, Vec<Violation>> {
    let [before, after] = [worlds[0].snapshot_of(&keys[0])?, worlds[1].snapshot_of(&keys[1])?];
    // Which commit it will be is not known, but it takes the same bytes.
    let version = |world: &World, snapshot: &Snapshot| Version {
        commit: CommitId::of("proposal"),
        ..Version::of(world, snapshot, Instant::now())
    };
    let is_same = before.position().config == after.position().config;
    let push = match is_same {
        true => 0,
        false => push_bytes(&version(worlds[0], &before), &version(worlds[1], &after), signer),
    };
    Ok(ViewPlan {
        selectors: selectors(&keys[0]),
        selectors_after: selectors(&keys[1]),
        proxies,
        push_bytes: push as u64,
        requests: diff(&before, &after, bounds),
    })
}

/// The selectors that make a view, as they are written.
fn selectors(key: &ViewKey) -> Vec<String> {
    key.selectors().iter().map(ToString::to_string).collect()
}

/// What each of so many views may cost, so that all of them together cost what one may.
fn shared(views: usize) -> Bounds {
    let (whole, views) = (Bounds::default(), views.max(1));
    Bounds {
        work: whole.work / views as u64,
        bytes: whole.bytes / views as u64,
        all_states: whole.all_states / views,
        classes: whole.classes / views,
        ..whole
    }
}

fn certificates(world: &World) -> Vec<Violation> {
    let kinds = [Kind::Secret, Kind::ConfigMap].into_iter();
    let sources = kinds.flat_map(|kind| world.of_kind(kind, None));
    let warnings = sources.flat_map(|intent| world.warnings(intent));
    warnings.take(MAX_NAMED).collect()
}

fn budgets(views: &[ViewPlan]) -> Vec<Budget> {
    let each = views.iter().map(|view| view.push_bytes).max().unwrap_or(0);
    let all = views
        .iter()
        .map(|view| view.push_bytes.saturating_mul(view.proxies as u64));
    let budget = |name, limit, predicted| Budget {
        name,
        limit,
        predicted,
        is_broken: predicted > limit,
    };
    vec![
        budget("pushBytesPerProxy", PUSH_BUDGET, each),
        budget("pushBytesOfFleet", FLEET_BUDGET, all.fold(0, u64::saturating_add)),
    ]
}
