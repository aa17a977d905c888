//! Where the endpoints of a Backend are discovered: etcd, or DNS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{DnsName, EtcdKey, Hostname, Uri};
use crate::secret_ref::SecretRef;

/// Where endpoints are discovered: exactly one of the fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "DiscoveryFields", into = "DiscoveryFields")]
#[schemars(rename = "BackendDiscovery")]
pub enum Discovery {
    /// Services register themselves in etcd.
    Etcd(Box<EtcdDiscovery>),
    /// A name has them.
    Dns(DnsDiscovery),
}

/// Endpoints that are registered in etcd by the layout of its gRPC naming: under `SERVICE/` one key for each, whose value is JSON with `Addr` and maybe `Metadata`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EtcdDiscovery {
    /// Clients' URLs of one etcd cluster, `http://` or all `https://`; the next one is tried when one fails.
    #[schemars(length(min = 1, max = 16))]
    pub endpoints: Vec<Uri>,
    /// What the keys of the service begin with, without the `/` before the last part.
    pub service: EtcdKey,
    /// Secret with `username` and `password`; without it nobody logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretRef>,
    /// TLS to etcd: with `https://`, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<EtcdTls>,
}

/// TLS from the control plane to etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EtcdTLS")]
pub struct EtcdTls {
    /// Secrets or ConfigMaps with `ca.crt`, to any of which etcd's certificate leads.
    #[serde(rename = "caCertificateRefs")]
    #[schemars(length(min = 1, max = 8))]
    pub ca_certificate_refs: Vec<SecretRef>,
    /// Name that the certificate has to have; that of the URL when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// Secret of type `kubernetes.io/tls` whose certificate is shown to etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretRef>,
}

/// Endpoints that a DNS name has, looked up anew when the answer's time to live is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsDiscovery {
    /// The name, such as `shop.internal`, or `_http._tcp.shop.internal` for SRV.
    pub name: DnsName,
    /// TCP port of the endpoints, 1 to 65535: with type `A`, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// What is looked up; `A` when left out.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub record: Option<DnsRecord>,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DNSRecordType")]
pub enum DnsRecord {
    /// Addresses, A and AAAA.
    #[default]
    A,
    /// Names with ports and weights, of the lowest priority that can be looked up.
    #[serde(rename = "SRV")]
    Srv,
}

/// Not exactly one way to discover endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have exactly one of `etcd` and `dns`")]
pub struct DiscoveryError;

/// Discovery as it is written: exactly one of the fields.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct DiscoveryFields {
    /// Services register themselves in etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    etcd: Option<Box<EtcdDiscovery>>,
    /// A name has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<DnsDiscovery>,
}

impl TryFrom<DiscoveryFields> for Discovery {
    type Error = DiscoveryError;

    fn try_from(fields: DiscoveryFields) -> Result<Self, DiscoveryError> {
        match (fields.etcd, fields.dns) {
            (Some(etcd), None) => Ok(Self::Etcd(etcd)),
            (None, Some(dns)) => Ok(Self::Dns(dns)),
            _ => Err(DiscoveryError),
        }
    }
}

impl From<Discovery> for DiscoveryFields {
    fn from(discovery: Discovery) -> Self {
        match discovery {
            Discovery::Etcd(etcd) => Self {
                etcd: Some(etcd),
                dns: None,
            },
            Discovery::Dns(dns) => Self {
                etcd: None,
                dns: Some(dns),
            },
        }
    }
}
