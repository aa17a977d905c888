//! TLS: what a listener shows and asks of its clients, and what is asked of a Backend.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::experiment::TargetRef;
use crate::names::{Hostname, LabelKey, Uri};
use crate::secret_ref::SecretRef;

/// Option of a listener: the oldest version of TLS that is spoken, `1.2` or `1.3`.
pub const MIN_VERSION: &str = "sluice.dev/min-version";
/// Option of a listener: most certificates between a client's own and the root, 0 to 6.
pub const CLIENT_CERTIFICATE_DEPTH: &str = "sluice.dev/client-certificate-depth";

/// Option of a BackendTLSPolicy: name of the Secret of type `kubernetes.io/tls`, in the policy's
/// namespace, whose certificate is shown to the Backends.
pub const CLIENT_CERTIFICATE: &str = "sluice.dev/client-certificate";

/// How a listener ends TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ListenerTLS")]
pub struct ListenerTls {
    /// `Terminate`, which it is when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Secrets of type `kubernetes.io/tls`; the first whose certificate the client can verify is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub certificate_refs: Vec<SecretRef>,
    /// How clients are verified; as the Gateway says when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontend_validation: Option<ClientValidation>,
    /// Settings by name: `sluice.dev/min-version` (`1.2` or `1.3`) and `sluice.dev/client-certificate-depth` (0 to 6). Those of other domains are not looked at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"type": "string", "format": "label-key", "minLength": 1, "maxLength": 317}))]
    pub options: BTreeMap<LabelKey, String>,
}

/// Where TLS ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TLSMode", extend("x-sluice-unsupported" = ["Passthrough"]))]
pub enum TlsMode {
    /// At the proxy.
    Terminate,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinTlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// How clients are verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FrontendTLSValidation")]
pub struct ClientValidation {
    /// Secrets or ConfigMaps with `ca.crt`, to any of which a client's certificate leads, and not revoked by `ca.crl`.
    #[schemars(length(min = 1, max = 8))]
    pub ca_certificate_refs: Vec<SecretRef>,
    /// What becomes of clients without a valid certificate; `AllowValidOnly` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ClientValidationMode>,
}

/// What becomes of clients without a valid certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FrontendValidationMode")]
pub enum ClientValidationMode {
    /// They are turned away.
    AllowValidOnly,
    /// They are let in, and nobody is told that they have a certificate.
    AllowInsecureFallback,
}

/// TLS of a whole Gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "GatewayTLS", extend("x-sluice-unsupported" = ["backend"]))]
pub struct GatewayTls {
    /// Towards clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontend: Option<FrontendTls>,
}

/// TLS of a Gateway towards its clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FrontendTLS")]
pub struct FrontendTls {
    /// For every HTTPS listener that says nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<FrontendTlsConfig>,
    /// For the HTTPS listeners of single ports, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub per_port: Vec<FrontendTlsPort>,
}

/// TLS towards the clients of one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FrontendTLSPort")]
pub struct FrontendTlsPort {
    /// The port, 1 to 65535.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// What holds there, in place of the default.
    pub tls: FrontendTlsConfig,
}

/// TLS towards clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FrontendTLSConfig")]
pub struct FrontendTlsConfig {
    /// How clients are verified; not at all when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<ClientValidation>,
}

/// TLS to the Backends that are named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BackendTLSPolicySpec")]
pub struct BackendTlsPolicySpec {
    /// The Backends (or Services, which means the same), in the policy's namespace.
    #[schemars(length(min = 1, max = 16))]
    pub target_refs: Vec<TargetRef>,
    /// What is asked of their certificates.
    pub validation: TlsValidation,
    /// Settings by name: `sluice.dev/client-certificate`, a Secret of type `kubernetes.io/tls` whose certificate is shown to the Backends. Those of other domains are not looked at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"type": "string", "format": "label-key", "minLength": 1, "maxLength": 317}))]
    pub options: BTreeMap<LabelKey, String>,
}

/// What is asked of an upstream's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BackendTLSPolicyValidation")]
pub struct TlsValidation {
    /// Secrets or ConfigMaps with `ca.crt`, to any of which the certificate leads. Either these or `wellKnownCACertificates`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "caCertificateRefs")]
    #[schemars(length(max = 8))]
    pub ca_certificate_refs: Vec<SecretRef>,
    /// `System`: the roots of the proxy's operating system.
    #[serde(skip_serializing_if = "Option::is_none", rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<WellKnownCa>,
    /// Server name that is sent; without `subjectAltNames` the certificate has to be for it.
    pub hostname: Hostname,
    /// Names, any of which the certificate has to have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// Roots of trust that need no Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WellKnownCACertificates")]
pub enum WellKnownCa {
    /// Those of the proxy's operating system.
    System,
}

/// A name in an upstream's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "SubjectAltNameFields", into = "SubjectAltNameFields")]
pub enum SubjectAltName {
    /// A DNS name.
    Hostname(Hostname),
    /// A URI, such as `spiffe://cluster.example/ns/shop`.
    Uri(Uri),
}

/// TLS to one Backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "BackendTLS")]
pub struct BackendTls {
    /// What is asked of the endpoints' certificates.
    #[serde(flatten)]
    pub validation: TlsValidation,
    /// Secret of type `kubernetes.io/tls` whose certificate is shown to them; none when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretRef>,
}

impl ListenerTls {
    /// The oldest version of TLS that is spoken, if the options say so in a way that is understood.
    pub fn min_version(&self) -> Option<MinTlsVersion> {
        match self.options.get(MIN_VERSION)?.as_str() {
            "1.2" => Some(MinTlsVersion::Tls12),
            "1.3" => Some(MinTlsVersion::Tls13),
            _ => None,
        }
    }

