//! Who refers to what, so that a change finds what depends on it without looking at everything.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use sluice_intent::{Kind, Namespace, Resource, ResourceId, Spec};

use super::reference::{self, Role};
use super::source::{self, Source};
use super::world::Id;

/// Port and hostname of a listener; an empty hostname is every one.
pub(super) type Place = (u16, String);

/// Reverse edges between resources. Persistent: a change shares what it does not touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// By what is referred to, whether that exists or not.
    referrers: OrdMap<Id, OrdSet<Id>>,
    /// What refers into a namespace from another one, which takes a ReferenceGrant there.
    foreign: OrdMap<Namespace, OrdSet<Id>>,
    /// The policies attached to a resource.
    attached: OrdMap<Id, OrdSet<Id>>,
    /// By Secret or ConfigMap and what it is used as.
    users: OrdMap<(Id, Role), OrdSet<Id>>,
    /// The Gateways that listen at a place. More than one is a conflict.
    places: OrdMap<Place, OrdSet<Id>>,
    /// The Backends whose endpoints this source knows.
    sources: OrdMap<Source, OrdSet<Id>>,
}

impl Index {
    pub(super) fn insert(&mut self, id: &Id, resource: &Resource) {
        let add = |set: &mut OrdSet<Id>| set.insert(Arc::clone(id));
        for target in reference::targets(resource) {
            if is_foreign(&target, id) {
                add(self.foreign.entry(target.namespace.clone()).or_default());
            }
            add(self.referrers.entry(Arc::new(target)).or_default());
        }
        for target in reference::attached_to(resource) {
            add(self.attached.entry(Arc::new(target)).or_default());
        }
        for (secret, role) in reference::credential_uses(resource) {
            add(self.users.entry((Arc::new(secret), role)).or_default());
        }
        for place in places(resource) {
            add(self.places.entry(place).or_default());
        }
        for source in source::sources_of(resource) {
            add(self.sources.entry(source).or_default());
        }
    }

    pub(super) fn remove(&mut self, id: &ResourceId, resource: &Resource) {
        for target in reference::targets(resource) {
            if is_foreign(&target, id) {
                take(&mut self.foreign, &target.namespace, id);
            }
            take(&mut self.referrers, &target, id);
        }
        for target in reference::attached_to(resource) {
            take(&mut self.attached, &target, id);
        }
        for (secret, role) in reference::credential_uses(resource) {
            take(&mut self.users, &(Arc::new(secret), role), id);
        }
        for place in places(resource) {
            take(&mut self.places, &place, id);
        }
        for source in source::sources_of(resource) {
            take(&mut self.sources, &source, id);
        }
    }

    /// The resources that refer to `target`, by id.
    pub(super) fn referrers(&self, target: &ResourceId) -> impl Iterator<Item = &Id> {
        self.referrers.get(target).into_iter().flatten()
    }

    /// What refers into `namespace` from another one, by id.
    pub(super) fn foreign(&self, namespace: &Namespace) -> impl Iterator<Item = &Id> {
        self.foreign.get(namespace).into_iter().flatten()
    }

    /// The policies attached to `target`, by id.
    pub(super) fn attached(&self, target: &ResourceId) -> impl Iterator<Item = &Id> {
        self.attached.get(target).into_iter().flatten()
    }

    /// What uses the Secret or ConfigMap `used` in this role, by id.
    pub(super) fn users(&self, used: &ResourceId, role: Role) -> impl Iterator<Item = &Id> {
        let key = (Arc::new(used.clone()), role);
        self.users.get(&key).into_iter().flatten()
    }

    /// The Gateways that listen on `port`, by id.
    pub(super) fn on_port(&self, port: u16) -> OrdSet<Id> {
        let from = (port, String::new());
        let places = self.places.range(from..);
        places
            .take_while(|((other, _), _)| *other == port)
            .flat_map(|(_, gateways)| gateways.iter().cloned())
            .collect()
    }

    /// The Gateways that listen at `place`, by id.
    pub(super) fn at(&self, place: &Place) -> impl Iterator<Item = &Id> {
        self.places.get(place).into_iter().flatten()
    }

    /// The Backends whose endpoints `source` knows, by id.
    pub(super) fn fed_by(&self, source: &Source) -> impl Iterator<Item = &Id> {
        self.sources.get(source).into_iter().flatten()
    }

    /// Every source, with the Backends that depend on it.
    pub(super) fn sources(&self) -> &OrdMap<Source, OrdSet<Id>> {
        &self.sources
    }
}

/// Takes one member out of the set under `key`, and the set with its last.
fn take<K, Q>(sets: &mut OrdMap<K, OrdSet<Id>>, key: &Q, member: &ResourceId)
where
    K: Ord + Clone + std::borrow::Borrow<Q>,
    Q: Ord + ?Sized,
{
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(member);
    if set.is_empty() {
        sets.remove(key);
    }
}

/// Whether a reference from `from` to `to` takes a ReferenceGrant. Routes are let into Gateways of
/// other namespaces by the listeners' `allowedRoutes` instead.
fn is_foreign(to: &ResourceId, from: &ResourceId) -> bool {
    to.namespace != from.namespace && to.kind != Kind::Gateway
}

/// Where a Gateway listens.
pub(super) fn places(resource: &Resource) -> impl Iterator<Item = Place> {
    let listeners = match &resource.spec {
        Spec::Gateway(spec) => spec.listeners.as_slice(),
        _ => &[],
    };
    listeners.iter().map(|listener| {
        let hostname = listener
            .hostname
            .as_ref()
            .map_or("", |hostname| hostname.as_str());
        (listener.port, hostname.to_owned())
    })
}
