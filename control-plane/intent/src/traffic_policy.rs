//! `TrafficPolicy`: bounds on what clients may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::Duration;
use crate::experiment::TargetRef;
use crate::quantity::Quantity;

/// Bounds on what clients may do, for Gateways, listeners, routes or rules. Field by field, what is
/// more precise holds, and of two policies for the same the older one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicySpec {
    /// Gateways, or listeners of them; or HTTPRoutes, or rules of them, for which `requestBodyBytes` is all there is.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<TargetRef>,
    /// Most of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<TrafficLimits>,
    /// Longest waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TrafficTimeouts>,
    /// Slowest clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_rates: Option<MinimumRates>,
}

/// Most of each; past it there is a clear answer and a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficLimits {
    /// Connections of a listener at a time, of each proxy; 65536 when nobody says anything, or `unlimited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<Quantity>,
    /// Connections of a listener at a time per client address, of each proxy; `unlimited` when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<Quantity>,
    /// Bytes of a request's head, at most 1Mi; 32Ki when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_header_bytes: Option<Quantity>,
    /// Header lines of a request, at most 1000; 100 when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Quantity>,
    /// Bytes of a request's target, at most 1Mi; 8Ki when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_bytes: Option<Quantity>,
    /// Bytes of a request's body; 1Gi when nobody says anything, or `unlimited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body_bytes: Option<Quantity>,
    /// Requests of one connection; 100000 when nobody says anything, or `unlimited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<Quantity>,
}

/// Longest waits; `0s` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficTimeouts {
    /// For a request's whole head; 15s when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_head: Option<Duration>,
    /// Between two pieces of a request's body; 30s when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Duration>,
    /// Between two requests of a connection; 75s when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}

/// Slowest clients, in bytes per second on average; `0` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinimumRates {
    /// Of what a client sends of a body; 100 when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Quantity>,
    /// Of what a client takes of an answer; 100 when nobody says anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Quantity>,
}
