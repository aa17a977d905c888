//! References to Secrets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ApiGroup, ApiKind, Namespace, ObjectName};

/// A Secret with a certificate or with certificate authorities.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// API group; the core group, where Secrets are, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind; `Secret` when left out. There are no ConfigMaps here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ApiKind>,
    /// Name of the Secret.
    pub name: ObjectName,
    /// Namespace of the Secret; that of the resource with the reference when left out. Another one takes a ReferenceGrant there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}
