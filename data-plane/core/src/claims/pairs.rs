//! Goes through the claims and compares those that stand together.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use sluice_model::{Hostname, Key, Match, PathMatch, ValueMatch};

use super::budget::conditions;
use super::relation::{Relation, relation};
use super::sample::Address;
use super::{Budget, Claim, Clash, Clashes, Lack, Meeting, PLACE, Reason, address, places};
use crate::{
    CompiledRule, Snapshot,
    candidate::Candidate,
    diff::{Witness, outcome_of},
    trie::PathTable,
};

/// Steps that it takes to see what two claims have to do with each other, but for their conditions.
const PAIR: u64 = 6;
/// Pairs of conditions that are compared in one step.
const CONDITIONS: usize = 8;
/// Steps that it takes to find out what is done with requests.
const OUTCOME: u64 = 20;

/// The state of one search.
pub(super) struct Search<'a> {
    snapshot: &'a Snapshot,
    of: Option<&'a BTreeSet<Key>>,
    /// Claims of `of` that alone are compared; all where there is none.
    is_meant: Option<&'a dyn Fn(&Claim) -> bool>,
    budget: &'a mut Budget,
    /// What had been done of it before.
    done: u64,
    /// Clashes that are kept.
    most: usize,
    /// Winner and loser: their rules, and where only some rules are asked for also their matches.
    known: HashSet<(Meeting, Side, Side), FixedState>,
    /// By rule, match and listener; whole outcomes would be too large to keep.
    outcomes: HashMap<(usize, usize, usize), u64, FixedState>,
    clashes: Clashes,
}

/// A rule, and its match where that is told apart.
type Side = (Key, Option<usize>);

