//! How proxies get on: what they apply, refuse and see, and which view they have.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::{HistoryId, Position, Revision};
use sluice_proto::v1;
use tokio::time::Instant;

use super::member::{self, Member};
use super::refusal::Refused;
use super::registry::{Fleet, Known, StreamId, find};
use super::timing::Timings;
use crate::compile::ViewKey;
use crate::live::{Published, Version};
use crate::store::UnixMillis;

/// Warnings of a proxy that are kept.
const MAX_WARNINGS: usize = 100;

impl Fleet {
    /// The proxy on `stream` has another view now.
    pub(super) fn viewed(&self, stream: StreamId, view: ViewKey, now: Instant) {
        let mut known = self.lock();
        if let Some((_, member)) = known.find(stream) {
            member.view = view.clone();
            member.here = now;
            member.refusal = None;
            self.want(view);
            known.unsaid.standing();
        }
        drop(known);
        self.announce();
    }

    /// The proxy on `stream` runs `target` now.
    pub(super) fn applied(
        &self,
        stream: StreamId,
        ack: v1::Ack,
        target: (HistoryId, Position),
        published: &Published,
        now: Instant,
    ) {
        let mut known = self.lock();
        known.observe(published, now);
        let Known {
            members,
            streams,
            timings,
            verdicts,
            unsaid,
            ..
        } = &mut *known;
        let Some((id, member)) = find(members, streams, stream) else {
            return;
        };
        unsaid.standing();
        if ack.listeners != member.listeners || ack.warnings != member.warnings {
            unsaid.roster(id);
        }
        let before = member.holds.replace(target);
        let (history, position) = target;
        // What it was sent instead of what it refused does not make that good.
        let is_over = |refused: &mut Refused| !refused.outlasts(history, position.revision);
        member.refusal.take_if(is_over);
        member.build_us = ack.build_us;
        member.warnings = ack.warnings;
        member.warnings.truncate(MAX_WARNINGS);
        if member::are_presentable(&ack.listeners) {
            member.listeners = ack.listeners;
        }
        timings.moved_within(member, before, published, now);
        let version = published.find_in(&member.view, history, position);
        let sent = |version: &Arc<Version>| version.at.max(member.here);
        member.took = version.map_or(Duration::ZERO, |version| {
            now.saturating_duration_since(sent(version))
        });
        let version = || version.cloned();
        verdicts.accepted(&member.view, (history, position.revision), version);
        drop(known);
        self.announce();
    }

    /// The proxy on `stream` refused `revision`.
    pub(super) fn refused(
        &self,
        stream: StreamId,
        nack: v1::Nack,
        (history, revision): (HistoryId, Revision),
        at: UnixMillis,
    ) {
        let refused = Refused::new(nack, history, revision, at);
        let mut guard = self.lock();
        let known = &mut *guard;
        let Some((id, member)) = find(&mut known.members, &known.streams, stream) else {
            return;
        };
        tracing::warn!(proxy = id, %revision, violations = ?refused.words.violations(), "revision refused");
        if !refused.retrying {
            known.verdicts.refused(&member.view, history, revision);
        }
        // Who went back from a revision and refuses the one before, too, still lacks the newer one.
        let stays = |before: &Refused| before.outlasts(history, revision);
        if !member.refusal.as_ref().is_some_and(stays) {
            let refused = Refused {
                words: known.words.keep(refused.words.clone()),
                ..refused
            };
            member.refusal = Some(refused.since(member.refusal.as_ref()));
        }
        known.unsaid.standing();
        drop(guard);
        self.announce();
    }

    /// What the proxy on `stream` saw in the last second.
    pub(super) fn reported(&self, stream: StreamId, mut report: v1::Report) {
        let samples = report.samples.take();
        let mut known = self.lock();
        let Some((id, member)) = known.find(stream) else {
            return;
        };
        let sampled = samples.map(|samples| (id.to_owned(), member.view.clone(), samples));
        known.traffic.add(&report.traffic);
        if let Some((_, member)) = known.find(stream) {
            member.telemetry.fold(report);
            if member.telemetry.endpoints.lacking().is_some() {
                known.recounts.add(stream);
            }
        }
        let fleet = known.members.len();
        drop(known);
        if let Some((proxy, view, samples)) = sampled {
            self.samples().fold(&proxy, &view, fleet, samples);
        }
    }
}

impl Timings {
    /// Times the way of `member` from what it held before to what it holds now.
    pub(super) fn moved_within(
        &mut self,
        member: &Member,
        before: Option<(HistoryId, Position)>,
        published: &Published,
        now: Instant,
    ) {
        let history = published.version.history;
        let before = before
            .filter(|(held, _)| *held == history)
            .map(|(_, position)| position.revision);
        if let Some(revision) = member.revision_in(history) {
            self.moved(member.joined, before, revision, now);
        }
    }
}
