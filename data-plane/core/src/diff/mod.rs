//! The semantic difference of two snapshots: the classes of requests whose outcome changes, each with a
//! request that shows it.
//!
//! Requests are told apart only as far as the tables tell them apart: hosts by the names that are
//! written, paths by the elements that are, conditions by their values. What is not written anywhere is
//! of one kind, for which a fresh name stands. So a bounded number of requests stands for all, and each
//! is routed through both snapshots by the code that routes live ones. Only what may differ is looked
//! at: where a rule applies that changed, or whose route, target or backends did, or where another
//! listener hears.

mod automata;
mod budget;
mod catalog;
mod cell;
mod demand;
mod describe;
mod domain;
mod engine;
mod facet;
mod found;
mod heard;
mod hosts;
mod listeners;
mod moved;
mod outcome;
mod pairs;
mod paths;
mod place;
pub mod replay;
mod search;
mod touched;
mod witness;

use serde::Serialize;
use sluice_model::Listener;

pub use facet::Facet;
pub use found::Class;
pub use listeners::{ListenerChange, Setting};
pub use moved::{Shift, SlotsMoved, slots_moved, weights_moved};
pub use outcome::{
    Arm, BackendPolicy, ExperimentTerms, Forward, Fraction, HeaderChange, MirrorTerms, Outcome, PathChange,
    RedirectTerms, RewriteTerms, Verdict,
};
pub use place::{PathPlace, Place};
pub use witness::Witness;

pub(crate) use automata::{Automata, Start, Texts};
pub(crate) use demand::Demand;
pub(crate) use describe::{outcome_of, scheme_text};
pub(crate) use domain::Domain;
pub(crate) use witness::query;

use crate::{Matched, RequestView, Snapshot};
use engine::Engine;
use touched::Touched;

/// How much may be done and kept. Past a bound the difference says what it does not know.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Comparisons of a rule with a request, and of rules with each other.
    pub work: u64,
    /// Bytes of outcomes that are kept, about.
    pub bytes: u64,
    /// States of automata side by side, for one kind of paths or values.
    pub states: usize,
    /// The same for all.
    pub all_states: usize,
    /// Classes that are kept.
    pub classes: usize,
    /// Places that are kept of one class, and of what is not proven.
    pub places: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            work: 20_000_000,
            bytes: 128 * 1024 * 1024,
            states: 20_000,
            all_states: 400_000,
            classes: 10_000,
            places: 20,
        }
    }
}

/// What a change of one snapshot into another changes for requests.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// Requests whose outcome changes, the most important first; at most as many as the bound says.
    pub classes: Vec<Class>,
    /// How many classes there are.
    pub class_count: usize,
    /// Listeners that come, go, or treat connections in another way.
    pub listeners: Vec<ListenerChange>,
    /// Splits and experiments whose weights or slots change.
    pub shifts: Vec<Shift>,
    /// What was looked at, and what is not known.
    pub coverage: Coverage,
}

/// What was looked at, and what is not known.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Kinds of hosts and paths that were looked into.
    pub cells: u64,
    /// Pairs of rules for which a request was sought.
    pub pairs: u64,
    /// Where not everything was looked at; at most as many as the bound says.
    pub unproven: Vec<Unproven>,
    /// How many such places there are; 0: the classes are all there are.
    pub unproven_count: usize,
    /// What is never looked at, in words.
    pub not_covered: Vec<&'static str>,
}

/// Where not everything was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unproven {
    /// The port.
    pub port: u16,
    /// A hostname, or `*`.
    pub host: String,
    /// A path, or a beginning with `*`.
    pub path: String,
    /// What there was too much of.
    pub reason: &'static str,
}

/// What requests are never compared for.
const NOT_COVERED: [&str; 6] = [
    "endpoints, their health and weights: they change without a revision",
    "what is in certificates, trusts and ticket keys; only which ones are used",
    "what upstreams and clients do of themselves",
    "connections that are reused for a host of another listener (421)",
    "`OPTIONS *` and CONNECT",
    "conditions on the Host header that contradict the host",
];

/// The difference between `before` and `after`.
///
/// Costs what the resources that differ match, not what the tables hold; with sets that share nothing
/// also one walk along both. Complete unless [`Coverage::unproven_count`] says otherwise: every request
/// outside of `not_covered` that experiences something else is of one of the classes.
pub fn diff(before: &Snapshot, after: &Snapshot, bounds: &Bounds) -> Diff {
    let mut automata = Automata::new(bounds.states, bounds.all_states);
    diff_with(before, after, bounds, &mut automata).0
}

/// The same with automata that others use, too, and how much of [`Bounds::work`] it took.
pub(crate) fn diff_with(
    before: &Snapshot,
    after: &Snapshot,
    bounds: &Bounds,
    automata: &mut Automata,
) -> (Diff, u64) {
    let touched = Touched::between(before, after);
    let mut engine = Engine::new([before, after], &touched, bounds, automata);
    engine.run();
    let work = engine.work();
    let Engine { found, coverage, .. } = engine;
    let diff = Diff {
        class_count: found.count(),
        classes: found.finish(),
        listeners: listeners::changes(before, after),
        shifts: moved::shifts(before, after, &touched.targets),
        coverage: Coverage {
            not_covered: NOT_COVERED.to_vec(),
            ..coverage
        },
    };
    (diff, work)
}

/// What happens to a request on `port`, in the words of the difference.
pub fn outcome(snapshot: &Snapshot, port: u16, request: &RequestView<'_>) -> Outcome {
    outcome_of_taken(snapshot, port, request, snapshot.route(port, request))
}

/// The same where it is known who takes it.
fn outcome_of_taken(
    snapshot: &Snapshot,
    port: u16,
    request: &RequestView<'_>,
    taken: Option<Matched<'_>>,
) -> Outcome {
    match taken {
        Some(matched) => outcome_of(snapshot, matched.rule, matched.match_index, matched.listener),
        None => {
            let listener = snapshot.listener_for(port, request.host);
            describe::unmatched(snapshot, port, listener.map(|one| -> &Listener { one }))
        }
    }
}

/// What of its outcome changes for a request on `port`; nothing when it experiences the same.
pub fn changes(
    (before, after): (&Snapshot, &Snapshot),
    port: u16,
    request: &RequestView<'_>,
) -> std::collections::BTreeSet<Facet> {
    let outcomes = [before, after].map(|one| outcome(one, port, request));
    let location = |snapshot: &Snapshot| snapshot.route(port, request)?.location(request);
    let [old, new] = [(0, before), (1, after)].map(|(at, snapshot)| facet::Told {
        outcome: &outcomes[at],
        location: location(snapshot),
    });
    facet::facets(&old, &new, request.path)
}
