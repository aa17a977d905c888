//! References to Secrets, and to ConfigMaps where roots of trust are wanted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ApiGroup, ApiKind, Namespace, ObjectName};

/// A Secret with a certificate, or a Secret or ConfigMap with certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// API group; the core group, where both are, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind; `Secret` when left out. `ConfigMap` goes with certificate authorities only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ApiKind>,
    /// Its name.
    pub name: ObjectName,
    /// Its namespace; that of the resource with the reference when left out. Another one takes a ReferenceGrant there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}
