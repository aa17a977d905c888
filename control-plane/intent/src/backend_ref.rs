//! References from routes and experiments to Backends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::names::{ApiGroup, ApiKind, Namespace, ObjectName};

/// A Backend and its weight among its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// API group; the core group when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind; `Service`, which means the Backend of that name, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ApiKind>,
    /// Name of the Backend.
    pub name: ObjectName,
    /// Namespace of the Backend; that of the resource with the reference when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// One of the Backend's `ports`, 1 to 65535; ignored when the Backend declares none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Part of the traffic in proportion to the weights beside it, 0 to 1,000,000; 1 when left out, 0 gets nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// Changes to requests that go to this Backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<Filter>,
}

/// A Backend without a weight: where copies of requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BackendObjectReference")]
pub struct BackendObjectRef {
    /// API group; the core group when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind; `Service`, which means the Backend of that name, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ApiKind>,
    /// Name of the Backend.
    pub name: ObjectName,
    /// Namespace of the Backend; that of the resource with the reference when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// One of the Backend's `ports`, 1 to 65535; ignored when the Backend declares none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

impl BackendRef {
    /// The Backend alone.
    pub const fn target(&self) -> BackendTarget<'_> {
        BackendTarget {
            group: self.group.as_ref(),
            kind: self.kind.as_ref(),
            name: &self.name,
            namespace: self.namespace.as_ref(),
            port: self.port,
        }
    }

    /// The weight, with the default of 1 filled in.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}

impl BackendObjectRef {
    /// The Backend alone.
    pub const fn target(&self) -> BackendTarget<'_> {
        BackendTarget {
            group: self.group.as_ref(),
            kind: self.kind.as_ref(),
            name: &self.name,
            namespace: self.namespace.as_ref(),
            port: self.port,
        }
    }
}

/// Which Backend a reference of either form names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendTarget<'a> {
    /// API group; the core group when left out.
    pub group: Option<&'a ApiGroup>,
    /// Kind; `Service` when left out.
    pub kind: Option<&'a ApiKind>,
    /// Name of the Backend.
    pub name: &'a ObjectName,
    /// Namespace of the Backend; that of the resource with the reference when left out.
    pub namespace: Option<&'a Namespace>,
    /// The Backend's port.
    pub port: Option<u16>,
}
