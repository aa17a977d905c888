//! Which rules meet in a request: the same two make the same of every request that they meet in, but for
//! what follows its host and path.

use std::collections::BTreeSet;

use http::{HeaderName, header::HOST};

use crate::{
    Matched, RequestView, Snapshot,
    diff::{
        describe,
        facet::{Facet, Told, facets},
        outcome::Outcome,
        outcome_of_taken,
        touched::identity,
        witness::Witness,
    },
};

/// The rules, matches and listeners of one request, by where they stand in memory; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Meeting {
    port: u16,
    stands: [[usize; 3]; 2],
}

/// What comes of a meeting.
#[derive(Clone, Copy, Debug)]
pub(super) enum Met {
    /// Nothing changes.
    Same,
    /// The class has it, and so much of it goes elsewhere: 0 to 1.
    Changed { class: usize, moved: f64 },
    /// It depends on host and path whether the class has it.
    Depends { class: usize },
    /// There are too many classes to tell.
    Beyond,
}

/// One request, and who took it on either side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'r, 'a> {
    pub(super) snapshots: [&'a Snapshot; 2],
    pub(super) port: u16,
    pub(super) request: &'r RequestView<'r>,
    pub(super) taken: [Option<Matched<'a>>; 2],
}

impl Seen<'_, '_> {
    pub(super) fn meeting(&self) -> Meeting {
        let stand = |side: usize| match self.taken[side] {
            Some(matched) => {
                let listener = std::ptr::from_ref(&**matched.listener).addr();
                [listener, identity(matched.rule), matched.match_index]
            }
            None => {
                let listener = self.snapshots[side].listener_for(self.port, self.request.host);
                [listener.map_or(0, |one| std::ptr::from_ref(&**one).addr()), 0, 0]
            }
        };
        Meeting {
            port: self.port,
            stands: [stand(0), stand(1)],
        }
    }

    pub(super) fn outcomes(&self) -> [Outcome; 2] {
        [0, 1].map(|side| outcome_of_taken(self.snapshots[side], self.port, self.request, self.taken[side]))
    }

    /// About how many bytes both outcomes have.
    pub(super) fn cost(&self) -> u64 {
        let of = |side: usize| {
            let matched = self.taken[side];
            matched.map_or(0, |matched| {
                describe::weight_of(self.snapshots[side], matched.rule)
            })
        };
        of(0) + of(1)
    }

    /// Where it is redirected to on either side.
    pub(super) fn locations(&self) -> [Option<String>; 2] {
        self.taken.map(|matched| matched?.location(self.request))
    }

    /// What of `outcomes`, which are this request's, it experiences in another way.
    pub(super) fn facets(&self, outcomes: &[Outcome; 2]) -> BTreeSet<Facet> {
        let [old, new] = self.locations();
        let told = |side: usize, location| Told {
            outcome: &outcomes[side],
            location,
        };
        facets(&told(0, old), &told(1, new), self.request.path)
    }

    /// The request in words. Its host stands in the URL.
    pub(super) fn witness(&self) -> Witness {
        let request = self.request;
        let listeners = [1, 0].map(|side| self.snapshots[side].listeners().find(|one| one.port == self.port));
        let scheme = listeners.into_iter().flatten().next();
        let header = |name: &HeaderName| Some((name.to_string(), request.header(name)?.into_owned()));
        let headers = request.headers.keys().filter(|name| *name != HOST);
        Witness {
            port: self.port,
            scheme: scheme.map_or("http", |listener| describe::scheme_text(listener.scheme())),
            method: request.method.to_string(),
            host: request.host.to_owned(),
            path: request.path.to_owned(),
            query: request.query.map(ToOwned::to_owned),
            headers: headers.filter_map(header).collect(),
        }
    }
}
