//! Requests that were made, against what a change would make of them.

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::Snapshot;
use sluice_core::diff::replay::{Replay, ReplayBounds, Replayed, Sample, Spelt};
use sluice_intent::Labels;
use sluice_model::Violation;

use super::{schema, selectors};
use crate::live::Proposal;

/// Classes that are told; the numbers are of all.
const MAX_CLASSES: usize = 1_000;
/// Requests that cannot be read and are shown.
const MAX_MALFORMED: usize = 5;

/// What a change would do to requests that were made.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficReplay {
    /// The revision that it was judged against.
    pub base: u64,
    /// The revision that it would be.
    pub revision: u64,
    /// The proxy selectors that the labels asked for match now.
    pub selectors: Vec<String>,
    /// Those that they would match.
    pub selectors_after: Vec<String>,
    /// Of samples that proxies made: since when there are some, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_from_ms: Option<u64>,
    /// What would become of the requests.
    #[schemars(with = "schema::Traffic")]
    pub traffic: Replayed,
    /// Requests that no proxy would have routed.
    pub malformed: Malformed,
    /// What is allowed but probably not meant.
    #[schemars(with = "Vec<schema::Warning>")]
    pub warnings: Vec<Violation>,
}

/// Requests that no proxy would have routed: their host or path cannot be read. They count for nothing else.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Malformed {
    /// How many.
    pub requests: u64,
    /// The first of them, and what is wrong with them; at most 5.
    pub examples: Vec<String>,
}

/// Takes requests, one kind after the other.
#[derive(Debug)]
pub struct Feed<'a> {
    snapshots: [&'a Snapshot; 2],
    selectors: Vec<String>,
    replay: Replay<'a>,
    malformed: Malformed,
    sampled_from: Option<u64>,
}

impl Feed<'_> {
    /// The selectors of the view that requests were made on.
    pub fn selectors(&self) -> &[String] {
        &self.selectors
    }

    /// Values that rules spell out, to be known by their hash under `key`.
    pub fn spelt(&self, key: &[u8; 32]) -> Spelt {
        Spelt::of(self.snapshots, key)
    }

    /// The requests are samples, and some are from this time, in milliseconds since 1970.
    pub fn sampled_from(&mut self, at: u64) {
        self.sampled_from = Some(self.sampled_from.map_or(at, |first| first.min(at)));
    }

    /// Replays one kind of request.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        self.replay.add(sample);
    }

    /// Counts `weight` requests that cannot be read; `why` says what they are.
    pub fn malformed(&mut self, weight: u64, why: impl FnOnce() -> String) {
        self.malformed.requests += weight;
        if self.malformed.examples.len() < MAX_MALFORMED {
            self.malformed.examples.push(why());
        }
    }
}

/// Replays what `feed` brings on proxies with these labels, as they are and as they would be with `proposal`.
///
/// # Errors
/// What the snapshot of a view refuses.
pub fn replay(
    proposal: &Proposal,
    labels: &Labels,
    feed: impl FnOnce(&mut Feed<'_>),
) -> Result<TrafficReplay, Vec<Violation>> {
    let worlds = [&proposal.before, &proposal.changed.world];
    let keys = worlds.map(|world| world.view_of(labels));
    let before = worlds[0].snapshot_of(&keys[0])?;
    let after = worlds[1].snapshot_of(&keys[1])?;
    let mut fed = Feed {
        snapshots: [&before, &after],
        selectors: selectors(&keys[0]),
        sampled_from: None,
        replay: Replay::new(&before, &after, ReplayBounds::default()),
        malformed: Malformed::default(),
    };
    feed(&mut fed);
    let Feed {
        replay,
        malformed,
        sampled_from,
        selectors: before_selectors,
        ..
    } = fed;
    let mut traffic = replay.finish();
    traffic.classes.truncate(MAX_CLASSES);
    Ok(TrafficReplay {
        base: worlds[0].revision().0,
        revision: worlds[1].revision().0,
        selectors: before_selectors,
        selectors_after: selectors(&keys[1]),
        sampled_from_ms: sampled_from,
        traffic,
        malformed,
        warnings: proposal.changed.warnings.clone(),
    })
}
