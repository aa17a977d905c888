//! Receipts: which proxies run a revision, how fast, and who refused it and why.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::{HistoryId, Revision};
use thiserror::Error;
use tokio::time::Instant;

use super::member::Member;
use super::view::RefusalView;

/// Most proxies that a list names; the rest is counted.
const MAX_NAMES: usize = 100;

/// Where the fleet is with one revision. `fleet` = `applied` + `refusedCount` + `pendingCount`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The revision asked for.
    pub revision: u64,
    /// Proxies that count: connected, or away for less than 15 seconds.
    pub fleet: usize,
    /// Those that run this revision or a later one.
    pub applied: usize,
    /// Those that refused it, by id; at most 100 are named.
    pub refused: Vec<Refusal>,
    /// How many refused it.
    pub refused_count: usize,
    /// How many of those try again by themselves: a local fault, such as a port that is taken.
    pub retrying_count: usize,
    /// Those that have neither applied nor refused it, by id; at most 100 are named.
    pub pending: Vec<String>,
    /// How many are pending.
    pub pending_count: usize,
    /// Whether a newer revision is live: this one may be skipped on the way to it.
    pub superseded: bool,
    /// Time from the commit to the acknowledgement, over proxies that were there at the commit.
    /// Absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_ms: Option<AppliedMs>,
}

/// A proxy that refused a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Its id.
    pub proxy: String,
    /// Why, and whether it tries again by itself.
    #[serde(flatten)]
    pub refusal: RefusalView,
}

/// Percentiles over proxies, in milliseconds, at most 1 % off; `max` is exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedMs {
    /// Median.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The slowest proxy.
    pub max: f64,
    /// How many proxies were timed.
    #[serde(default)]
    pub proxies: usize,
}

/// The share of the fleet that has to apply a revision: above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quorum(f64);

/// Not a share of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a quorum is a number above 0 and at most 1")]
pub struct QuorumError;

impl Quorum {
    /// The whole fleet.
    pub const ALL: Self = Self(1.0);

    /// How many of `fleet` proxies are enough. An empty fleet meets no quorum.
    pub fn needed(self, fleet: usize) -> usize {
        // A share such as 0.95 has no exact binary form: without the allowance, 0.95 of 100 would
        // be 96. Fleets are far below 2^52, where f64 ends being exact.
        ((fleet as f64 * self.0 - 1e-9).ceil() as usize).max(1)
    }

    /// Whether waiting longer cannot change the verdict: enough proxies applied it, or so many
    /// refused it for good that enough are not left.
    pub fn is_decided(self, receipt: &Receipt) -> bool {
        let needed = self.needed(receipt.fleet);
        let for_good = receipt.refused_count - receipt.retrying_count;
        receipt.applied >= needed || (receipt.fleet > 0 && receipt.fleet - for_good < needed)
    }
}

impl FromStr for Quorum {
    type Err = QuorumError;

    fn from_str(text: &str) -> Result<Self, QuorumError> {
        match text.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 1.0 => Ok(Self(share)),
            _ => Err(QuorumError),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Receipt {
    /// The receipt of `revision` over `members`, who come by id, without times. `head` is the newest
    /// revision.
    pub(super) fn of<'a>(
        revision: Revision,
        head: (HistoryId, Revision),
        members: impl Iterator<Item = (&'a String, &'a Member)>,
        now: Instant,
    ) -> Self {
        let mut receipt = Self {
            revision: revision.0,
            fleet: 0,
            applied: 0,
            refused: Vec::new(),
            refused_count: 0,
            retrying_count: 0,
            pending: Vec::new(),
            pending_count: 0,
            superseded: revision < head.1,
            applied_ms: None,
        };
        for (id, member) in members.filter(|(_, member)| member.is_live(now)) {
            receipt.add(id, member, revision, head.0);
        }
        receipt
    }

    fn add(&mut self, id: &str, member: &Member, revision: Revision, history: HistoryId) {
        self.fleet += 1;
        if member.revision_in(history).is_some_and(|held| held >= revision) {
            self.applied += 1;
            return;
        }
        // Who refused a later revision refused what leads there.
        match member
            .refusal
            .as_ref()
            .filter(|refusal| refusal.revision >= revision)
        {
            Some(refusal) => {
                self.refused_count += 1;
                self.retrying_count += usize::from(refusal.retrying);
                if self.refused.len() < MAX_NAMES {
                    self.refused.push(Refusal {
                        proxy: id.to_owned(),
                        refusal: refusal.into(),
                    });
                }
            }
            None => {
                self.pending_count += 1;
                if self.pending.len() < MAX_NAMES {
                    self.pending.push(id.to_owned());
                }
            }
        }
    }

    /// Adds the receipt of the same revision over other proxies.
    pub(super) fn add_up(&mut self, other: Self) {
        self.fleet += other.fleet;
        self.applied += other.applied;
        self.refused_count += other.refused_count;
        self.retrying_count += other.retrying_count;
        self.pending_count += other.pending_count;
        // Each list has the first of its proxies, so the first of all are among them.
        self.refused.extend(other.refused);
        self.refused.sort_by(|a, b| a.proxy.cmp(&b.proxy));
        self.refused.truncate(MAX_NAMES);
        self.pending.extend(other.pending);
        self.pending.sort();
        self.pending.truncate(MAX_NAMES);
    }

    /// Whether every proxy has it. An empty fleet has nothing.
    pub fn is_complete(&self) -> bool {
        self.fleet > 0 && self.applied == self.fleet
    }
}
