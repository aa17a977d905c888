//! References to Backends: what they lead to.

use sluice_intent::{BackendTarget, ResourceId, Spec};
use sluice_model::{Key, Kind};

use super::upstream_tls;
use crate::compile::World;
use crate::compile::reference;

/// Why a reference leads to no Backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Lost {
    UnknownKind,
    NotPermitted(ResourceId),
    Missing(ResourceId),
    /// The Backend declares ports, and not this one.
    NoPort(u16),
    /// The Backend lacks what TLS to it takes, which is said of the Backend.
    Unserved,
}

/// The key of the Backend that a reference in `from` leads to.
pub(in crate::compile) fn resolve(
    world: &World,
    from: &ResourceId,
    reference: BackendTarget<'_>,
) -> Result<Key, Lost> {
    let id = reference::backend(reference, &from.namespace).ok_or(Lost::UnknownKind)?;
    // First, so that nobody learns what is there in another's namespace.
    if !world.permits(from, &id) {
        return Err(Lost::NotPermitted(id));
    }
    let Some(resource) = world.resource(&id) else {
        return Err(Lost::Missing(id));
    };
    let Spec::Backend(backend) = &resource.spec else {
        return Err(Lost::Missing(id));
    };
    if let Some(port) = reference.port
        && !backend.ports.is_empty()
        && !backend.ports.contains(&port)
    {
        return Err(Lost::NoPort(port));
    }
    if !upstream_tls::is_served(world, resource) {
        return Err(Lost::Unserved);
    }
    Key::new(Kind::Backend, &[id.namespace.as_str(), id.name.as_str()]).map_err(|_| Lost::Missing(id))
}

/// The same as it travels: empty when it leads to no Backend.
pub(super) fn key(world: &World, from: &ResourceId, reference: BackendTarget<'_>) -> String {
    resolve(world, from, reference).map_or_else(|_| String::new(), |key| key.to_string())
}
