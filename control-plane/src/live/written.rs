//! What comes of a write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_intent::ResourceId;
use sluice_model::{Revision, Violation};
use thiserror::Error;

use crate::compile::Changed;
use crate::store::{StoreError, Verb};

/// The answer to a write. Kept with the revision, so that a repeated write gets the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The revision that holds the change; the newest one when nothing changed. Of a dry run, the
    /// one that it would be.
    pub revision: Revision,
    /// What happened to each resource.
    pub changes: Vec<ChangeReport>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Violation>,
}

/// What happened to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeReport {
    /// `HTTPRoute`, `Backend`, ...
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `created`, `updated`, `deleted` or `unchanged`.
    pub action: String,
}

/// Why a write was not made. Unless said otherwise, nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The state after it would not be right.
    #[error("{}", counted(.0.len()))]
    Refused(Vec<Violation>),
    /// Whoever asks may not do this to these resources.
    #[error("the token does not allow it: {}", forbidden(.0))]
    Forbidden(Vec<(Verb, ResourceId)>),
    /// What it changes does not exist.
    #[error("{0} does not exist")]
    NotFound(ResourceId),
    /// The resource is not as the client expects.
    #[error("{id} is not as expected")]
    Precondition {
        /// Which resource.
        id: ResourceId,
        /// Revision of its content, if it exists.
        current: Option<Revision>,
    },
    /// Touched resources changed after the base revision.
    #[error("changed since the base revision: {}", list(.0))]
    Raced(Vec<ResourceId>),
    /// The base revision is not one of this history's.
    #[error("revision {0} does not exist yet")]
    FutureBase(Revision),
    /// Others wrote at the same time, again and again.
    #[error("other writes kept coming first")]
    Contended,
    /// The database vanished while it committed: the write may be there or not. The same write with
    /// its idempotency key will tell.
    #[error("the outcome of the write is unknown")]
    Unknown,
    /// The store cannot be written to.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control plane is shutting down.
    #[error("the control plane is shutting down")]
    Closed,
}

impl Written {
    /// The answer to `changed`, as `revision`.
    pub(super) fn new(revision: Revision, changed: &Changed) -> Self {
        let changes = changed.actions.iter().map(|(id, action)| ChangeReport {
            kind: id.kind.to_string(),
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            action: action.as_str().to_owned(),
        });
        Self {
            revision,
            changes: changes.collect(),
            warnings: changed.warnings.clone(),
        }
    }
}

/// The first few of what is not allowed.
fn forbidden(missing: &[(Verb, ResourceId)]) -> String {
    let named = missing.iter().take(5).map(|(verb, id)| format!("{verb} {id}"));
    named.collect::<Vec<_>>().join(", ")
}

/// `1 violation`, `2 violations`.
pub(crate) fn counted(violations: usize) -> String {
    match violations {
        1 => "1 violation".to_owned(),
        more => format!("{more} violations"),
    }
}

/// The first few of a list of ids.
fn list(ids: &[ResourceId]) -> String {
    let named: Vec<_> = ids.iter().take(5).map(ToString::to_string).collect();
    named.join(", ")
}
