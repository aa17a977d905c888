//! `Backend`: a named upstream service and its endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::discovery::Discovery;
use crate::duration::Duration;
use crate::meta::Labels;
use crate::names::HostAddress;
use crate::tls::BackendTls;

/// A named upstream service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-sluice-unsupported" = ["healthCheck", "limits", "loadBalancer"]))]
pub struct BackendSpec {
    /// What is spoken to the endpoints; `http` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<BackendProtocol>,
    /// Ports that references may name, each 1 to 65535. Without any, the port of a reference is ignored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 1)))]
    pub ports: Vec<u16>,
    /// Where the service is; with none, 503 is answered. Either these or `discovery`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10_000))]
    pub endpoints: Option<Vec<Endpoint>>,
    /// Who knows where the service is. Either this or `endpoints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery: Option<Discovery>,
    /// Longest wait for a connection, more than `0s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// When endpoints that fail are left out for a while.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the endpoints; without it, or a BackendTLSPolicy, none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

/// What is spoken to the endpoints of a Backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-sluice-unsupported" = ["https", "h2"]))]
pub enum BackendProtocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2: by prior knowledge, with TLS by ALPN.
    H2c,
}

/// One address of a Backend; no two with the same address and port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// IP address, or host name to look up.
    pub address: HostAddress,
    /// TCP port, 1 to 65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Part of the traffic in proportion to the other endpoints, 0 to 1,000,000; 1 when left out, 0 gets nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub weight: Option<u32>,
    /// What the endpoint is selected by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// Passive health: endpoints that fail are left out for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// Failures in a row that eject an endpoint, at most 1,000,000; 0 switches ejection off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000))]
    pub consecutive_failures: Option<u32>,
    /// How long the first ejection lasts; each further one lasts as much longer. More than `0s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<Duration>,
    /// Longest ejection, at least `baseEjectionTime`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ejection_time: Option<Duration>,
    /// Most endpoints ejected at once, in percent of the Backend's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub max_ejected_percent: Option<u8>,
}

impl BackendSpec {
    /// The endpoints that are written; none with `discovery`.
    pub fn endpoints(&self) -> &[Endpoint] {
        self.endpoints.as_deref().unwrap_or_default()
    }
}

impl Endpoint {
    /// The weight, with the default of 1 filled in.
    pub fn weight(&self) -> u32 {
        self.weight.unwrap_or(1)
    }
}
