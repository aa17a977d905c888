//! Where a newcomer starts: at the newest revision that proxies of its view accepted. What one of them
//! refused is not for a process that has nothing else to serve from.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;
use std::sync::Arc;

use sluice_model::{HistoryId, Revision};

use crate::compile::ViewKey;
use crate::live::Version;
use crate::store::Fallback;

/// Revisions of one view that are kept, accepted ones and refused ones each.
const KEPT: usize = 8;

/// Views that anything is known of; past it the first are forgotten.
const MAX_VIEWS: usize = 256;

/// What became of recent revisions, by view.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    history: Option<HistoryId>,
    views: BTreeMap<ViewKey, Verdict>,
}

#[derive(Debug, Default)]
struct Verdict {
    /// Run by a proxy, now or before.
    accepted: BTreeMap<Revision, Arc<Version>>,
    /// Refused by a proxy, and not for a fault of its own.
    refused: BTreeSet<Revision>,
}

impl Verdicts {
    /// A proxy of this view runs `version`; looked up only when that is news.
    pub(super) fn accepted(
        &mut self,
        view: &ViewKey,
        (history, revision): (HistoryId, Revision),
        version: impl FnOnce() -> Option<Arc<Version>>,
    ) {
        let verdict = self.of(history, view);
        let newest = verdict.accepted.last_key_value();
        if newest.is_none_or(|(newest, _)| *newest < revision)
            && let Some(version) = version()
        {
            verdict.accept(revision, version);
        }
    }

    /// A proxy of this view refused `revision`, and not for a fault of its own.
    pub(super) fn refused(&mut self, view: &ViewKey, history: HistoryId, revision: Revision) {
        self.of(history, view).refuse(revision);
    }

    /// What the store has of this view. Whether the version that was good is not known, nor one after it.
    pub(super) fn hear(&mut self, view: &ViewKey, history: HistoryId, fallback: Fallback) -> bool {
        let verdict = self.of(history, view);
        verdict.refuse(Revision(fallback.refused));
        let mut since = verdict.accepted.range(Revision(fallback.good)..);
        !since.any(|(revision, _)| !verdict.refused.contains(revision))
    }

    /// What was good for this view before, as the store has it.
    pub(super) fn adopt(&mut self, view: &ViewKey, fallback: Fallback, version: Arc<Version>) {
        let verdict = self.of(version.history, view);
        verdict.accept(Revision(fallback.good), version);
        verdict.refuse(Revision(fallback.refused));
    }

    /// The newest version of this view `among` those that were accepted which is good: one that was
    /// refused, too, is when `is_usual` says that most run it.
    pub(super) fn good(
        &self,
        view: &ViewKey,
        history: HistoryId,
        among: impl RangeBounds<Revision>,
        is_usual: impl Fn(Revision) -> bool,
    ) -> Option<&Arc<Version>> {
        let verdict = self.views.get(view).filter(|_| self.history == Some(history))?;
        let newest_first = verdict.accepted.range(among).rev();
        let mut good =
            newest_first.filter(|(revision, _)| !verdict.refused.contains(revision) || is_usual(**revision));
        good.next().map(|(_, version)| version)
    }

    /// The views whose newest refusal still stands, and where their newcomers start.
    pub(super) fn fallbacks(
        &self,
        history: HistoryId,
        is_usual: impl Fn(&ViewKey, Revision) -> bool,
    ) -> BTreeMap<ViewKey, Fallback> {
        let fallback = |(view, verdict): (&ViewKey, &Verdict)| {
            let good = self.good(view, history, .., |revision| is_usual(view, revision))?;
            let (good, refused) = (good.position.revision.0, verdict.refused.last()?.0);
            (good < refused).then(|| (view.clone(), Fallback { good, refused }))
        };
        self.views.iter().filter_map(fallback).collect()
    }

    /// Lets go of views that `is_kept` does not know any more, unless a refusal still stands.
    pub(super) fn retain(&mut self, is_kept: impl Fn(&ViewKey) -> bool) {
        self.views.retain(|view, verdict| {
            let newest = verdict.accepted.last_key_value().map(|(revision, _)| revision);
            is_kept(view) || verdict.refused.last() > newest
        });
    }

    fn of(&mut self, history: HistoryId, view: &ViewKey) -> &mut Verdict {
        if self.history.replace(history) != Some(history) {
            self.views.clear();
        }
        if self.views.len() >= MAX_VIEWS && !self.views.contains_key(view) {
            self.views.pop_first();
        }
        self.views.entry(view.clone()).or_default()
    }
}

impl Verdict {
    fn accept(&mut self, revision: Revision, version: Arc<Version>) {
        self.accepted.insert(revision, version);
        while self.accepted.len() > KEPT {
            self.accepted.pop_first();
        }
    }
    fn refuse(&mut self, revision: Revision) {
        self.refused.insert(revision);
        while self.refused.len() > KEPT {
            self.refused.pop_first();
        }
    }
}