    /// Most certificates between a client's own and the root, if the options say so in a way that
    /// is understood: 0 to 6, which is as far as chains are followed.
    pub fn client_certificate_depth(&self) -> Option<u32> {
        let depth = self.options.get(CLIENT_CERTIFICATE_DEPTH)?.parse().ok()?;
        (0..=6).contains(&depth).then_some(depth)
    }
}

impl BackendTlsPolicySpec {
    /// The Secret whose certificate is shown to the Backends, if the options name one in a way that is
    /// understood.
    pub fn client_certificate(&self) -> Option<SecretRef> {
        let name = self.options.get(CLIENT_CERTIFICATE)?.parse().ok()?;
        Some(SecretRef {
            group: None,
            kind: None,
            name,
            namespace: None,
        })
    }
}

impl FrontendTls {
    /// How the clients of `port` are verified.
    pub fn for_port(&self, port: u16) -> Option<&ClientValidation> {
        let own = self.per_port.iter().find(|one| one.port == port);
        let config = own.map(|one| &one.tls).or(self.default.as_ref());
        config.and_then(|config| config.validation.as_ref())
    }
}

/// A subject alternative name whose `type` and field do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`type` and the field beside it do not agree")]
pub struct SubjectAltNameError;

/// A subject alternative name as it is written.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SubjectAltName", extend("x-sluice-union" = {"Hostname": "hostname", "URI": "uri"}))]
struct SubjectAltNameFields {
    /// Which of the other fields is set.
    #[serde(rename = "type")]
    name_type: SubjectAltNameType,
    /// A DNS name.
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<Hostname>,
    /// A URI, such as `spiffe://cluster.example/ns/shop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<Uri>,
}

/// The `type` of a subject alternative name.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
enum SubjectAltNameType {
    /// A DNS name.
    Hostname,
    /// A URI.
    #[serde(rename = "URI")]
    Uri,
}

impl TryFrom<SubjectAltNameFields> for SubjectAltName {
    type Error = SubjectAltNameError;

    fn try_from(fields: SubjectAltNameFields) -> Result<Self, SubjectAltNameError> {
        match (fields.name_type, fields.hostname, fields.uri) {
            (SubjectAltNameType::Hostname, Some(name), None) => Ok(Self::Hostname(name)),
            (SubjectAltNameType::Uri, None, Some(uri)) => Ok(Self::Uri(uri)),
            _ => Err(SubjectAltNameError),
        }
    }
}

impl From<SubjectAltName> for SubjectAltNameFields {
    fn from(name: SubjectAltName) -> Self {
        match name {
            SubjectAltName::Hostname(name) => Self {
                name_type: SubjectAltNameType::Hostname,
                hostname: Some(name),
                uri: None,
            },
            SubjectAltName::Uri(uri) => Self {
                name_type: SubjectAltNameType::Uri,
                hostname: None,
                uri: Some(uri),
            },
        }
    }
}
