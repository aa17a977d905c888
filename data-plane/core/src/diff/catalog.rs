//! Numbers for outcomes and conditions: equal things have equal numbers, on both sides.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;
use sluice_model::{Listener, Match, Scheme, ValueMatch};

use super::{
    describe::{outcome_of, unmatched, weight_of},
    outcome::Outcome,
    pairs::Traits,
    touched::{Touched, identity},
};
use crate::{Snapshot, candidate::Candidate};

/// The conditions of what takes every request.
const NO_CONDITIONS: u32 = 0;

/// Which of the two snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Before,
    After,
}

/// A candidate where it stands.
type Place = (Side, u16, IsSecure, usize, usize);
/// Whether the listener ends TLS; a redirect may follow it.
type IsSecure = bool;

fn place_of(side: Side, listener: &Listener, candidate: &Candidate) -> Place {
    let is_secure = listener.scheme() == Scheme::Https;
    (
        side,
        listener.port,
        is_secure,
        identity(&candidate.rule),
        candidate.at,
    )
}

/// Outcomes and conditions, each once.
#[derive(Default)]
pub(super) struct Catalog {
    numbers: HashMap<Arc<Outcome>, u32, FixedState>,
    /// With about how many bytes each has.
    outcomes: Vec<(Arc<Outcome>, u64)>,
    conditions: HashMap<String, u32, FixedState>,
    known: HashMap<Place, Traits, FixedState>,
}

impl Catalog {
    /// The outcome of a number.
    pub(super) fn outcome(&self, number: u32) -> &Arc<Outcome> {
        &self.outcomes[number as usize].0
    }

    /// About how many bytes the outcome of a number has.
    pub(super) fn weight(&self, number: u32) -> u64 {
        self.outcomes[number as usize].1
    }

    /// About how many bytes [`Self::traits`] would keep for `candidate`.
    pub(super) fn cost(
        &self,
        (side, snapshot): (Side, &Snapshot),
        listener: &Listener,
        candidate: &Candidate,
    ) -> u64 {
        match self.known.contains_key(&place_of(side, listener, candidate)) {
            true => 0,
            false => weight_of(snapshot, &candidate.rule),
        }
    }

    /// What pairs of `candidate` depend on.
    pub(super) fn traits(
        &mut self,
        (side, snapshot): (Side, &Snapshot),
        listener: &Listener,
        candidate: &Candidate,
        touched: &Touched,
    ) -> Traits {
        let place = place_of(side, listener, candidate);
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        let traits = Traits {
            conditions: self.conditions_of(candidate.conditions()),
            outcome: self.number(
                outcome_of(snapshot, &candidate.rule, candidate.at, listener),
                weight_of(snapshot, &candidate.rule),
            ),
            is_touched: touched.rules.contains(&identity(&candidate.rule)),
        };
        self.known.insert(place, traits);
        traits
    }

    /// What takes the requests that no rule does.
    pub(super) fn tail(&mut self, snapshot: &Snapshot, port: u16, listener: Option<&Listener>) -> Traits {
        Traits {
            conditions: NO_CONDITIONS,
            outcome: self.number(unmatched(snapshot, port, listener), 0),
            is_touched: false,
        }
    }

    fn number(&mut self, outcome: Outcome, weight: u64) -> u32 {
        if let Some(number) = self.numbers.get(&outcome) {
            return *number;
        }
        let (outcome, number) = (Arc::new(outcome), self.outcomes.len() as u32);
        self.outcomes.push((Arc::clone(&outcome), weight));
        self.numbers.insert(outcome, number);
        number
    }

    fn conditions_of(&mut self, one: &Match) -> u32 {
        if one.method.is_none() && one.headers.is_empty() && one.query.is_empty() {
            return NO_CONDITIONS;
        }
        let value = |value: &ValueMatch| match value {
            ValueMatch::Exact(value) => format!("={value:?}"),
            ValueMatch::Regex(regex) => format!("~{:?}", regex.as_str()),
        };
        let headers = one.headers.iter();
        let headers = headers.map(|header| format!("h{:?}{}", header.name.as_str(), value(&header.value)));
        let query = one.query.iter();
        let query = query.map(|query| format!("q{:?}{}", query.name, value(&query.value)));
        let mut parts: Vec<String> = headers.chain(query).collect();
        parts.extend(one.method.as_ref().map(|method| format!("m{method}")));
        parts.sort_unstable();
        let next = self.conditions.len() as u32 + 1;
        *self.conditions.entry(parts.join("\n")).or_insert(next)
    }
}
