//! Where a proxy is with what is live, in one word, and how many are where.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::{HistoryId, Revision};
use tokio::time::Instant;

use super::member::Member;
use crate::store::UnixMillis;

/// Where a proxy is with what is live: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProxyStatus {
    /// It counts, and runs the newest revision.
    Current,
    /// It counts, lacks a revision, and has refused none that is newer than what it runs.
    Behind,
    /// It counts, and has refused something that is newer than what it runs.
    Refused,
    /// It does not count any more: it has been away for 15 seconds or longer.
    Lost,
}

/// The text is no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a status is `current`, `behind`, `refused` or `lost`")]
pub struct ProxyStatusError;

impl ProxyStatus {
    /// Every status, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Current, Self::Behind, Self::Refused, Self::Lost];

    pub(super) fn of(member: &Member, head: (HistoryId, Revision), now: Instant) -> Self {
        if !member.is_live(now) {
            Self::Lost
        } else if member.refusal.is_some() {
            Self::Refused
        } else if member.revision_in(head.0) < Some(head.1) {
            Self::Behind
        } else {
            Self::Current
        }
    }

    /// As it is written in JSON, in queries and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

impl FromStr for ProxyStatus {
    type Err = ProxyStatusError;

    fn from_str(text: &str) -> Result<Self, ProxyStatusError> {
        let mut all = Self::ALL.into_iter();
        all.find(|status| status.name() == text).ok_or(ProxyStatusError)
    }
}

/// How many proxies are where. `proxies` = `current` + `behind` + `refused` + `lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FleetSummary {
    /// All that are known.
    pub proxies: usize,
    /// Those whose stream stands.
    pub connected: usize,
    /// Those that run the newest revision.
    pub current: usize,
    /// Those that lack a revision and have refused nothing.
    pub behind: usize,
    /// Those that have refused something that is newer than what they run.
    pub refused: usize,
    /// Those that do not count any more.
    pub lost: usize,
    /// Since when the one that counts and lacks a revision for longest lacks one, in milliseconds since
    /// 1970; absent when none does. One that refused may be it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind_since_ms: Option<u64>,
}

impl FleetSummary {
    /// Counts one proxy, which lacks a revision since `behind_since`.
    pub(super) fn count(&mut self, status: ProxyStatus, connected: bool, behind_since: Option<UnixMillis>) {
        self.proxies += 1;
        self.connected += usize::from(connected);
        *self.of_mut(status) += 1;
        if status != ProxyStatus::Lost {
            self.lag(behind_since.map(|since| since.0));
        }
    }

    /// Adds other proxies.
    pub(super) fn add_up(&mut self, other: &Self) {
        self.proxies += other.proxies;
        self.connected += other.connected;
        for status in ProxyStatus::ALL {
            *self.of_mut(status) += other.of(status);
        }
        self.lag(other.behind_since_ms);
    }

    /// Those of one status.
    pub fn of(&self, status: ProxyStatus) -> usize {
        match status {
            ProxyStatus::Current => self.current,
            ProxyStatus::Behind => self.behind,
            ProxyStatus::Refused => self.refused,
            ProxyStatus::Lost => self.lost,
        }
    }

    fn of_mut(&mut self, status: ProxyStatus) -> &mut usize {
        match status {
            ProxyStatus::Current => &mut self.current,
            ProxyStatus::Behind => &mut self.behind,
            ProxyStatus::Refused => &mut self.refused,
            ProxyStatus::Lost => &mut self.lost,
        }
    }

    fn lag(&mut self, since: Option<u64>) {
        self.behind_since_ms = [self.behind_since_ms, since].into_iter().flatten().min();
    }
}
