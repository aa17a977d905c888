//! Requests of one kind of hosts and paths, and who may take them before and after.

use std::{collections::BTreeSet, sync::Arc};

use http::Method;
use sluice_model::{Hostname, Match};

use super::{
    demand::Values,
    describe::scheme_text,
    facet::{Told, facets},
    found::{Difference, Meeting},
    heard::{Entry, Heard},
    outcome::Outcome,
    pairs::Traits,
    touched::identity,
    witness::{Witness, query},
};

/// Methods of witnesses, the usual first.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"];

/// Hosts of one kind, on one port.
pub(super) struct Spot<'a> {
    pub(super) port: u16,
    pub(super) hostname: Hostname,
    /// One, or two that stand for all.
    pub(super) hosts: Vec<String>,
    pub(super) sides: [Heard<'a>; 2],
    /// Whether the listener is another, so that any rule may be met by any.
    pub(super) is_moved: bool,
}

/// Requests of one kind of hosts and paths.
pub(super) struct Cell<'c, 'a> {
    pub(super) spot: &'c Spot<'a>,
    /// One path, or two that stand for all.
    pub(super) paths: &'c [String],
    pub(super) lists: [Vec<Entry<'a>>; 2],
    pub(super) traits: [Vec<Traits>; 2],
    /// A method that no rule here names.
    pub(super) free_method: String,
}

impl<'a> Spot<'a> {
    pub(super) fn new(port: u16, hostname: Hostname, hosts: Vec<String>, sides: [Heard<'a>; 2]) -> Self {
        let listener = |side: usize| sides[side].listener.map(|one| (&one.key, one.scheme()));
        let is_moved = listener(0) != listener(1) || sides[0].listener.is_none();
        Self {
            port,
            hostname,
            hosts,
            sides,
            is_moved,
        }
    }
}

impl<'a> Cell<'_, 'a> {
    /// What tells the two, where they stand, from all others.
    pub(super) fn meeting(&self, pair: (usize, usize)) -> Meeting {
        let place = |side: usize, at: usize| match self.lists[side].get(at) {
            Some(entry) => (entry.table, identity(&entry.candidate.rule), entry.candidate.at),
            // Nothing stands there; the listener tells it from others.
            None => {
                let listener = self.spot.sides[side].listener;
                (0, 0, listener.map_or(0, |one| std::ptr::from_ref(&**one).addr()))
            }
        };
        let (old, new) = (place(0, pair.0), place(1, pair.1));
        Meeting([old.0, old.1, old.2, new.0, new.1, new.2, self.spot.port.into()])
    }

    /// What the two ask for.
    pub(super) fn wanted(&self, pair: (usize, usize)) -> impl Iterator<Item = &'a Match> {
        let entry =
            |side: usize, at: usize| self.lists[side].get(at).map(|entry| entry.candidate.conditions());
        entry(0, pair.0).into_iter().chain(entry(1, pair.1))
    }

    /// What stands before the two.
    pub(super) fn others(&self, pair: (usize, usize)) -> Vec<&'a Match> {
        let old = self.lists[0].iter().take(pair.0);
        let new = self.lists[1].iter().take(pair.1);
        old.chain(new).map(|entry| entry.candidate.conditions()).collect()
    }

    /// A request of this kind. `None` for values that cannot arrive: white space around a header's is taken off before.
    pub(super) fn request(&self, method: &str, values: &Values) -> Option<Witness> {
        let is_trimmed = |value: &str| value.trim_matches([' ', '\t']).len() == value.len();
        if !values.headers.iter().all(|(_, value)| is_trimmed(value)) {
            return None;
        }
        let listeners = self.spot.sides.iter().rev();
        let scheme = listeners
            .filter_map(|side| side.listener)
            .map(|one| one.scheme())
            .next();
        let parameters = values.query.iter();
        let parameters: Vec<(&str, &str)> = parameters.map(|(name, value)| (&**name, &**value)).collect();
        Some(Witness {
            port: self.spot.port,
            scheme: scheme.map_or("http", scheme_text),
            method: method.into(),
            host: self.spot.hosts[0].clone(),
            path: self.paths[0].clone(),
            query: query(&parameters),
            headers: values.headers.clone(),
        })
    }

    /// Routes the request through both snapshots, in which the two have these outcomes. `None` when one of them
    /// takes it in another way than it was found here.
    pub(super) fn compare(
        &self,
        pair: (usize, usize),
        outcomes: [Arc<Outcome>; 2],
        request: &Witness,
    ) -> Option<Difference> {
        let places = [pair.0, pair.1];
        let locations = request.with_view(|view| {
            let location = |side: usize| {
                let matched = self.spot.sides[side].snapshot.route(request.port, view);
                let expected = self.lists[side].get(places[side]).map(|entry| entry.candidate);
                let (matched, expected) = match (matched, expected) {
                    (None, None) => return Some(None),
                    (Some(matched), Some(expected)) => (matched, expected),
                    (None, Some(_)) | (Some(_), None) => return None,
                };
                if identity(matched.rule) != identity(&expected.rule) || matched.match_index != expected.at {
                    return None;
                }
                Some(matched.location(view))
            };
            Some([location(0)?, location(1)?])
        })??;
        let told = |side: usize| Told {
            outcome: &outcomes[side],
            location: locations[side].clone(),
        };
        let facets = facets(&told(0), &told(1), &request.path);
        Some(Difference {
            facets,
            outcomes,
            locations,
            witness: request.clone(),
        })
    }
}

/// A method that no rule of the lists names.
pub(super) fn free_method(lists: &[Vec<Entry<'_>>; 2]) -> String {
    let named: BTreeSet<&str> = lists
        .iter()
        .flatten()
        .filter_map(|entry| entry.candidate.conditions().method.as_ref())
        .map(Method::as_str)
        .collect();
    let others = (0..).map(|number| format!("OTHER{number}"));
    let all = METHODS.into_iter().map(String::from).chain(others);
    all.into_iter()
        .find(|method| !named.contains(method.as_str()))
        .unwrap_or_default()
}
