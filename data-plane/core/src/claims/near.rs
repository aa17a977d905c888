//! Rules whose place a change of others has made another one, though they are as they were: who takes requests
//! from what came, who gets nothing behind it, who stands where something went.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message as _;
use sluice_model::{Hostname, Key, Kind, PathMatch};
use sluice_proto::v1;

use super::pairs::namespace;
use super::{Budget, places};
use crate::candidate::Candidate;
use crate::trie::PathTable;
use crate::{CompiledRule, Entry, Snapshot};

/// Steps that it takes to see whether a rule asks for the same as before.
const CHANGED: u64 = 15;
/// Steps that it takes to keep one that was not there before, or is not any more.
const NEW: u64 = 6;
/// Steps that it takes to see that anything else does not matter.
const OTHER: u64 = 2;
/// Steps that it takes to keep a neighbour.
const NEIGHBOUR: usize = 5;

/// The rules that ask for something else after a change than before it.
#[derive(Clone, Debug, Default)]
pub struct Moved {
    /// Those with claims that were not there before.
    pub came: BTreeSet<Key>,
    /// Those with claims that are there no more.
    pub went: BTreeSet<Key>,
    /// Listeners that hear at another place.
    listeners: BTreeSet<Key>,
    /// Whether that is all.
    is_complete: bool,
}

/// Rules that are as they were, near those that came or went.
#[derive(Clone, Debug, Default)]
pub struct Near {
    /// Those that may take requests of another namespace's rules, which they did not.
    pub takers: BTreeSet<Key>,
    /// Those that may get no requests any more.
    pub losers: BTreeSet<Key>,
    /// Whether these are all.
    pub is_complete: bool,
}

/// What asks for something else in `after` than in `before`. Costs what differs, no more than the `budget`.
pub fn moved(before: &Snapshot, after: &Snapshot, budget: &mut Budget) -> Moved {
    let difference = before.resources().diff(after.resources());
    let changed = difference.upserts.iter().map(|entry| &entry.key);
    let mut moved = Moved {
        is_complete: true,
        ..Moved::default()
    };
    for key in changed.chain(&difference.removals) {
        let steps = match key.kind() {
            Kind::Rule if before.rules.contains_key(key) && after.rules.contains_key(key) => CHANGED,
            Kind::Rule | Kind::Route => NEW,
            _ => OTHER,
        };
        if !budget.afford(steps) {
            moved.is_complete = false;
            break;
        }
        match key.kind() {
            Kind::Rule if !has_same_claims(before, after, key) => {
                moved
                    .went
                    .extend(before.rules.get_key_value(key).map(|(key, _)| key.clone()));
                moved
                    .came
                    .extend(after.rules.get_key_value(key).map(|(key, _)| key.clone()));
            }
            Kind::Route => {
                moved.went.extend(before.rules_of(key).cloned());
                moved.came.extend(after.rules_of(key).cloned());
            }
            Kind::Listener if place(before, key) != place(after, key) => {
                moved.listeners.insert(key.clone());
            }
            _ => {}
        }
    }
    moved
}

/// Whether a rule asks for the same, at the same place in its route, on both sides.
fn has_same_claims(before: &Snapshot, after: &Snapshot, rule: &Key) -> bool {
    let [Some(old), Some(new)] = [before, after].map(|snapshot| snapshot.resources().get(rule)) else {
        return false;
    };
    let read = |entry: &Entry| {
        let rule = v1::Rule::decode(entry.body.clone()).ok()?;
        Some((rule.index, rule.matches))
    };
    read(old) == read(new)
}

fn place(snapshot: &Snapshot, listener: &Key) -> Option<(u16, Hostname)> {
    let listener = snapshot.table.get(listener)?;
    Some((listener.port, listener.hostname.clone()))
}

