//! Requests that were made, against what a change would make of them.

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::diff::replay::{Replay, ReplayBounds, Replayed, Sample};
use sluice_intent::Labels;
use sluice_model::Violation;

use super::{SampledTraffic, schema, selectors};
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
    /// The proxy selectors that the labels asked for match now; absent for samples, which are of all views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selectors: Option<Vec<String>>,
    /// Those that they would match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selectors_after: Option<Vec<String>>,
    /// Of samples that proxies made: where they come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<SampledTraffic>,
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
    pub(super) replay: Replay<'a>,
    pub(super) malformed: Malformed,
}

impl Feed<'_> {
    /// Replays one kind of request.
    pub fn sample(&mut self, sample: &Sample<'_>) {
        self.replay.add(sample);
    }

    /// Counts `weight` requests that cannot be read; `why` says what they are.
    pub fn malformed(&mut self, weight: u64, why: impl FnOnce() -> String) {
        let Malformed { requests, examples } = &mut self.malformed;
        *requests = requests.saturating_add(weight);
        if examples.len() < MAX_MALFORMED {
            examples.push(why());
        }
    }
}

impl TrafficReplay {
    /// What `traffic` says of `proposal`.
    pub(super) fn of(proposal: &Proposal, mut traffic: Replayed, malformed: Malformed) -> Self {
        traffic.classes.truncate(MAX_CLASSES);
        Self {
            base: proposal.before.revision().0,
            revision: proposal.changed.world.revision().0,
            selectors: None,
            selectors_after: None,
            sampled: None,
            traffic,
            malformed,
            warnings: proposal.changed.warnings.clone(),
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
        replay: Replay::new(&before, &after, ReplayBounds::default()),
        malformed: Malformed::default(),
    };
    feed(&mut fed);
    let told = TrafficReplay::of(proposal, fed.replay.finish(), fed.malformed);
    Ok(TrafficReplay {
        selectors: Some(selectors(&keys[0])),
        selectors_after: Some(selectors(&keys[1])),
        ..told
    })
}