/// A hostname of a listener, and what stands under it.
struct Place<'a> {
    listener: &'a Key,
    hostname: &'a Hostname,
    paths: &'a PathTable,
    address: Address,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        of: Option<&'a BTreeSet<Key>>,
        most: usize,
        budget: &'a mut Budget,
    ) -> Self {
        Self {
            snapshot,
            of,
            is_meant: None,
            done: budget.done(),
            budget,
            most,
            known: HashSet::default(),
            outcomes: HashMap::default(),
            clashes: Clashes {
                is_complete: true,
                ..Clashes::default()
            },
        }
    }

    /// The same search, of these claims alone, and only with each other.
    pub(super) fn only(self, is_meant: &'a dyn Fn(&Claim) -> bool) -> Self {
        Self {
            is_meant: Some(is_meant),
            ..self
        }
    }

    pub(super) fn finish(self) -> Clashes {
        Clashes {
            work: self.budget.done() - self.done,
            ..self.clashes
        }
    }

    /// Looks at these rules, as long as there is anything left.
    pub(super) fn each(
        &mut self,
        snapshot: &'a Snapshot,
        keys: &BTreeSet<Key>,
        look: impl Fn(&mut Self, &'a Arc<CompiledRule>) -> bool,
    ) {
        let mut rules = keys.iter().filter_map(|key| snapshot.rules.get(key));
        let _ = rules.all(|rule| look(self, rule));
    }

    fn means(&self, claim: &Candidate) -> bool {
        self.is_meant.is_none_or(|is_meant| is_meant(&Claim::of(claim)))
    }

    /// Looks at all that `rule` claims. Whether there was enough left for it, as for those below.
    pub(super) fn rule(&mut self, rule: &'a Arc<CompiledRule>) -> bool {
        self.claims(rule, |search, place, own| {
            search.mates(place, own) && search.capture(place, own)
        })
    }

    /// Looks only at whom `rule` takes requests from.
    pub(super) fn captures(&mut self, rule: &'a Arc<CompiledRule>) -> bool {
        self.claims(rule, Self::capture)
    }

    fn claims(
        &mut self,
        rule: &'a Arc<CompiledRule>,
        look: impl Fn(&mut Self, &Place<'a>, &Candidate) -> bool,
    ) -> bool {
        if !self.afford(1) {
            return false;
        }
        for (listener, hostname) in places(rule) {
            if !self.afford(PLACE) {
                return false;
            }
            let Some(paths) = self.snapshot.table.paths(listener, hostname) else {
                continue;
            };
            // Where others have all hosts, reachability says so.
            let Some(address) = address(self.snapshot, listener, hostname) else {
                continue;
            };
            let place = Place {
                listener,
                hostname,
                paths,
                address,
            };
            for at in 0..rule.rule.matches.len() {
                let own = Candidate {
                    rule: Arc::clone(rule),
                    at,
                };
                if self.means(&own) && !look(self, &place, &own) {
                    return false;
                }
            }
        }
        true
    }

    /// Whether so much may still be done; if not, that is noted.
    fn afford(&mut self, steps: u64) -> bool {
        let is_left = self.budget.afford(steps);
        self.clashes.is_complete &= is_left;
        is_left
    }

    /// Compares a claim with those at the same path.
    fn mates(&mut self, place: &Place<'a>, own: &Candidate) -> bool {
        let own_conditions = conditions(own.conditions());
        for mate in place.paths.mates(&own.conditions().path) {
            let pairs = own_conditions * conditions(mate.conditions());
            if !self.afford(PAIR + (pairs / CONDITIONS) as u64) {
                return false;
            }
            if mate.rule.rule.key == own.rule.rule.key {
                continue;
            }
            let is_first = own.precedence(mate).is_lt();
            // Every pair is looked at once: when it is the turn of its first, or of the only one that is asked for.
            let comes_again = self.of.is_none_or(|of| of.contains(&mate.rule.rule.key));
            if comes_again && !is_first {
                continue;
            }
            if self.is_meant.is_some() && !(comes_again && self.means(mate)) {
                continue;
            }
            match is_first {
                true => self.meet(place, own, mate),
                false => self.meet(place, mate, own),
            }
        }
        true
    }

    /// Compares two claims at one path, of which `winner` comes first.
    fn meet(&mut self, place: &Place<'_>, winner: &Candidate, loser: &Candidate) {
        let (first, second) = (winner.conditions(), loser.conditions());
        if exclude(first, second) {
            return;
        }
        let reason = Reason::between(winner, loser);
        let meeting = match relation(self.budget, first, second) {
            Relation::Same => Meeting::Same,
            Relation::Covers => Meeting::Covered,
            // The author of a route sees which of its rules comes first.
            Relation::Crosses if reason == Reason::Order => return,
            Relation::Crosses if self.outcome(place, winner) == self.outcome(place, loser) => return,
            Relation::Crosses => Meeting::Crossed,
            Relation::Within => return,
            Relation::Unknown => {
                self.clashes.is_complete = false;
                return;
            }
        };
        if self.clashes.found.len() == self.most && !has_expressions(first) && !has_expressions(second) {
            self.clashes.omitted += 1;
            return;
        }
        // Expressions that both sides have may still exclude each other.
        match self.budget.request(&place.address, &[first, second]) {
            Ok(witness) => self.note(meeting, (winner, loser), reason, witness),
            Err(lack) => self.clashes.is_complete &= lack != Lack::Unknown,
        }
    }

    /// What is done with the requests of a claim, as a number that others which do the same have too.
    fn outcome(&mut self, place: &Place<'_>, claim: &Candidate) -> Option<u64> {
        let listener = self.snapshot.table.get(place.listener)?;
        let key = (
            std::ptr::from_ref(&*claim.rule).addr(),
            claim.at,
            std::ptr::from_ref(&**listener).addr(),
        );
        let (snapshot, budget) = (self.snapshot, &mut *self.budget);
        let number = self.outcomes.entry(key).or_insert_with(|| {
            budget.spend(OUTCOME);
            FixedState::default().hash_one(outcome_of(snapshot, &claim.rule, claim.at, listener))
        });
        Some(*number)
    }

    /// Finds out from whom of another namespace a claim takes requests.
    fn capture(&mut self, place: &Place<'a>, own: &Candidate) -> bool {
        let witness = match self.budget.request(&place.address, &[own.conditions()]) {
            Ok(witness) => witness,
            Err(lack) => {
                self.clashes.is_complete &= lack != Lack::Unknown;
                return !self.budget.is_spent();
            }
        };
        let (port, host) = (witness.port, witness.host.as_str());
        let Some((_, mut tables)) = self.snapshot.table.tables(port, host) else {
            return true;
        };
        // Whoever serves every hostname expects that some have routes of their own.
        let everybody = match place.hostname {
            Hostname::Any => None,
            _ => self.snapshot.table.paths(place.listener, &Hostname::Any),
        };
        tables.retain(|table| !everybody.is_some_and(|any| std::ptr::eq(*table, any)));
        let of_another = |mut holding: &mut dyn Iterator<Item = &'a Candidate>| {
            let first = holding.next()?;
            if first.rule.rule.key != own.rule.rule.key || first.at != own.at {
                return None;
            }
            // Behind others of its own at the same path it takes the same requests; of a wider one of its own
            // namespace that is told when it is its turn.
            let next = Iterator::find(&mut holding, |one| {
                namespace(one) != namespace(own) || !same_path(one.conditions(), own.conditions())
            });
            next.filter(|next| namespace(next) != namespace(own))
        };
        let budget = &mut *self.budget;
        let found = witness.with_view(|view| budget.takers(&tables, view, of_another));
        let (found, is_complete) = found.unwrap_or((None, true));
        self.clashes.is_complete &= is_complete;
        if let Some(loser) = found {
            let is_mate = same_path(own.conditions(), loser.conditions());
            let reason = match is_mate {
                true => Reason::between(own, loser),
                false => Reason::Place,
            };
            self.note(Meeting::Captured, (own, loser), reason, witness);
        }
        is_complete
    }

    fn note(
        &mut self,
        meeting: Meeting,
        (winner, loser): (&Candidate, &Candidate),
        reason: Reason,
        witness: Witness,
    ) {
        let is_close = self.of.is_some();
        let keys = |meeting| {
            let side = |one: &Candidate| (one.rule.rule.key.clone(), is_close.then_some(one.at));
            (meeting, side(winner), side(loser))
        };
        // What is told in a stronger way is not told again.
        let stronger = [Meeting::Same, Meeting::Covered, Meeting::Crossed];
        let is_told = stronger.into_iter().any(|one| self.known.contains(&keys(one)));
        if (is_told && meeting == Meeting::Captured) || !self.known.insert(keys(meeting)) {
            return;
        }
        if self.clashes.found.len() == self.most {
            self.clashes.omitted += 1;
            return;
        }
        self.clashes.found.push(Clash {
            meeting,
            winner: Claim::of(winner),
            loser: Claim::of(loser),
            reason,
            witness,
        });
    }
}

