//! What happened: counted by each worker for itself, added up on the control thread.
//!
//! A worker's counters are plain integers that nobody else sees. The control thread asks for them
//! once a second, and before every scrape, and gets what is new since it last asked.

mod metrics;
mod sketch;
mod text;
mod totals;

use std::{collections::BTreeMap, sync::Arc};

use sluice_model::Key;

pub(crate) use self::{
    metrics::{Facts, render},
    sketch::Sketch,
    totals::Totals,
};
use crate::{request::Reason, sampling::Reservoir, tls::Handshakes};

/// What traffic is counted by.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RouteLabel {
    /// The rule; `None` for requests that met none.
    pub(crate) rule: Option<Key>,
    /// The variant of its experiment.
    pub(crate) variant: Option<Box<str>>,
}

impl RouteLabel {
    /// `NAMESPACE/NAME` of the route; empty without one.
    pub(crate) fn route(&self) -> &str {
        self.rule.as_ref().map_or("", Key::owner)
    }

    /// The rule's key; empty without one.
    pub(crate) fn rule(&self) -> &str {
        self.rule.as_ref().map_or("", Key::as_str)
    }

    /// The variant's name; empty outside experiments.
    pub(crate) fn variant(&self) -> &str {
        self.variant.as_deref().unwrap_or("")
    }
}

/// Requests of one rule and variant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// By class of the status: 1xx to 5xx; requests that got no answer stand with 4xx as 499.
    pub(crate) classes: [u64; 5],
    /// Answers of 500 and above, and answers that broke off for which the client is not to blame.
    pub(crate) failures: u64,
    /// From the request's head to the end of its answer.
    pub(crate) latency: Sketch,
}

impl Traffic {
    pub(crate) fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.classes.iter_mut().zip(other.classes) {
            *sum += more;
        }
        self.failures += other.failures;
        self.latency.merge(&other.latency);
    }
}

/// Requests that went wrong, by [`Reason::index`].
#[derive(Clone, Debug)]
pub(crate) struct Reasons(pub(crate) [u64; Reason::COUNT]);

impl Default for Reasons {
    fn default() -> Self {
        Self([0; Reason::COUNT])
    }
}

/// What a worker counts besides traffic by route. Only ever grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// Requests that went wrong, by [`Reason`].
    pub(crate) reasons: Reasons,
    /// TLS handshakes with clients.
    pub(crate) handshakes: Handshakes,
    /// Client connections taken.
    pub(crate) accepted: u64,
    /// Client connections closed at once, as there were too many.
    pub(crate) refused: u64,
    /// Client connections turned away, as their listener or client had too many; without a key, before
    /// anybody knew which of its port's listeners they were for.
    pub(crate) over_limit: BTreeMap<Option<Key>, u64>,
    /// Client connections closed, as their client took an answer too slowly.
    pub(crate) slow_readers: u64,
    /// Upstream connections made.
    pub(crate) connects: u64,
    /// Requests sent on an upstream connection that was there already.
    pub(crate) reused: u64,
    /// Requests sent a second time.
    pub(crate) retries: u64,
    /// Connections upgraded to another protocol.
    pub(crate) upgrades: u64,
    /// Copies of requests sent to mirrors.
    pub(crate) mirrored: u64,
    /// Copies that were given up, as there were too many or their backend was too slow.
    pub(crate) mirrors_dropped: u64,
    /// Bytes of request bodies.
    pub(crate) request_bytes: u64,
    /// Bytes of response bodies.
    pub(crate) response_bytes: u64,
    /// Lines of the access log that found no room.
    pub(crate) dropped_log_lines: u64,
    /// Ejections of endpoints.
    pub(crate) ejections: u64,
    /// Requests that were told what became of them.
    pub(crate) debug_told: u64,
    /// Requests with one that did not.
    pub(crate) debug_ignored: u64,
}

impl Counters {
    fn merge(&mut self, other: &Self) {
        for (sum, more) in self.reasons.0.iter_mut().zip(other.reasons.0) {
            *sum += more;
        }
        self.handshakes.merge(&other.handshakes);
        self.accepted += other.accepted;
        self.refused += other.refused;
        for (listener, more) in &other.over_limit {
            *self.over_limit.entry(listener.clone()).or_default() += more;
        }
        self.slow_readers += other.slow_readers;
        self.connects += other.connects;
        self.reused += other.reused;
        self.retries += other.retries;
        self.upgrades += other.upgrades;
        self.mirrored += other.mirrored;
        self.mirrors_dropped += other.mirrors_dropped;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.dropped_log_lines += other.dropped_log_lines;
        self.ejections += other.ejections;
        self.debug_told += other.debug_told;
        self.debug_ignored += other.debug_ignored;
    }
}

/// What a worker has right now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gauges {
    /// Open client connections.
    pub(crate) connections: u64,
    /// Requests under way.
    pub(crate) requests: u64,
    /// Idle upstream connections.
    pub(crate) idle_upstream: u64,
    /// Upgraded connections.
    pub(crate) upgraded: u64,
}

/// What one worker counted since it was last asked.
#[derive(Debug)]
pub(crate) struct Delta {
    /// Which worker.
    pub(crate) worker: usize,
    /// Which question this answers.
    pub(crate) ticket: u64,
    pub(crate) traffic: Vec<(Arc<RouteLabel>, Traffic)>,
    pub(crate) counters: Counters,
    pub(crate) gauges: Gauges,
    pub(crate) sampled: Reservoir,
}
