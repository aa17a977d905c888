//! Near misses: where they are looked for, and which are the nearest.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::lost::{Lost, Teller};
use crate::candidate::Candidate;
use crate::explanation::{ExplainBounds, NearMiss};

/// Most hostnames besides those that take the request.
const MAX_NEIGHBOURS: usize = 64;

/// What was found.
pub(super) struct Near {
    /// Nearest first.
    pub(super) misses: Vec<NearMiss>,
    pub(super) count: usize,
    pub(super) is_complete: bool,
}

struct Search<'a> {
    teller: Teller<'a>,
    /// What may still be looked at.
    left: usize,
    /// By rule and match: one may stand at several hostnames.
    seen: HashSet<(&'a str, usize)>,
    found: Vec<Found<'a>>,
}

struct Found<'a> {
    candidate: &'a Candidate,
    lost: Lost<'a>,
    /// Elements of the request's path that its own shares.
    shared: usize,
}

/// The near misses of a request that came to `port`.
pub(super) fn search(teller: Teller<'_>, port: u16, bounds: &ExplainBounds) -> Near {
    let request = teller.request;
    let mut search = Search {
        teller,
        left: bounds.examined,
        seen: HashSet::new(),
        found: Vec::new(),
    };
    if let Some(winner) = teller.winner {
        search.seen.insert((winner.rule.rule.key.as_str(), winner.at));
    }
    let tables = teller.table.tables(port, request.host);
    let tables = tables.map_or_else(Vec::new, |(_, tables)| tables);
    // Expressions that do not match are told apart with the others, each looked at once.
    for table in &tables {
        search.look_at(table.contenders(request.path, |_| true));
    }
    for table in &tables {
        for (shared, candidate) in table.aside(request.path, &mut search.left) {
            search.note(candidate, shared);
        }
    }
    for table in teller.table.neighbours(port, request.host, MAX_NEIGHBOURS) {
        search.look_at(table.contenders(request.path, |_| true));
    }
    search.end(bounds)
}

impl Found<'_> {
    /// Among equals the order of the table stays; other paths have none there, and are told by name.
    fn nearer(&self, other: &Self) -> Ordering {
        let name = |found: &Self| match found.lost {
            Lost::Path => Some((found.candidate.rule.rule.key.clone(), found.candidate.at)),
            _ => None,
        };
        let by_distance = self.lost.distance().cmp(&other.lost.distance());
        by_distance
            .then_with(|| other.shared.cmp(&self.shared))
            .then_with(|| name(self).cmp(&name(other)))
    }
}

impl<'a> Search<'a> {
    fn look_at(&mut self, candidates: impl Iterator<Item = &'a Candidate>) {
        let most = self.left;
        for candidate in candidates.take(most) {
            self.left -= 1;
            self.note(candidate, 0);
        }
    }

    fn note(&mut self, candidate: &'a Candidate, shared: usize) {
        if !self.seen.insert((candidate.rule.rule.key.as_str(), candidate.at)) {
            return;
        }
        let lost = Lost::first(candidate, self.teller.listener, self.teller.request);
        self.found.push(Found {
            candidate,
            lost,
            shared,
        });
    }

    fn end(mut self, bounds: &ExplainBounds) -> Near {
        self.found.sort_by(Found::nearer);
        let nearest = self.found.iter().take(bounds.near_misses);
        Near {
            misses: nearest
                .map(|found| self.teller.near_miss(found.candidate, found.lost))
                .collect(),
            count: self.found.len(),
            is_complete: self.left > 0,
        }
    }
}
