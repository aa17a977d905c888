//! What is there for nothing.

use sluice_intent::{Kind, LintRule};

use super::Finding;
use crate::compile::World;

/// What nothing refers to, and Gateways without routes.
pub(super) fn look(world: &World) -> Vec<Finding> {
    let unused = world.idle().into_iter().map(|id| {
        let message = "nothing refers to it: delete it, or name it where it is meant to be used";
        Finding::new(LintRule::Unused, &id, "", message)
    });
    let gateways = world
        .of_kind(Kind::Gateway, None)
        .map(|intent| &intent.resource.id);
    let empty = gateways.filter(|id| !world.has_routes(id)).map(|id| {
        let message = "no route attaches to it, so every request is answered 404: attach one, or delete it";
        Finding::new(LintRule::NoRoutes, id, "", message)
    });
    unused.chain(empty).collect()
}
