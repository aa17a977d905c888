//! One match of one rule, as it stands in the route table, and which of two wins.

use std::{cmp::Ordering, sync::Arc};

use regex::Regex;
use sluice_model::{Match, PathMatch, Route, Rule};

use crate::{mirror::MirrorTarget, registry::Idx, request::RequestView, target::Target};

/// A rule with what its route and its target add to it.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    /// As it was sent.
    pub rule: Rule,
    /// The route it belongs to.
    pub route: Arc<Route>,
    /// Where its requests go; `None`: nowhere, 500 unless it redirects.
    pub target: Option<Idx<Target>>,
    /// Who gets copies of its requests.
    pub mirrors: Box<[MirrorTarget]>,
    /// Stays with the rule's key from snapshot to snapshot; never used twice.
    pub uid: u64,
}

/// One of a rule's matches.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) rule: Arc<CompiledRule>,
    pub(crate) at: usize,
}

impl Candidate {
    pub(crate) fn conditions(&self) -> &Match {
        &self.rule.rule.matches[self.at]
    }

    /// Whether its path is all it asks for.
    pub(crate) fn is_unconditional(&self) -> bool {
        let wanted = self.conditions();
        wanted.method.is_none() && wanted.headers.is_empty() && wanted.query.is_empty()
    }

    /// The expression that the path has to match, if it is matched so.
    pub(crate) fn expression(&self) -> Option<&Regex> {
        match &self.conditions().path {
            PathMatch::Regex(regex) => Some(regex),
            PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
        }
    }

    #[inline]
    pub(crate) fn holds(&self, request: &RequestView<'_>) -> bool {
        request.unmet(self.conditions()).is_none()
    }

    /// Gateway API precedence between two candidates whose paths are equally good: method, number
    /// of headers, number of query parameters, older route, namespace/name, first rule.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        let (a, b) = (self.conditions(), other.conditions());
        let (x, y) = (&self.rule, &other.rule);
        b.method
            .is_some()
            .cmp(&a.method.is_some())
            .then_with(|| b.headers.len().cmp(&a.headers.len()))
            .then_with(|| b.query.len().cmp(&a.query.len()))
            .then_with(|| x.route.creation_revision.cmp(&y.route.creation_revision))
            .then_with(|| x.route.key.owner().cmp(y.route.key.owner()))
            .then_with(|| x.rule.index.cmp(&y.rule.index))
            // Rules that claim one place: every proxy must see one order, whichever came first.
            .then_with(|| x.rule.key.cmp(&y.rule.key))
            .then_with(|| self.at.cmp(&other.at))
    }

    /// Whether it is this match of this rule.
    pub(crate) fn is(&self, rule: &CompiledRule, at: usize) -> bool {
        self.at == at && self.rule.rule.key == rule.rule.key
    }
}

/// Candidates of one path, best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Candidates(Vec<Candidate>);

impl Candidates {
    pub(crate) fn insert(&mut self, candidate: Candidate) {
        let at = self.0.partition_point(|one| one.precedence(&candidate).is_lt());
        self.0.reserve_exact(1);
        self.0.insert(at, candidate);
    }

    pub(crate) fn remove(&mut self, rule: &CompiledRule, at: usize) {
        self.0.retain(|one| !one.is(rule, at));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn first(&self, request: &RequestView<'_>) -> Option<&Candidate> {
        self.0.iter().find(|candidate| candidate.holds(request))
    }

    /// The best candidate whose expression matches the path too.
    pub(crate) fn first_regex(&self, request: &RequestView<'_>) -> Option<&Candidate> {
        let on_path = |candidate: &&Candidate| {
            candidate
                .expression()
                .is_some_and(|regex| regex.is_match(request.path))
        };
        self.0
            .iter()
            .filter(|candidate| candidate.holds(request))
            .find(on_path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.0.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Its place among them, from 0.
    pub(crate) fn position(&self, rule: &CompiledRule, at: usize) -> Option<usize> {
        self.0.iter().position(|one| one.is(rule, at))
    }

    /// Adds as many of them to `found` as `left` allows, with what they share with a path.
    pub(crate) fn offer<'a>(
        &'a self,
        shared: usize,
        left: &mut usize,
        found: &mut Vec<(usize, &'a Candidate)>,
    ) {
        let before = found.len();
        found.extend(self.0.iter().take(*left).map(|one| (shared, one)));
        *left -= found.len() - before;
    }
}
