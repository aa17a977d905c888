//! References into other namespaces, which a ReferenceGrant there has to permit.

use sluice_intent::{Kind, ReferenceGrantSpec, ResourceId, Spec};

use super::World;

impl World {
    /// Whether `from` may refer to `to`: always within one namespace, else by a ReferenceGrant
    /// beside `to`.
    pub(super) fn permits(&self, from: &ResourceId, to: &ResourceId) -> bool {
        from.namespace == to.namespace
            || self
                .in_namespace(Kind::ReferenceGrant, &to.namespace)
                .any(|intent| match &intent.resource.spec {
                    Spec::ReferenceGrant(grant) => grants(grant, from, to),
                    _ => false,
                })
    }
}

/// Whether `grant`, which stands in the namespace of `to`, permits the reference. A Service means
/// the Backend of that name, here as in references.
fn grants(grant: &ReferenceGrantSpec, from: &ResourceId, to: &ResourceId) -> bool {
    let trusted = grant.from.iter().any(|one| {
        one.group.as_str() == from.kind.group()
            && one.kind.as_str() == from.kind.as_str()
            && one.namespace == from.namespace
    });
    trusted
        && grant.to.iter().any(|one| {
            let is_service = (one.group.as_str(), one.kind.as_str()) == ("", "Service");
            let kind = match is_service {
                true => Some(Kind::Backend),
                false => Kind::by_name(one.kind.as_str()).filter(|kind| kind.group() == one.group.as_str()),
            };
            kind == Some(to.kind) && one.name.as_ref().is_none_or(|name| *name == to.name)
        })
}
