//! What one proxy has refused, and what it is sent instead.
//!
//! - What is refused is sent exactly once: the config of that revision is parked until the revision
//!   changes. Endpoints go on moving meanwhile, on the config that the proxy has; but only those
//!   that the refused revision did not change itself, so that it is not applied by half.
//! - A proxy that has nothing to serve from goes back instead, from each revision that it refuses to the
//!   newest before that which others accepted, until it accepts one.
//! - A proxy that refuses for a local fault keeps what it was sent and tries by itself. Nothing is
//!   parked then: what comes next takes the place of what it tries.

use std::sync::Arc;

use sluice_model::{HistoryId, Key, Position, Revision};

use crate::compile::ViewKey;
use crate::live::{Published, Version};

/// A revision whose config is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) history: HistoryId,
    pub(super) revision: Revision,
}

/// What one proxy has refused on this stream, or before it.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// What the proxy tries by itself to apply.
    waiting: Option<Arc<Version>>,
    /// What it refused, and will not be sent again.
    refused: Option<Arc<Version>>,
    parked: Option<Parked>,
    /// What it had when it refused, and the version that it refused then.
    from: Option<Arc<Version>>,
    to: Option<Arc<Version>>,
    /// The oldest revision that it refused while it had nothing.
    lowest: Option<Parked>,
    /// Whether it is to go back from there.
    retreats: bool,
}

impl Parking {
    /// The proxy refused this on another stream; what it has is known, or not yet.
    pub(super) fn resume(&mut self, parked: Parked, held: Option<&Arc<Version>>, to: Option<&Arc<Version>>) {
        self.parked = Some(parked);
        (self.from, self.to) = (held.cloned(), to.cloned());
        (self.lowest, self.retreats) = (Some(parked), true);
    }

    /// What the proxy has is known by now.
    pub(super) fn found(&mut self, held: &Arc<Version>) {
        self.from = Some(Arc::clone(held));
    }

    /// The proxy has another view: what it refused was of the one before.
    pub(super) fn clear(&mut self) {
        *self = Self {
            waiting: self.waiting.take(),
            ..Self::default()
        };
    }

    /// Something else is tried, or was answered.
    pub(super) fn stop_waiting(&mut self) {
        self.waiting = None;
    }

    /// The version that the proxy tries by itself, if it is this one: it is tried no more.
    pub(super) fn take_waiting(&mut self, history: HistoryId, position: Position) -> Option<Arc<Version>> {
        self.waiting.take_if(|version| is_at(version, history, position))
    }

    /// The proxy keeps `target` and tries by itself.
    pub(super) fn wait(&mut self, target: Arc<Version>) {
        self.waiting = Some(target);
    }

    /// The proxy refused `target`, for good, on what it `held`.
    pub(super) fn refuse(&mut self, target: Arc<Version>, held: Option<&Arc<Version>>) {
        let here = Parked {
            history: target.history,
            revision: target.position.revision,
        };
        let is_before = |parked: Parked| parked.history == here.history && here.revision < parked.revision;
        if held.is_none() {
            let is_lower = self
                .lowest
                .is_none_or(|lowest| lowest.history != here.history || is_before(lowest));
            if is_lower {
                self.lowest = Some(here);
            }
            self.retreats = true;
            if self.parked.is_some_and(is_before) {
                return;
            }
        }
        if held.is_none_or(|held| held.position.config != target.position.config) {
            self.parked = Some(here);
            (self.from, self.to) = (held.cloned(), Some(Arc::clone(&target)));
        }
        self.refused = Some(target);
    }

    /// The proxy has `version`: nothing before it is parked any more.
    pub(super) fn hold(&mut self, version: &Arc<Version>) {
        let (history, revision) = (version.history, version.position.revision);
        self.parked = self
            .parked
            .filter(|parked| parked.history == history && parked.revision > revision);
        if self.parked.is_none() {
            (self.refused, self.from, self.to) = (None, None, None);
        } else {
            self.from.get_or_insert_with(|| Arc::clone(version));
        }
    }

    /// Whether the proxy said of this before that it does not apply it.
    pub(super) fn has(&self, history: HistoryId, position: Position) -> bool {
        let mut versions = self.waiting.iter().chain(&self.refused);
        versions.any(|version| is_at(version, history, position))
    }

    /// Where the proxy should be when `latest` is newest: there, unless it refused the config of that.
    pub(super) fn target(&self, latest: &Arc<Version>, held: Option<&Arc<Version>>) -> Option<Arc<Version>> {
        let newest = Parked {
            history: latest.history,
            revision: latest.position.revision,
        };
        if self.parked != Some(newest) {
            return Some(Arc::clone(latest));
        }
        let held = held.filter(|held| held.history == latest.history)?;
        let (from, to) = (self.from.as_ref()?, self.to.as_ref()?);
        let untouched = |key: &Key| from.resources.get(key) == to.resources.get(key);
        held.with_runtime_of(latest, untouched).map(Arc::new)
    }

    /// The revision that a proxy without anything goes back from, once after each refusal.
    pub(super) fn retreat(&mut self) -> Option<Parked> {
        self.lowest.filter(|_| std::mem::take(&mut self.retreats))
    }
}

impl Parked {
    /// The version that this revision of a view began with, if it is recent.
    pub(super) fn version(self, view: &ViewKey, published: &Published) -> Option<Arc<Version>> {
        published.first_of(view, self.history, self.revision).cloned()
    }
}

fn is_at(version: &Version, history: HistoryId, position: Position) -> bool {
    version.history == history && version.position == position
}