/// Rules of `after` that are as they were and may clash with others because of what `moved`. Costs the candidates at
/// and below the paths of that, no more than the `budget`.
pub fn near(before: &Snapshot, after: &Snapshot, moved: &Moved, budget: &mut Budget) -> Near {
    let left = usize::try_from(budget.left()).unwrap_or(usize::MAX) / NEIGHBOUR;
    let mut walk = Walk {
        after,
        left,
        near: Near::default(),
    };
    for rule in moved.came.iter().filter_map(|key| after.rules.get(key)) {
        walk.each_claim(rule, Walk::came);
    }
    for rule in moved.went.iter().filter_map(|key| before.rules.get(key)) {
        walk.each_claim(rule, Walk::went);
    }
    moved.listeners.iter().for_each(|key| walk.listener(key));
    budget.spend(((left - walk.left) * NEIGHBOUR) as u64);
    let mut near = walk.near;
    near.is_complete = walk.left > 0 && moved.is_complete;
    for known in [&mut near.takers, &mut near.losers] {
        known.retain(|key| !moved.came.contains(key));
    }
    near
}

struct Walk<'a> {
    after: &'a Snapshot,
    /// Candidates that may still be looked at.
    left: usize,
    near: Near,
}

impl<'a> Walk<'a> {
    fn each_claim(
        &mut self,
        rule: &Arc<CompiledRule>,
        look: impl Fn(&mut Self, (&Key, &Hostname), &Candidate),
    ) {
        for place in places(rule) {
            for at in 0..rule.rule.matches.len() {
                if !self.afford() {
                    return;
                }
                let rule = Arc::clone(rule);
                look(self, place, &Candidate { rule, at });
            }
        }
    }

    /// Who stands behind a claim that came, and who takes its requests from it.
    fn came(&mut self, (listener, hostname): (&Key, &Hostname), own: &Candidate) {
        let path = &own.conditions().path;
        if let Some(table) = self.after.table.paths(listener, hostname) {
            let expressions = table.expressions().filter(|_| own.expression().is_none());
            let behind = table.mates(path).filter(|mate| own.precedence(mate).is_lt());
            for one in behind.chain(expressions) {
                if !self.afford() {
                    return;
                }
                self.near.losers.insert(one.rule.rule.key.clone());
            }
        }
        let tables = self.after.table.beneath(listener, hostname, &mut self.left);
        for (at, table) in tables.into_iter().enumerate() {
            // Narrower hostnames come first, whatever their paths are.
            let mut found = table.below(path, &mut self.left);
            if at > 0 && own.expression().is_none() {
                let expressions: Vec<_> = table.expressions().take(self.left).collect();
                self.left -= expressions.len();
                found.extend(expressions);
            }
            let foreign = found.into_iter().filter(|one| namespace(one) != namespace(own));
            self.near
                .takers
                .extend(foreign.map(|one| one.rule.rule.key.clone()));
        }
    }

    /// Who stands where a claim went, behind it.
    fn went(&mut self, (listener, hostname): (&Key, &Hostname), old: &Candidate) {
        let Some(table) = self.after.table.paths(listener, hostname) else {
            return;
        };
        let mates = table.mates(&old.conditions().path);
        for mate in mates.filter(|mate| old.precedence(mate).is_lt()) {
            if !self.afford() {
                return;
            }
            self.near.takers.insert(mate.rule.rule.key.clone());
        }
    }

    /// Whose requests a listener takes that hears at another place.
    fn listener(&mut self, key: &Key) {
        let table = &self.after.table;
        let Some(own) = table.get(key) else { return };
        let everything = PathMatch::Prefix("".into());
        for other in table.beside(own) {
            if !self.afford() {
                return;
            }
            let tables: Vec<&'a PathTable> = table.beneath(other, &own.hostname, &mut self.left);
            for table in tables {
                let found = table.below(&everything, &mut self.left);
                let expressions: Vec<_> = table.expressions().take(self.left).collect();
                self.left -= expressions.len();
                let all = found.into_iter().chain(expressions);
                self.near.losers.extend(all.map(|one| one.rule.rule.key.clone()));
            }
        }
    }

    fn afford(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }
}
