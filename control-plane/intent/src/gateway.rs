//! `Gateway` and `GatewayClass` of the Gateway API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ApiGroup, ApiKind, HostnamePattern, Namespace, ObjectName, SectionName};
use crate::selector::LabelSelector;
use crate::tls::{GatewayTls, ListenerTls};

/// The annotation of a Gateway that says which proxies it is for: a label selector in the grammar of
/// kubectl, such as `zone=eu,tier in (edge,test)`. Without it, it is for all of them.
pub const PROXY_SELECTOR: &str = "sluice.dev/proxy-selector";

/// The controller that serves Gateways of a class. Read and kept; nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// Domain-prefixed name of the controller, such as `sluice.dev/gateway`.
    #[schemars(length(min = 1, max = 253))]
    pub controller_name: String,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub description: Option<String>,
    /// A resource with further settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<ParametersRef>,
}

/// A resource with settings of a GatewayClass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParametersRef {
    /// Its API group.
    pub group: ApiGroup,
    /// Its kind.
    pub kind: ApiKind,
    /// Its name.
    pub name: ObjectName,
    /// Its namespace, if its kind has namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
}

/// Where the fleet listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-sluice-unsupported" =
    ["addresses", "allowedListeners", "backendTLS", "defaultScope", "infrastructure", "trustedProxies"]))]
pub struct GatewaySpec {
    /// The class of this Gateway; any name is served.
    pub gateway_class_name: ObjectName,
    /// Ports and hostnames; no two with the same name, or the same port and hostname.
    #[schemars(length(min = 1, max = 64))]
    pub listeners: Vec<Listener>,
    /// TLS of all listeners, where they say nothing themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<GatewayTls>,
}

/// One port and hostname that routes attach to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name of the listener, unique within its Gateway; a route's `sectionName`.
    pub name: SectionName,
    /// TCP port, 1 to 65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What is spoken on the port.
    pub protocol: ListenerProtocol,
    /// Hostname that is served; without it, every hostname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<HostnamePattern>,
    /// How TLS ends, with protocol `HTTPS` and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Which routes may attach; routes of the same namespace when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
}

/// What is spoken on a listener's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-sluice-unsupported" = ["TLS", "TCP", "UDP"]))]
pub enum ListenerProtocol {
    /// HTTP/1.1 and HTTP/2 without TLS.
    #[serde(rename = "HTTP")]
    Http,
    /// HTTP/1.1 and HTTP/2 with TLS, which of them by ALPN.
    #[serde(rename = "HTTPS")]
    Https,
}

/// Which routes may attach to a listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRoutes {
    /// Namespaces whose routes may attach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<RouteNamespaces>,
    /// Kinds of route that may attach; every kind that the protocol allows when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub kinds: Vec<RouteGroupKind>,
}

/// Namespaces whose routes may attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteNamespaces {
    /// Which namespaces; `Same` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<FromNamespaces>,
    /// Labels of the namespaces, with `from: Selector` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Which namespaces routes may attach from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FromNamespaces {
    /// Every namespace.
    All,
    /// The Gateway's own.
    #[default]
    Same,
    /// Those whose labels the selector takes.
    Selector,
}

/// A kind of route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteGroupKind {
    /// API group; `gateway.networking.k8s.io` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind, such as `HTTPRoute`.
    pub kind: ApiKind,
}
