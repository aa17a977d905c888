//! Real requests against two snapshots: how many of them a change concerns, in which way, and some that
//! show it.
//!
//! Each request is routed through both by the code that routes live ones. What becomes of it is described
//! once for each pair of rules that meet in a request, not once for each request, so a million of them cost
//! little more than two million lookups.

mod doubt;
mod found;
mod margin;
mod meeting;
mod sample;
mod share;
mod spelt;

use std::collections::HashMap;

use foldhash::fast::FixedState;
use sluice_model::Scheme;
use smallvec::SmallVec;

pub use found::{Example, Found, NotJudged, ReplayClass, Replayed, Totals};
pub use margin::{Interval, effective_size};
pub use sample::{Recorded, Sample, is_credential, sample_key_id, sampled_value};
pub use spelt::Spelt;

use crate::{Matched, RequestView, Snapshot};
use doubt::{Doubt, doubt};
use meeting::{Meeting, Met, Seen};

/// Pairs of rules whose meeting is remembered; past it everything is forgotten and begun anew.
const MAX_MEETINGS: usize = 1_000_000;

/// How much is kept. Past a bound requests are counted as not judged.
#[derive(Clone, Copy, Debug)]
pub struct ReplayBounds {
    /// Bytes of outcomes, about.
    pub bytes: u64,
    /// Classes.
    pub classes: usize,
    /// Examples of one class.
    pub examples: usize,
}

impl Default for ReplayBounds {
    fn default() -> Self {
        Self {
            bytes: 128 * 1024 * 1024,
            classes: 10_000,
            examples: 5,
        }
    }
}

/// A port that one of the snapshots listens on.
#[derive(Clone, Copy, Debug)]
struct Port {
    number: u16,
    is_secure: bool,
}

/// Two snapshots, and what was found of the requests so far.
#[derive(Debug)]
pub struct Replay<'a> {
    snapshots: [&'a Snapshot; 2],
    ports: Vec<Port>,
    /// Whether a rule of either side asks for more than a path and a method.
    is_conditional: bool,
    meetings: HashMap<Meeting, Met, FixedState>,
    found: Found,
}

impl<'a> Replay<'a> {
    /// Nothing replayed yet. Costs one walk along the rules of both.
    pub fn new(before: &'a Snapshot, after: &'a Snapshot, bounds: ReplayBounds) -> Self {
        Self::with(before, after, Found::new(bounds))
    }

    /// The same, where something was found already, with the same snapshots or others.
    pub fn with(before: &'a Snapshot, after: &'a Snapshot, found: Found) -> Self {
        let snapshots = [before, after];
        let mut rules = snapshots.iter().flat_map(|one| one.rules());
        let is_conditional = rules.any(|rule| {
            let mut matches = rule.rule.matches.iter();
            matches.any(|one| !one.headers.is_empty() || !one.query.is_empty())
        });
        Self {
            snapshots,
            ports: ports(snapshots),
            is_conditional,
            meetings: HashMap::default(),
            found,
        }
    }

    /// Replays one kind of request. Without a port it is taken to have come in on one that fits its scheme and
    /// where a rule takes it, before or after: of several on the first where something changes for it, or else
    /// on the first, and that is counted.
    pub fn add(&mut self, sample: &Sample<'_>) {
        let port = sample.port.unwrap_or_else(|| self.port_of(sample));
        let seen = self.look(port, &sample.request);
        match self.doubt(port, sample, seen.taken) {
            Some(Doubt::Hidden(name)) => return self.found.hidden(sample, name),
            Some(Doubt::Unrecorded(name)) => self.found.assumed(sample, name),
            None => {}
        }
        let met = self.met(&seen);
        self.found.add(sample, &seen, met);
    }

    fn look<'r>(&self, port: u16, request: &'r RequestView<'r>) -> Seen<'r, 'a> {
        Seen {
            snapshots: self.snapshots,
            port,
            request,
            taken: self.snapshots.map(|one| one.route(port, request)),
        }
    }

    fn met(&mut self, seen: &Seen<'_, '_>) -> Met {
        let meeting = seen.meeting();
        if let Some(met) = self.meetings.get(&meeting) {
            return *met;
        }
        let met = self.found.meet(seen);
        if self.meetings.len() >= MAX_MEETINGS {
            self.meetings.clear();
        }
        self.meetings.insert(meeting, met);
        met
    }

    /// What was found so far, to go on with.
    pub fn into_found(self) -> Found {
        self.found
    }

    /// What was found.
    pub fn finish(self) -> Replayed {
        self.found.finish()
    }

    fn port_of(&mut self, sample: &Sample<'_>) -> u16 {
        let fits = |port: &&Port| sample.is_secure.is_none_or(|secure| secure == port.is_secure);
        let fitting: SmallVec<[u16; 8]> = self.ports.iter().filter(fits).map(|port| port.number).collect();
        let first = match fitting.as_slice() {
            [] => return 80,
            [only] => return *only,
            [first, ..] => *first,
        };
        let is_taken = |port: &u16| {
            let mut sides = self.snapshots.iter();
            sides.any(|one| one.route(*port, &sample.request).is_some())
        };
        let taking: SmallVec<[u16; 8]> = fitting.iter().copied().filter(is_taken).collect();
        match taking.as_slice() {
            [] => first,
            [only] => *only,
            [first, ..] => {
                self.found.portless(sample);
                let changes = |port: &u16| {
                    let seen = self.look(*port, &sample.request);
                    let met = self.met(&seen);
                    self.found.is_change(met, &seen)
                };
                let changed = taking.iter().copied().find(changes);
                changed.unwrap_or(*first)
            }
        }
    }

    /// Whether another rule may have taken it, for all that is known of the request.
    fn doubt(&self, port: u16, sample: &Sample<'_>, taken: [Option<Matched<'a>>; 2]) -> Option<Doubt<'a>> {
        if !self.is_conditional || sample.is_whole() {
            return None;
        }
        let [before, after] = [0, 1].map(|at| doubt(self.snapshots[at], port, sample, taken[at]));
        match (before, after) {
            (Some(hidden @ Doubt::Hidden(_)), _) | (_, Some(hidden @ Doubt::Hidden(_))) => Some(hidden),
            (before, after) => before.or(after),
        }
    }
}

/// Ports of both, ascending, each once; as they are afterwards, or before, if they close.
fn ports(snapshots: [&Snapshot; 2]) -> Vec<Port> {
    let port = |snapshot: &Snapshot, number| {
        let mut listeners = snapshot.listeners();
        let listener = listeners.find(|listener| listener.port == number);
        Port {
            number,
            is_secure: listener.is_some_and(|listener| listener.scheme() == Scheme::Https),
        }
    };
    let [before, after] = snapshots;
    let of = |snapshot: &Snapshot| -> Vec<Port> {
        let numbers = snapshot.ports();
        numbers.map(|number| port(snapshot, number)).collect()
    };
    let mut ports = of(after);
    ports.extend(of(before));
    ports.sort_by_key(|port| port.number);
    ports.dedup_by_key(|port| port.number);
    ports
}
