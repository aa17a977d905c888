//! Rules that claim the same requests, and who of them gets them.
//!
//! Matches that stand at one path of one hostname are told apart by their conditions and by precedence
//! alone, so they are compared with each other. That longer paths and narrower hostnames win is what
//! everybody expects; it is said only where the winner is of another namespace than who would get the
//! requests without it. Whatever is found has a request that both ask for.

mod near;
mod pairs;
mod relation;
mod sample;

use std::collections::BTreeSet;

use sluice_model::{Hostname, Key};

use crate::{CompiledRule, Snapshot, candidate::Candidate, diff::Witness};

pub use near::{Moved, Near, moved, near};
pub(crate) use pairs::REQUEST;
use pairs::Search;
pub(crate) use sample::{Lack, Sampler, address};

/// Places of one rule for which a request to it is sought.
const TRIES: usize = 64;

/// One match of one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Key of the rule.
    pub rule: Key,
    /// Position of the rule in its route.
    pub rule_index: usize,
    /// Its position in the rule.
    pub match_index: usize,
}

/// How two claims meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meeting {
    /// They ask for the same.
    Same,
    /// The winner asks for no more than the loser, which gets nothing there.
    Covered,
    /// Each takes requests that the other does not, and both ask for some.
    Crossed,
    /// The loser would get what the winner takes, which is of another namespace.
    Captured,
}

/// Why one match comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its hostname or its path is narrower.
    Place,
    /// It names a method.
    Method,
    /// It asks for more headers.
    Headers,
    /// It asks for more query parameters.
    Query,
    /// Its route is older.
    Age,
    /// Namespace and name of its route come first.
    Name,
    /// It comes first in its route.
    Order,
}

/// Two rules that claim the same requests.
#[derive(Clone, Debug)]
pub struct Clash {
    /// How they meet.
    pub meeting: Meeting,
    /// Who gets the requests that both ask for.
    pub winner: Claim,
    /// Who does not.
    pub loser: Claim,
    /// Why.
    pub reason: Reason,
    /// A request that both ask for.
    pub witness: Witness,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Clashes {
    /// As many as the bound says; two rules once for each way in which they meet, and where only some rules are
    /// asked for, two matches.
    pub found: Vec<Clash>,
    /// How many more there are.
    pub omitted: usize,
    /// Whether everything was looked at.
    pub is_complete: bool,
    /// Comparisons that were made.
    pub work: u64,
}

/// How much is looked at and kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Comparisons of two matches; those of two expressions count as a hundred, a request as twenty.
    pub work: u64,
    /// Clashes.
    pub found: usize,
    /// States of automata, for all expressions together.
    pub states: usize,
}

impl Limits {
    /// For a whole table.
    pub const TABLE: Self = Self {
        work: 4_000_000,
        found: 2_000,
        states: 400_000,
    };
    /// For what one change touches, while its writer waits.
    pub const CHANGE: Self = Self {
        work: 20_000,
        found: 100,
        states: 2_000,
    };
}

/// Rules that claim the same requests: all, or with `of` those of which one at least is among them. Who captures
/// from one of them is then not sought among the others: see [`near()`] and [`captures`].
///
/// Costs the claims that stand at the same places, in pairs, and for each claim those along its path;
/// [`Limits::work`] at most.
pub fn clashes(snapshot: &Snapshot, of: Option<&BTreeSet<Key>>, limits: &Limits) -> Clashes {
    let mut search = Search::new(snapshot, of, limits);
    match of {
        Some(keys) => {
            let rules = keys.iter().filter_map(|key| snapshot.rules.get(key));
            rules.for_each(|rule| search.rule(rule));
        }
        None => snapshot.rules().for_each(|rule| search.rule(rule)),
    }
    search.finish()
}

/// What those claims of the rules `of` that `is_meant` have of each other, and from whom they take requests. What
/// else stands where they do takes a comparison each, of [`Limits::work`] at most.
pub fn clashes_between(
    snapshot: &Snapshot,
    of: &BTreeSet<Key>,
    is_meant: &dyn Fn(&Claim) -> bool,
    limits: &Limits,
) -> Clashes {
    let mut search = Search::new(snapshot, Some(of), limits).only(is_meant);
    let rules = of.iter().filter_map(|key| snapshot.rules.get(key));
    rules.for_each(|rule| search.rule(rule));
    search.finish()
}

/// From whom of other namespaces the rules of `by` take requests; [`Limits::work`] at most.
pub fn captures(snapshot: &Snapshot, by: &BTreeSet<Key>, limits: &Limits) -> Clashes {
    let mut search = Search::new(snapshot, Some(by), limits);
    let rules = by.iter().filter_map(|key| snapshot.rules.get(key));
    rules.for_each(|rule| search.captures(rule));
    search.finish()
}

/// A request that goes to the rule at `index` of `route`, a key of its kind, if one is easily found.
pub fn request_for(snapshot: &Snapshot, route: &Key, index: usize) -> Option<Witness> {
    let mut rules = snapshot.rules_of(route).filter_map(|key| snapshot.rules.get(key));
    let rule = rules.find(|rule| rule.rule.index as usize == index)?;
    let mut sampler = Sampler::new(Limits::CHANGE.states);
    let claims = places(rule).flat_map(|place| rule.rule.matches.iter().map(move |one| (place, one)));
    claims.take(TRIES).find_map(|((listener, hostname), wanted)| {
        let address = address(snapshot, listener, hostname)?;
        let request = sampler.request(&address, &[wanted]).ok()?;
        let is_taken = request.with_view(|view| {
            let matched = snapshot.route(request.port, view);
            matched.is_some_and(|matched| matched.rule.rule.key == rule.rule.key)
        })?;
        is_taken.then_some(request)
    })
}

/// The listeners and hostnames that a rule is served under.
pub(crate) fn places(rule: &CompiledRule) -> impl Iterator<Item = (&Key, &Hostname)> {
    let attachments = rule.route.attachments.iter();
    attachments.flat_map(|one| one.hostnames.iter().map(|name| (&one.listener, name)))
}

impl Claim {
    fn of(candidate: &Candidate) -> Self {
        Self {
            rule: candidate.rule.rule.key.clone(),
            rule_index: candidate.rule.rule.index as usize,
            match_index: candidate.at,
        }
    }
}

impl Reason {
    /// Why `first` comes before `second` at the same path.
    fn between(first: &Candidate, second: &Candidate) -> Self {
        let (a, b) = (first.conditions(), second.conditions());
        let (one, other) = (&first.rule.route, &second.rule.route);
        if a.method.is_some() != b.method.is_some() {
            Self::Method
        } else if a.headers.len() != b.headers.len() {
            Self::Headers
        } else if a.query.len() != b.query.len() {
            Self::Query
        } else if one.creation_revision != other.creation_revision {
            Self::Age
        } else if one.key != other.key {
            Self::Name
        } else {
            Self::Order
        }
    }
}
