//! What has to be compiled or judged anew because of a change: what is touched, and what can tell
//! the difference.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluice_intent::{Kind, ResourceId, Spec};

use super::emit::{gateway, secret, upstream_tls};
use super::reference;
use super::world::{Id, World};

/// The touched resources and everything that depends on a difference between the two worlds,
/// however far away.
pub(super) fn affected(base: &World, next: &World, touched: &BTreeSet<Id>) -> BTreeSet<Id> {
    let mut affected = BTreeSet::new();
    let mut queue: Vec<Id> = touched.iter().cloned().collect();
    while let Some(id) = queue.pop() {
        if affected.insert(Arc::clone(&id)) {
            let change = Step { base, next, id: &id };
            queue.extend(change.dependents());
        }
    }
    affected
}

/// One resource before and after.
struct Step<'a> {
    base: &'a World,
    next: &'a World,
    id: &'a ResourceId,
}

impl Step<'_> {
    /// What depends on a difference in this one.
    fn dependents(&self) -> Vec<Id> {
        let mut found = BTreeSet::new();
        if self.matters_to_referrers() {
            found.extend(self.next.index.referrers(self.id).cloned());
        }
        let (old, new) = (self.base.resource(self.id), self.next.resource(self.id));
        let versions = || [old, new].into_iter().flatten();
        match self.id.kind {
            // Takes the place of its routes' targets: those it has, and those it had.
            Kind::Experiment if self.is_different() => {
                found.extend(
                    versions()
                        .flat_map(reference::targets)
                        .filter(is(Kind::HTTPRoute))
                        .map(Arc::new),
                );
            }
            // Wired into what they are attached to, and so are the Secrets of the first.
            Kind::TrafficPolicy if self.is_different() => {
                found.extend(versions().flat_map(reference::attached_to).map(Arc::new));
            }
            Kind::BackendTLSPolicy => {
                found.extend(versions().flat_map(reference::attached_to).map(Arc::new));
            }
            Kind::ReferenceGrant => {
                found.extend(self.next.index.foreign(&self.id.namespace).cloned());
            }
            // Only Gateways look inside: at the names that it is valid for.
            Kind::Secret if self.is_different() => {
                let referrers = self.next.index.referrers(self.id);
                found.extend(referrers.filter(|id| id.kind == Kind::Gateway).cloned());
            }
            _ => {}
        }
        // Secrets and ConfigMaps travel only while something uses them.
        let used = versions().flat_map(reference::credential_uses);
        found.extend(used.map(|(id, _)| Arc::new(id)));
        found.into_iter().collect()
    }

    /// Whether what refers to this resource can tell the old from the new one.
    fn matters_to_referrers(&self) -> bool {
        let (old, new) = (self.base.resource(self.id), self.next.resource(self.id));
        let (Some(old), Some(new)) = (old, new) else {
            return old.is_some() || new.is_some();
        };
        match (&old.spec, &new.spec) {
            (Spec::Gateway(_), Spec::Gateway(_)) => {
                self.is_different() || gateway::served(self.base, old) != gateway::served(self.next, new)
            }
            // A Backend's endpoints are its own affair: moving one does not touch the routes.
            (Spec::Backend(one), Spec::Backend(other)) => {
                one.ports != other.ports
                    || upstream_tls::is_served(self.base, old) != upstream_tls::is_served(self.next, new)
            }
            (one @ (Spec::Secret(_) | Spec::ConfigMap(_)), other) => {
                secret::roles(one) != secret::roles(other)
            }
            (Spec::HttpRoute(_), _) => self.is_different(),
            _ => false,
        }
    }

    fn is_different(&self) -> bool {
        let (old, new) = (self.base.get(self.id), self.next.get(self.id));
        match (old, new) {
            (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
            (old, new) => old.is_some() || new.is_some(),
        }
    }
}

fn is(kind: Kind) -> impl Fn(&ResourceId) -> bool {
    move |id| id.kind == kind
}
