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

/// A list of candidates that a path comes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station<'a> {
    pub(crate) standing: Standing,
    pub(crate) candidates: &'a Candidates,
}

/// How the candidates of one list match a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All of it.
    Exact,
    /// So many of its first elements.
    Prefix(usize),
    /// By an expression, which may not match.
    Regex,
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

    /// The candidates that stand where one with `path` does, best first: those of the same path, or of
    /// expressions. The path alone does not decide between them.
    pub(crate) fn mates<'a>(&'a self, path: &PathMatch) -> impl Iterator<Item = &'a Candidate> + use<'a> {
        let list = match place(path) {
            Place::Regex => Some(&self.regex),
            Place::Node(slot, elements) => {
                let mut elements = elements.into_iter().flatten();
                let node = elements.try_fold(&*self.root, |node, element| node.child(element));
                node.map(|node| match slot {
                    Slot::Exact => &node.exact,
                    Slot::Prefix => &node.prefix,
                })
            }
        };
        list.into_iter().flat_map(Candidates::iter)
    }

    /// Candidates of `path` and of paths below it; of an expression all there are. `left` is how many nodes and
    /// candidates may be looked at; those that were are taken off.
    pub(crate) fn below<'a>(&'a self, path: &PathMatch, left: &mut usize) -> Vec<&'a Candidate> {
        let mut found = Vec::new();
        match place(path) {
            Place::Regex => {
                self.root.offer(0, left, &mut found);
                self.regex.offer(0, left, &mut found);
            }
            Place::Node(slot, elements) => {
                let mut elements = elements.into_iter().flatten();
                match (
                    elements.try_fold(&*self.root, |node, element| node.child(element)),
                    slot,
                ) {
                    (Some(node), Slot::Exact) => node.exact.offer(0, left, &mut found),
                    (Some(node), Slot::Prefix) => node.offer(0, left, &mut found),
                    (None, _) => {}
                }
            }
        }
        found.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// The candidates of expressions, best first.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Candidate> {
        self.regex.iter()
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

    /// What stands on the way of `path`, in the order in which it is asked. Expressions are last, all of
    /// them; lists without candidates are left out.
    pub(crate) fn stations(&self, path: &str) -> Vec<Station<'_>> {
        let (visited, whole) = self.walk(path);
        let exact = whole.map(|node| (Standing::Exact, &node.exact));
        let prefixes = visited.iter().enumerate().rev();
        let prefixes = prefixes.map(|(depth, node)| (Standing::Prefix(depth), &node.prefix));
        let all = exact
            .into_iter()
            .chain(prefixes)
            .chain([(Standing::Regex, &self.regex)]);
        all.filter(|(_, candidates)| !candidates.is_empty())
            .map(|(standing, candidates)| Station { standing, candidates })
            .collect()
    }

    /// Candidates of other paths than `path`, and how many of its first elements they share: those with the
    /// most first. Expressions are not among them. `left` is how many nodes and candidates may be looked at;
    /// those that were are taken off.
    pub(crate) fn aside<'a>(&'a self, path: &str, left: &mut usize) -> Vec<(usize, &'a Candidate)> {
        let (visited, whole) = self.walk(path);
        let elements: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let mut found = Vec::new();
        for (shared, node) in visited.iter().enumerate().rev() {
            let is_whole = whole.is_some() && shared == elements.len();
            if !is_whole {
                node.exact.offer(shared, left, &mut found);
            }
            let next = elements.get(shared).copied();
            let others = node.children.iter().filter(|(name, _)| Some(&***name) != next);
            for (_, child) in others {
                if *left == 0 {
                    return found;
                }
                child.offer(shared, left, &mut found);
            }
        }
        found
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
    /// Adds all that stands here and below to `found`, as far as `left` goes. Without recursion: what is below
    /// may be as deep as paths are long.
    fn offer<'a>(&'a self, shared: usize, left: &mut usize, found: &mut Vec<(usize, &'a Candidate)>) {
        let mut stack = vec![self];
        while let Some(node) = stack.pop().filter(|_| *left > 0) {
            *left -= 1;
            node.exact.offer(shared, left, found);
            node.prefix.offer(shared, left, found);
            stack.extend(node.children.values().take(*left).map(|child| &**child));
        }
    }

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
