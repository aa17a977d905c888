//! Who hears a request for a host, and in which order.

use std::sync::Arc;

use regex::Regex;
use sluice_model::{HeaderMatch, Listener};

use crate::{RequestView, Snapshot, candidate::Candidate, trie::PathTable};

/// What one snapshot has for one kind of hosts on one port.
#[derive(Clone)]
pub(super) struct Heard<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) listener: Option<&'a Arc<Listener>>,
    pub(super) tables: Vec<&'a PathTable>,
}

/// A candidate, and the table it was found in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) table: usize,
}

/// Which candidates of expressions belong to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expressions {
    /// Those that match the path.
    Matching,
    /// All: the path stands for others too.
    All,
}

impl<'a> Heard<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, port: u16, host: &str) -> Self {
        let (listener, tables) = match snapshot.table.tables(port, host) {
            Some((listener, tables)) => (Some(listener), tables),
            None => (None, Vec::new()),
        };
        Self {
            snapshot,
            listener,
            tables,
        }
    }

    /// The candidates for `path`, best first, up to the first that takes everything.
    pub(super) fn contenders(&self, path: &str, expressions: Expressions) -> Vec<Entry<'a>> {
        let on_path = |regex: &Regex| expressions == Expressions::All || regex.is_match(path);
        let mut list = Vec::new();
        for table in &self.tables {
            let address = std::ptr::from_ref(*table).addr();
            for candidate in table.contenders(path, on_path) {
                list.push(Entry {
                    candidate,
                    table: address,
                });
                let is_certain = expressions == Expressions::Matching || candidate.expression().is_none();
                if is_certain && candidate.is_unconditional() {
                    return list;
                }
            }
        }
        list
    }
}

/// The first of `list` that holds for a request that has no other headers than `headers`; its length if
/// none does. Names are looked at first: among many rules nearly all ask for one that is not there.
pub(super) fn first(list: &[Entry<'_>], headers: &[(String, String)], request: &RequestView<'_>) -> usize {
    let is_there = |wanted: &HeaderMatch| headers.iter().any(|(name, _)| name == wanted.name.as_str());
    let holds = |entry: &Entry<'_>| {
        let wanted = &entry.candidate.conditions().headers;
        wanted.iter().all(is_there) && entry.candidate.holds(request)
    };
    list.iter().position(holds).unwrap_or(list.len())
}
