//! Paths of one hostname: a trie over path elements, shared between snapshots.
//!
//! A prefix `/a/b` stands at the node `a`, `b`. An exact path stands at the node of all its
//! elements, where a trailing slash is one more, empty, element. A lookup walks the elements of
//! the request's path once, so it costs the depth of the path and not the number of routes.

use std::sync::Arc;

use regex::Regex;
use sluice_model::PathMatch;
use smallvec::SmallVec;

use crate::{
    candidate::{Candidate, Candidates, CompiledRule},
    map::Map,
    request::RequestView,
};

/// All candidates of one hostname.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathTable {
    root: Arc<Node>,
    regex: Candidates,
}

/// What stands at one path: exactly there, and at it as a prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    exact: Candidates,
    prefix: Candidates,
    children: Map<Box<str>, Arc<Self>>,
}

/// Which of a node's two lists a path belongs to.
#[derive(Clone, Copy)]
enum Slot {
    Exact,
    Prefix,
}

/// How a path is kept: its elements and the list at their end, or the list of expressions.
enum Place<'a> {
    Node(Slot, Option<std::str::Split<'a, char>>),
    Regex,
}

impl PathTable {
    /// Adds one match of a rule.
    pub(crate) fn insert(&mut self, candidate: Candidate) {
        match place(&Arc::clone(&candidate.rule).rule.matches[candidate.at].path) {
            Place::Regex => self.regex.insert(candidate),
            Place::Node(slot, elements) => {
                let mut node = Arc::make_mut(&mut self.root);
                for element in elements.into_iter().flatten() {
                    node = Arc::make_mut(node.children.entry(element.into()).or_default());
                }
                node.list(slot).insert(candidate);
            }
        }
    }

    /// Takes it out again; nodes that nothing needs any more go with it.
    pub(crate) fn remove(&mut self, rule: &CompiledRule, at: usize) {
        match place(&rule.rule.matches[at].path) {
            Place::Regex => self.regex.remove(rule, at),
            Place::Node(slot, elements) => {
                let mut elements = elements.into_iter().flatten();
                Arc::make_mut(&mut self.root).remove(&mut elements, slot, rule, at);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_empty() && self.regex.is_empty()
    }

    /// The best candidate: exact, then the longest prefix, then expressions.
    #[inline]
    pub(crate) fn find(&self, request: &RequestView<'_>) -> Option<&Candidate> {
        let (visited, whole) = self.walk(request.path);
        let exact = whole.and_then(|node| node.exact.first(request));
        exact
            .or_else(|| visited.iter().rev().find_map(|node| node.prefix.first(request)))
            .or_else(|| self.regex.first_regex(request))
    }

    /// Every candidate whose path matches, best path first; for explanations.
    pub(crate) fn on_path<'a>(&'a self, path: &str) -> Vec<&'a Candidate> {
        self.contenders(path, |regex| regex.is_match(path)).collect()
    }

    /// Every candidate for `path`, best path first; those of expressions as `on_path` says.
    pub(crate) fn contenders<'a>(
        &'a self,
        path: &str,
        on_path: impl Fn(&Regex) -> bool,
    ) -> impl Iterator<Item = &'a Candidate> {
        let (visited, whole) = self.walk(path);
        let exact = whole.into_iter().flat_map(|node| node.exact.iter());
        let prefix = visited.into_iter().rev().flat_map(|node| node.prefix.iter());
        let regex = self.regex.iter();
        let regex = regex.filter(move |candidate| candidate.expression().is_some_and(&on_path));
        exact.chain(prefix).chain(regex)
    }

    /// The node of the empty prefix.
    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    /// The nodes along `path`, and the last of them if it stands for the whole path.
    #[inline]
    fn walk<'a>(&'a self, path: &str) -> (SmallVec<[&'a Node; 16]>, Option<&'a Node>) {
        let mut node = &*self.root;
        let mut visited = SmallVec::new();
        visited.push(node);
        for element in path.strip_prefix('/').unwrap_or(path).split('/') {
            match node.children.get(element) {
                Some(child) => node = child,
                None => return (visited, None),
            }
            visited.push(node);
        }
        (visited, Some(node))
    }
}

impl Node {
    /// The node of one more element.
    pub(crate) fn child(&self, element: &str) -> Option<&Self> {
        self.children.get(element).map(Arc::as_ref)
    }

    /// The elements that are known to follow, in no order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &str> {
        self.children.keys().map(AsRef::as_ref)
    }

    fn list(&mut self, slot: Slot) -> &mut Candidates {
        match slot {
            Slot::Exact => &mut self.exact,
            Slot::Prefix => &mut self.prefix,
        }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefix.is_empty() && self.children.is_empty()
    }

    // As deep as the longest path of a rule has elements, which the model bounds.
    fn remove<'a>(
        &mut self,
        elements: &mut impl Iterator<Item = &'a str>,
        slot: Slot,
        rule: &CompiledRule,
        at: usize,
    ) {
        let Some(element) = elements.next() else {
            self.list(slot).remove(rule, at);
            return;
        };
        let Some(child) = self.children.get_mut(element) else {
            return;
        };
        let child = Arc::make_mut(child);
        child.remove(elements, slot, rule, at);
        if child.is_empty() {
            self.children.remove(element);
        }
    }
}

fn place(path: &PathMatch) -> Place<'_> {
    match path {
        PathMatch::Exact(path) => Place::Node(
            Slot::Exact,
            Some(path.strip_prefix('/').unwrap_or(path).split('/')),
        ),
        PathMatch::Prefix(path) => {
            Place::Node(Slot::Prefix, path.strip_prefix('/').map(|path| path.split('/')))
        }
        PathMatch::Regex(_) => Place::Regex,
    }
}
