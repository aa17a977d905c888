//! References to Backends as weights on their keys.

use sluice_intent::{BackendRef, ResourceId};
use sluice_proto::v1;

use super::{backend_ref, filters};
use crate::compile::World;

/// The references of `from` with the keys of their Backends; one that dangles keeps its weight and
/// answers 500 for it.
pub(super) fn weighted(
    world: &World,
    from: &ResourceId,
    references: &[BackendRef],
) -> Vec<v1::WeightedBackend> {
    let weighted = |written: &BackendRef| v1::WeightedBackend {
        backend: backend_ref::key(world, from, written.target()),
        weight: written.weight(),
        filters: filters::of_backend(world, from, &written.filters),
    };
    references.iter().map(weighted).collect()
}
