//! Rules that claim the same requests, and who of them gets them.
//!
//! Matches that stand at one path of one hostname are told apart by their conditions and by precedence
//! alone, so they are compared with each other. That longer paths and narrower hostnames win is what
//! everybody expects; it is said only where the winner is of another namespace than who would get the
//! requests without it. Whatever is found has a request that both ask for.

mod budget;
mod near;
mod pairs;
mod relation;
mod sample;

use std::collections::BTreeSet;

use sluice_model::{Hostname, Key};

use crate::{CompiledRule, Snapshot, candidate::Candidate, diff::Witness};

pub use budget::Budget;
pub use near::{Moved, Near, moved, near};
use pairs::Search;
pub(crate) use sample::{Lack, address};

/// Places of one rule for which a request to it is sought.
const TRIES: usize = 64;
/// Steps that it takes to find a host that comes to a place.
pub(crate) const PLACE: u64 = 10;

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
    /// Steps that were taken.
    pub work: u64,
}

/// Rules that claim the same requests, `most` of them: all, or with `of` those of which one at least is among them. Who
/// captures from one of them is then not sought among the others: see [`near()`] and [`captures`].
///
/// Costs the claims that stand at the same places, in pairs, and for each claim those along its path; no more than the
/// `budget`.
pub fn clashes(snapshot: &Snapshot, of: Option<&BTreeSet<Key>>, most: usize, budget: &mut Budget) -> Clashes {
    let mut search = Search::new(snapshot, of, most, budget);
    match of {
        Some(keys) => search.each(snapshot, keys, Search::rule),
        None => {
            let _ = snapshot.rules().all(|rule| search.rule(rule));
        }
    }
    search.finish()
}

/// What those claims of the rules `of` that `is_meant` have of each other, and from whom they take requests; `most` of
/// that. What else stands where they do takes a step each.
pub fn clashes_between(
    snapshot: &Snapshot,
    of: &BTreeSet<Key>,
    is_meant: &dyn Fn(&Claim) -> bool,
    most: usize,
    budget: &mut Budget,
) -> Clashes {
    let mut search = Search::new(snapshot, Some(of), most, budget).only(is_meant);
    search.each(snapshot, of, Search::rule);
    search.finish()
}

/// From whom of other namespaces the rules of `by` take requests; `most` of that.
pub fn captures(snapshot: &Snapshot, by: &BTreeSet<Key>, most: usize, budget: &mut Budget) -> Clashes {
    let mut search = Search::new(snapshot, Some(by), most, budget);
    search.each(snapshot, by, Search::captures);
    search.finish()
}

/// A request that goes to the rule at `index` of `route`, a key of its kind, if one is easily found.
pub fn request_for(snapshot: &Snapshot, route: &Key, index: usize, budget: &mut Budget) -> Option<Witness> {
    let mut rules = snapshot.rules_of(route).filter_map(|key| snapshot.rules.get(key));
    let rule = rules.find(|rule| rule.rule.index as usize == index)?;
    let claims = places(rule).flat_map(|place| rule.rule.matches.iter().map(move |one| (place, one)));
    for ((listener, hostname), wanted) in claims.take(TRIES) {
        if !budget.afford(PLACE) {
            return None;
        }
        let Some(address) = address(snapshot, listener, hostname) else {
            continue;
        };
        let Ok(request) = budget.request(&address, &[wanted]) else {
            continue;
        };
        let taker = taker(snapshot, &request, budget);
        if taker.is_some_and(|taker| taker.rule.rule.key == rule.rule.key) {
            return Some(request);
        }
    }
    None
}

/// Who takes a request, if anybody does and it can be found out.
pub(crate) fn taker<'a>(
    snapshot: &'a Snapshot,
    request: &Witness,
    budget: &mut Budget,
) -> Option<&'a Candidate> {
    let (_, tables) = snapshot.table.tables(request.port, &request.host)?;
    request.with_view(|view| budget.takers(&tables, view, |takers| takers.next()).0)?
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