pub(super) fn namespace(candidate: &Candidate) -> &str {
    candidate.rule.rule.key.segment(0)
}

/// Whether no request can be what both ask for, as far as that is plain.
fn exclude(one: &Match, other: &Match) -> bool {
    let differ = |one: &ValueMatch, other: &ValueMatch| match (one, other) {
        (ValueMatch::Exact(text), wanted) | (wanted, ValueMatch::Exact(text)) => !wanted.matches(text),
        (ValueMatch::Regex(_), ValueMatch::Regex(_)) => false,
    };
    let methods = one.method.as_ref().zip(other.method.as_ref());
    methods.is_some_and(|(one, other)| one != other)
        || one.headers.iter().any(|own| {
            let mut theirs = other.headers.iter().filter(|their| their.name == own.name);
            theirs.any(|their| differ(&own.value, &their.value))
        })
        || one.query.iter().any(|own| {
            let mut theirs = other.query.iter().filter(|their| their.name == own.name);
            theirs.any(|their| differ(&own.value, &their.value))
        })
}

fn has_expressions(one: &Match) -> bool {
    let is_open = |value: &ValueMatch| matches!(value, ValueMatch::Regex(_));
    matches!(one.path, PathMatch::Regex(_))
        || one.headers.iter().any(|header| is_open(&header.value))
        || one.query.iter().any(|query| is_open(&query.value))
}

fn same_path(one: &Match, other: &Match) -> bool {
    match (&one.path, &other.path) {
        (PathMatch::Exact(one), PathMatch::Exact(other)) => one == other,
        (PathMatch::Prefix(one), PathMatch::Prefix(other)) => one == other,
        (PathMatch::Regex(_), PathMatch::Regex(_)) => true,
        _ => false,
    }
}
