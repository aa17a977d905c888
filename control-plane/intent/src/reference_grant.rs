//! `ReferenceGrant` of the Gateway API: which references may cross into a namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ApiGroup, ApiKind, Namespace, ObjectName};

/// References from other namespaces that this one's resources accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReferenceGrantSpec {
    /// Who may refer: any of these.
    #[schemars(length(min = 1, max = 16))]
    pub from: Vec<GrantFrom>,
    /// What may be referred to: any of these, in the grant's own namespace.
    #[schemars(length(min = 1, max = 16))]
    pub to: Vec<GrantTo>,
}

/// Resources that may refer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReferenceGrantFrom")]
pub struct GrantFrom {
    /// Their API group.
    pub group: ApiGroup,
    /// Their kind, such as `HTTPRoute` or `Gateway`.
    pub kind: ApiKind,
    /// Their namespace.
    pub namespace: Namespace,
}

/// Resources that may be referred to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReferenceGrantTo")]
pub struct GrantTo {
    /// Their API group; empty is the core group, of `Secret` and `Service`.
    pub group: ApiGroup,
    /// Their kind, such as `Backend`, `Service` or `Secret`.
    pub kind: ApiKind,
    /// The name of the only one; every one of the kind when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,
}
