//! Where proxies start that hold nothing: at what those of all replicas accept.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_model::{HistoryId, Revision};
use tokio::time::Instant;

use super::member::Member;
use super::parking::Parked;
use super::refusal::Refused;
use super::registry::{Fleet, Known, StreamId};
use crate::compile::ViewKey;
use crate::live::{Published, Version};
use crate::store::Fallback;

impl Fleet {
    /// Where newcomers of views start whose newest revision is refused.
    pub(super) fn fallbacks(&self, published: &Published, now: Instant) -> BTreeMap<ViewKey, Fallback> {
        let mut known = self.lock();
        known.judge(published);
        let history = published.version.history;
        let is_usual = |view: &ViewKey, revision| known.is_usual(view, history, revision, now);
        known.verdicts.fallbacks(history, is_usual)
    }

    /// Takes note of a refusal that another replica tells of, or a process before this one; whether what
    /// was good before that is not known here.
    pub(super) fn lacks(&self, view: &ViewKey, fallback: Fallback, published: &Published) -> bool {
        let mut known = self.lock();
        known.judge(published);
        known.verdicts.hear(view, published.version.history, fallback)
    }

    /// Newcomers of `view` may start at `version`.
    pub(super) fn adopt(&self, view: &ViewKey, fallback: Fallback, version: Arc<Version>) {
        self.lock().verdicts.adopt(view, fallback, version);
    }

    /// Where the proxy on `stream` goes, which has nothing and refused this revision: to what is good of
    /// those before it, or else to the newest of them that anybody accepted. It never gets the same twice.
    pub(super) fn before(
        &self,
        stream: StreamId,
        Parked { history, revision }: Parked,
        published: &Published,
        now: Instant,
    ) -> Option<Arc<Version>> {
        let mut known = self.lock();
        known.judge(published);
        let view = known.find(stream).map(|(_, member)| member.view.clone())?;
        let is_usual = |revision| known.is_usual(&view, history, revision, now);
        let verdicts = &known.verdicts;
        let good = verdicts.good(&view, history, ..revision, is_usual);
        let any = || verdicts.good(&view, history, ..revision, |_| true);
        good.or_else(any).cloned()
    }
}

impl Known {
    /// Where a newcomer starts, unless that is at the newest revision.
    pub(super) fn start(
        &mut self,
        view: &ViewKey,
        published: &Published,
        now: Instant,
    ) -> Option<Arc<Version>> {
        self.judge(published);
        let history = published.version.history;
        let is_usual = |revision| self.is_usual(view, history, revision, now);
        let good = self.verdicts.good(view, history, .., is_usual)?;
        (good.position.revision < published.revision()).then(|| Arc::clone(good))
    }

    /// Takes in what the proxies of other replicas accepted and refused since the last time.
    fn judge(&mut self, published: &Published) {
        let Self { peers, verdicts, .. } = self;
        let history = published.version.history;
        for member in peers.news(published) {
            let view = &member.view;
            if let Some(revision) = member.revision_in(history) {
                // Its endpoints may be others than here: it is the config that is good.
                let version = || published.first_of(view, history, revision).cloned();
                verdicts.accepted(view, (history, revision), version);
            }
            let parked = member.refusal.as_ref().and_then(Refused::parked);
            if let Some(parked) = parked.filter(|parked| parked.history == history) {
                verdicts.refused(view, history, parked.revision);
            }
        }
    }

    /// Whether most proxies of a view run `revision` or a later one, those of all replicas together.
    fn is_usual(&self, view: &ViewKey, history: HistoryId, revision: Revision, now: Instant) -> bool {
        let of_view = |member: &&Member| member.view == *view && member.is_live(now);
        let runs = |member: &&Member| member.revision_in(history).is_some_and(|held| held >= revision);
        let members = self.all_members(now).filter(of_view);
        let (all, running) = members.fold((0, 0), |(all, running), member| {
            (all + 1, running + usize::from(runs(&member)))
        });
        running * 2 > all
    }

    /// The proxies of all replicas that count, each once.
    pub(super) fn all_members(&self, now: Instant) -> impl Iterator<Item = &Member> {
        let away = self.peers.present(now).flat_map(|peer| peer.visible());
        self.members.values().chain(away.map(|(_, member)| member))
    }
}
