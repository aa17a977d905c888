//! Identities and units of the store.

use sluice_model::{CommitId, HistoryId, Revision};
use uuid::Uuid;

/// A revision together with the history that it counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Which line of commits.
    pub history: HistoryId,
    /// How far along it.
    pub revision: Revision,
}

/// Wall-clock time in milliseconds since the Unix epoch, given by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub u64);

/// The revision of the empty store; stored where there is none.
pub(super) const NO_REVISION: Revision = Revision(0);

/// A fresh history (random, UUID version 4).
pub(super) fn random_history() -> HistoryId {
    HistoryId(Uuid::new_v4().into_bytes())
}

/// Reads what [`HistoryId`] displays.
pub(super) fn parse_history(hex: &str) -> Option<HistoryId> {
    Uuid::try_parse(hex).ok().map(|id| HistoryId(id.into_bytes()))
}

/// Marks one attempt to write, so that its fate can be looked up when the connection
/// is lost during COMMIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WriteId(String);

impl WriteId {
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    pub(super) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The commit that the write became. Where nothing was written there is none.
    pub(super) fn commit(&self) -> CommitId {
        match self.as_str() {
            "" => CommitId::UNKNOWN,
            name => CommitId::of(name),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_back_from_its_text() {
        let history = random_history();
        assert_eq!(parse_history(&history.to_string()), Some(history));
        assert_eq!(parse_history("not a history"), None);
    }
}
