//! `HTTPRoute` of the Gateway API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backend_ref::BackendRef;
use crate::duration::Duration;
use crate::filter::Filter;
use crate::names::{ApiGroup, ApiKind, HostnamePattern, Namespace, ObjectName, SectionName, Token};

/// Which requests go where, and what is changed on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPRouteSpec", extend("x-sluice-unsupported" = ["useDefaultGateways"]))]
pub struct HttpRouteSpec {
    /// The Gateways and listeners that the route attaches to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub parent_refs: Vec<ParentRef>,
    /// Hostnames that are served, as far as the listener serves them too; all of the listener's when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub hostnames: Vec<HostnamePattern>,
    /// What to do with which requests; at most 128 matches in all. One rule that takes every request when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<Rule>,
}

/// A Gateway, or one of its listeners, that a route attaches to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// API group; `gateway.networking.k8s.io` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ApiGroup>,
    /// Kind; `Gateway` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ApiKind>,
    /// Namespace; that of the route when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// Name of the Gateway.
    pub name: ObjectName,
    /// Name of the listener; all of them when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<SectionName>,
    /// Port of the listeners, 1 to 65535; any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// Requests that match, and what to do with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPRouteRule", extend("x-sluice-unsupported" = ["retry", "sessionPersistence"]))]
pub struct Rule {
    /// Name of the rule, unique within its route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<SectionName>,
    /// Conditions, any of which takes the request; every request when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub matches: Vec<Match>,
    /// What is changed on the way; each type at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub filters: Vec<Filter>,
    /// Where the requests go; 500 is answered when there is neither a backend nor a redirect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub backend_refs: Vec<BackendRef>,
    /// How long requests may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
}

/// Conditions on a request, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPRouteMatch")]
pub struct Match {
    /// Condition on the path; the prefix `/`, which every path has, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// Conditions on headers, each of another name; names are case-insensitive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<ValueMatch>,
    /// Conditions on query parameters, each of another name; names are case-sensitive, values at most 1024 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub query_params: Vec<ValueMatch>,
    /// The method; any when left out. HEAD is not GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// Condition on the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HTTPPathMatch")]
pub struct PathMatch {
    /// How the value is compared; `PathPrefix` when left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub match_type: Option<PathMatchType>,
    /// What the path is compared with; `/` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub value: Option<String>,
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// The same, to the byte.
    Exact,
    /// The same in the first path elements: `/v2` takes `/v2` and `/v2/x`, not `/v2example`.
    #[default]
    PathPrefix,
    /// The whole path matches the regular expression.
    RegularExpression,
}

/// Condition on a header or a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HTTPValueMatch")]
pub struct ValueMatch {
    /// How the value is compared; `Exact` when left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub match_type: Option<ValueMatchType>,
    /// Name of the header or the query parameter.
    pub name: Token,
    /// What its value is compared with.
    #[schemars(length(min = 1, max = 4096))]
    pub value: String,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ValueMatchType {
    /// The same, to the byte.
    #[default]
    Exact,
    /// The whole value matches the regular expression.
    RegularExpression,
}

/// Method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "HTTPMethod")]
pub enum Method {
    /// CONNECT.
    Connect,
    /// DELETE.
    Delete,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// PATCH.
    Patch,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// TRACE.
    Trace,
}

/// How long a request may take; past it, 504 is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HTTPRouteTimeouts")]
pub struct Timeouts {
    /// From the request's head to the response's end, all attempts together; `0s` means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// One attempt; at most `request`. `0s` means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
}

impl Match {
    /// How the path is compared and with what, with the defaults filled in.
    pub fn path(&self) -> (PathMatchType, &str) {
        match &self.path {
            Some(path) => (
                path.match_type.unwrap_or_default(),
                path.value.as_deref().unwrap_or("/"),
            ),
            None => (PathMatchType::PathPrefix, "/"),
        }
    }
}

impl Method {
    /// The method as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
        }
    }
}
