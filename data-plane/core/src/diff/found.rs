//! The classes as they are found, and their order.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::FixedState;
use serde::Serialize;
use sluice_model::Key;

use super::{facet::Facet, outcome::Outcome, place::Place, witness::Witness};

/// Requests whose outcome changes from one thing to one other.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// Key of the listener that has them before the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_before: Option<String>,
    /// Key of the listener that has them after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_after: Option<String>,
    /// The port that the Gateway names.
    pub port: u16,
    /// What happens to them now.
    pub before: Outcome,
    /// What will.
    pub after: Outcome,
    /// What of it changed for one of them at least, the most important first.
    pub facets: BTreeSet<Facet>,
    /// Where they are, the broadest first; at most as many as the bound says.
    pub places: Vec<Place>,
    /// How many places there are.
    pub place_count: usize,
    /// One of them.
    pub witness: Witness,
    /// Where the witness is redirected to before the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_before: Option<String>,
    /// Where the witness is redirected to after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_after: Option<String>,
    /// Whether all was looked at where it was found; otherwise it may be larger, and others may be near.
    pub is_proven: bool,
}

impl Class {
    /// What comes first: by how bad it is, by what of it changed, and by how much it concerns.
    fn rank(&self) -> impl Ord + use<> {
        // What fails from now on, then what is served, then what fails in another way.
        let severity = match (self.before.is_failing(), self.after.is_failing()) {
            (false, true) => 0,
            (_, false) => 1,
            (true, true) => 2,
        };
        let breadth = self.places.iter().map(Place::breadth).min();
        (
            severity,
            self.facets.first().copied(),
            breadth,
            Reverse(self.place_count),
            self.port,
            self.witness.url(),
            self.witness.headers.clone(),
        )
    }
}

/// What makes a class: port, listeners, outcomes by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) port: u16,
    pub(super) listeners: [Option<Key>; 2],
    pub(super) outcomes: [u32; 2],
}

/// Two matches that meet in one request, by where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Meeting(pub(super) [usize; 7]);

/// A difference that one request shows.
pub(super) struct Difference {
    pub(super) facets: BTreeSet<Facet>,
    pub(super) outcomes: [Arc<Outcome>; 2],
    pub(super) locations: [Option<String>; 2],
    pub(super) witness: Witness,
}

/// Classes by name, and which meetings are known to differ.
#[derive(Default)]
pub(super) struct Found {
    by_name: HashMap<Name, Option<usize>, FixedState>,
    meetings: HashMap<Meeting, Option<usize>, FixedState>,
    classes: Vec<Class>,
}

impl Found {
    /// The class of a meeting that is known to differ; `Some(None)`: one past the bound.
    pub(super) fn class_of(&self, meeting: &Meeting) -> Option<Option<usize>> {
        self.meetings.get(meeting).copied()
    }

    /// Whether the class is known.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.by_name.contains_key(name)
    }

    /// Classes that were told apart, also those past the bound.
    pub(super) fn count(&self) -> usize {
        self.by_name.len()
    }

    /// Adds a difference to its class, of which there are at most `bound`.
    pub(super) fn add(
        &mut self,
        name: Name,
        meeting: Meeting,
        difference: Difference,
        place: Place,
        (classes, places): (usize, usize),
    ) -> Option<usize> {
        let known = self.by_name.get(&name).copied();
        let at = known.unwrap_or_else(|| {
            let at = (self.classes.len() < classes).then_some(self.classes.len());
            if at.is_some() {
                self.classes.push(new_class(&name, &difference));
            }
            self.by_name.insert(name, at);
            at
        });
        let is_new = self.meetings.insert(meeting, at).is_none();
        if let Some(class) = at.and_then(|at| self.classes.get_mut(at)) {
            class.facets.extend(difference.facets);
            // The same words may come of several rules.
            if is_new && !class.places.contains(&place) {
                class.place_count += 1;
                if class.places.len() < places {
                    class.places.push(place);
                }
            }
        }
        at
    }

    /// Says of a class that not everything was looked at.
    pub(super) fn doubt(&mut self, at: usize) {
        if let Some(class) = self.classes.get_mut(at) {
            class.is_proven = false;
        }
    }

    /// All classes, the most important first.
    pub(super) fn finish(mut self) -> Vec<Class> {
        for class in &mut self.classes {
            class
                .places
                .sort_by_cached_key(|place| (place.breadth(), place.clone()));
        }
        self.classes.sort_by_cached_key(Class::rank);
        self.classes
    }
}

fn new_class(name: &Name, difference: &Difference) -> Class {
    let [listener_before, listener_after] =
        [0, 1].map(|at| name.listeners[at].as_ref().map(ToString::to_string));
    let [before, after] = [0, 1].map(|at| Outcome::clone(&difference.outcomes[at]));
    let [location_before, location_after] = difference.locations.clone();
    Class {
        listener_before,
        listener_after,
        port: name.port,
        before,
        after,
        facets: BTreeSet::new(),
        places: Vec::new(),
        place_count: 0,
        witness: difference.witness.clone(),
        location_before,
        location_after,
        is_proven: true,
    }
}
