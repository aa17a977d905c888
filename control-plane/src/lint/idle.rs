//! What is there for nothing.

use sluice_intent::{Kind, LintRule, ResourceId};

use super::Finding;
use crate::compile::World;

/// What nothing refers to, and Gateways without routes.
pub(super) fn look(world: &World) -> Vec<Finding> {
    let gateways = world.of_kind(Kind::Gateway, None);
    let empty = gateways.filter_map(|intent| of(world, &intent.resource.id));
    world.idle().iter().map(unused).chain(empty).collect()
}

/// Whether a rule is about what is there for nothing. That refuses no write: what uses a thing comes after it, and goes
/// before it.
pub(super) const fn is_about(rule: LintRule) -> bool {
    matches!(rule, LintRule::NoRoutes | LintRule::Unused)
}

/// What is said of one resource.
pub(super) fn of(world: &World, id: &ResourceId) -> Option<Finding> {
    match id.kind {
        Kind::Gateway if world.get(id).is_some() && !world.has_routes(id) => {
            let message =
                "no route attaches to it, so every request is answered 404: attach one, or delete it";
            Some(Finding::new(LintRule::NoRoutes, id, "", message))
        }
        _ => world.is_idle(id).then(|| unused(id)),
    }
}

fn unused(id: &ResourceId) -> Finding {
    let message = "nothing refers to it: delete it, or name it where it is meant to be used";
    Finding::new(LintRule::Unused, id, "", message)
}
