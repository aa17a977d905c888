//! How the sources are doing, for those who ask: conditions of Backends, and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::compile::Source;

/// Longest complaint that is kept, in characters: what others wrote may be in it.
const COMPLAINT: usize = 300;

/// How every source is doing. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    sources: BTreeMap<Source, SourceStatus>,
    /// What was counted of sources that are not followed any more, of DNS and of etcd.
    past: [Totals; 2],
}

/// How one source is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Whether it can be asked.
    pub state: SourceState,
    /// Endpoints that it knew when it last answered.
    pub endpoints: usize,
    /// Answers that were other than the one before.
    pub updates: u64,
    /// Times that it could not be asked.
    pub errors: u64,
    /// Values in it now that are no endpoints.
    pub skipped: usize,
    /// What is wrong, for a person: why it cannot be asked, or the first of the skipped values.
    pub complaint: Option<String>,
}

/// Whether a source can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceState {
    /// It has not answered yet.
    #[default]
    Pending,
    /// It has answered, and is followed.
    Up,
    /// It does not answer: what it knew before stays.
    Down,
}

/// All sources of one kind together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sources that are followed.
    pub up: u64,
    /// Sources that do not answer, or have not yet.
    pub down: u64,
    /// Endpoints that they know.
    pub endpoints: u64,
    /// Values that are no endpoints.
    pub skipped: u64,
    /// Answers that were other than the one before. Counts on when a source is given up.
    pub updates: u64,
    /// Times that one could not be asked. Counts on when a source is given up.
    pub errors: u64,
}

impl Board {
    /// How `source` is doing; `None` when it is not followed.
    pub fn status(&self, source: &Source) -> Option<SourceStatus> {
        self.lock().sources.get(source).cloned()
    }

    /// All sources of DNS, and all of etcd.
    pub fn totals(&self) -> [(&'static str, Totals); 2] {
        let listed = self.lock();
        let mut totals = listed.past;
        for (source, status) in &listed.sources {
            let of = &mut totals[kind(source)];
            match status.state {
                SourceState::Up => of.up += 1,
                SourceState::Pending | SourceState::Down => of.down += 1,
            }
            of.endpoints += status.endpoints as u64;
            of.skipped += status.skipped as u64;
            of.count(status);
        }
        let [dns, etcd] = totals;
        [("dns", dns), ("etcd", etcd)]
    }

    /// Lists exactly `sources`, those that were listed as they are.
    pub(super) fn list(&self, sources: &BTreeSet<Source>) {
        let mut listed = self.lock();
        let Listed { sources: known, past } = &mut *listed;
        known.retain(|source, status| {
            let stays = sources.contains(source);
            if !stays {
                past[kind(source)].count(status);
            }
            stays
        });
        for source in sources {
            known.entry(source.clone()).or_default();
        }
    }

    /// `source` answered: it knows `endpoints`, which is news or not, and `skipped` values that are none,
    /// the first of which for the reason of `complaint`.
    pub(super) fn answered(
        &self,
        source: &Source,
        endpoints: usize,
        is_news: bool,
        skipped: usize,
        complaint: Option<String>,
    ) {
        let complaint = complaint.map(|text| cut(&text));
        self.change(source, |status| {
            status.state = SourceState::Up;
            status.endpoints = endpoints;
            status.updates += u64::from(is_news);
            status.skipped = skipped;
            if let (Some(text), true) = (&complaint, complaint != status.complaint) {
                tracing::warn!(
                    source = source.identity(),
                    skipped,
                    complaint = text,
                    "not all values are endpoints"
                );
            }
            status.complaint = complaint;
        });
    }

    /// These sources cannot be asked, for one reason. Logged in one line, when they could be before.
    pub(super) fn failed<'a>(&self, sources: impl IntoIterator<Item = &'a Source>, complaint: &str) {
        let complaint = cut(complaint);
        let (mut first, mut count) = (None, 0usize);
        for source in sources {
            self.change(source, |status| {
                if status.state != SourceState::Down {
                    first.get_or_insert(source);
                    count += 1;
                }
                status.state = SourceState::Down;
                status.errors += 1;
                status.complaint = Some(complaint.clone());
            });
        }
        if let Some(source) = first {
            tracing::warn!(
                source = source.identity(),
                count,
                complaint,
                "sources of endpoints do not answer; what they knew stays"
            );
        }
    }

    fn change(&self, source: &Source, change: impl FnOnce(&mut SourceStatus)) {
        if let Some(status) = self.lock().sources.get_mut(source) {
            change(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn count(&mut self, status: &SourceStatus) {
        self.updates += status.updates;
        self.errors += status.errors;
    }
}

/// The place of a source's kind among the totals.
fn kind(source: &Source) -> usize {
    usize::from(matches!(source, Source::Etcd(_)))
}

fn cut(text: &str) -> String {
    text.chars().take(COMPLAINT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_go_up_and_gauges_are_of_what_is_followed() {
        let board = Board::default();
        let (one, other) = (Source::Addresses("a".into()), Source::Services("b".into()));
        board.list(&BTreeSet::from([one.clone(), other.clone()]));
        board.answered(&one, 3, true, 1, Some("bad".into()));
        board.failed([&one], "away");
        board.answered(&other, 2, true, 0, None);
        let [(_, dns), (_, etcd)] = board.totals();
        assert_eq!((dns.up, dns.down, dns.endpoints, dns.skipped), (1, 1, 5, 1));
        assert_eq!((dns.updates, dns.errors), (2, 1));
        assert_eq!(etcd, Totals::default());
        board.list(&BTreeSet::from([other]));
        let [(_, dns), _] = board.totals();
        assert_eq!((dns.up, dns.down, dns.endpoints), (1, 0, 2));
        assert_eq!((dns.updates, dns.errors), (2, 1));
        // Who reports late of what is not followed any more is not listed again by that.
        board.failed([&one], "away");
        assert_eq!(board.status(&one), None);
    }
}
