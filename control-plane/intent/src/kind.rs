//! The closed set of kinds, and every name a person may call them by.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nearest::nearest;

/// API group of the Kubernetes Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// API group of the kinds that are our own.
pub const SLUICE_GROUP: &str = "sluice.dev";
/// Kubernetes' own API group, of Secrets, ConfigMaps and Services.
pub const CORE_GROUP: &str = "";

const GATEWAY_VERSIONS: &[&str] = &[
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1beta1",
    "gateway.networking.k8s.io/v1alpha2",
];
const TLS_POLICY_VERSIONS: &[&str] = &[
    "gateway.networking.k8s.io/v1",
    "gateway.networking.k8s.io/v1alpha3",
    "gateway.networking.k8s.io/v1alpha2",
];
const CORE_VERSIONS: &[&str] = &["v1"];
const SLUICE_VERSIONS: &[&str] = &["sluice.dev/v1"];

/// Kinds that are part of the product's language, but not of this build.
const PLANNED: &[&str] = &["GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "Rollout"];

/// What a resource is. `List` is not a kind of resource: it is taken apart while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// The controller that serves a Gateway; read and kept, but nothing depends on it.
    GatewayClass,
    /// Where the fleet listens.
    Gateway,
    /// Which requests go where.
    HTTPRoute,
    /// Which references may cross into its namespace.
    ReferenceGrant,
    /// TLS to Backends.
    BackendTLSPolicy,
    /// Certificates, keys and roots of trust.
    Secret,
    /// Roots of trust that everybody may read.
    ConfigMap,
    /// A named upstream service and its endpoints.
    Backend,
    /// A sticky A/B split.
    Experiment,
    /// Bounds on what clients may do.
    TrafficPolicy,
    /// How bad what the linter finds is.
    LintPolicy,
}

impl Kind {
    /// Every kind, in the order in which their resources are best created.
    pub const ALL: [Self; 11] = [
        Self::GatewayClass,
        Self::Gateway,
        Self::HTTPRoute,
        Self::ReferenceGrant,
        Self::BackendTLSPolicy,
        Self::Secret,
        Self::ConfigMap,
        Self::Backend,
        Self::Experiment,
        Self::TrafficPolicy,
        Self::LintPolicy,
    ];

    /// The name in `kind:`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayClass => "GatewayClass",
            Self::Gateway => "Gateway",
            Self::HTTPRoute => "HTTPRoute",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::BackendTLSPolicy => "BackendTLSPolicy",
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Backend => "Backend",
            Self::Experiment => "Experiment",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::LintPolicy => "LintPolicy",
        }
    }

    /// Whether the older one of two wins where both say something about the same.
    pub const fn is_aged(self) -> bool {
        matches!(
            self,
            Self::HTTPRoute | Self::BackendTLSPolicy | Self::TrafficPolicy
        )
    }

    /// The name in REST paths, `/v1/namespaces/{ns}/{plural}/{name}`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::GatewayClass => "gatewayclasses",
            Self::Gateway => "gateways",
            Self::HTTPRoute => "httproutes",
            Self::ReferenceGrant => "referencegrants",
            Self::BackendTLSPolicy => "backendtlspolicies",
            Self::Secret => "secrets",
            Self::ConfigMap => "configmaps",
            Self::Backend => "backends",
            Self::Experiment => "experiments",
            Self::TrafficPolicy => "trafficpolicies",
            Self::LintPolicy => "lintpolicies",
        }
    }

    /// Short names for the command line, as kubectl has them.
    pub const fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::GatewayClass => &["gc"],
            Self::Gateway => &["gtw", "gw"],
            Self::HTTPRoute => &["route", "routes", "hr"],
            Self::ReferenceGrant => &["refgrant"],
            Self::BackendTLSPolicy => &["btlspolicy"],
            Self::Secret => &["sec"],
            Self::ConfigMap => &["cm"],
            Self::Backend => &["be"],
            Self::Experiment => &["exp"],
            Self::TrafficPolicy => &["tp"],
            Self::LintPolicy => &["lp"],
        }
    }

    /// What the kind is for, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::GatewayClass => {
                "The controller that serves a Gateway; read and kept, but nothing depends on it."
            }
            Self::Gateway => "Where the fleet listens: ports, protocols and hostnames.",
            Self::HTTPRoute => "Which requests go where, and what is changed on the way.",
            Self::ReferenceGrant => "Which references from other namespaces may cross into its own.",
            Self::BackendTLSPolicy => "TLS to Backends: whom to trust, and by which name.",
            Self::Secret => "Certificates, keys and roots of trust. Write-only: values are never printed.",
            Self::ConfigMap => "Roots of trust that everybody may read.",
            Self::Backend => "A named upstream service and its endpoints.",
            Self::Experiment => "A sticky A/B split: the same unit always sees the same variant.",
            Self::TrafficPolicy => "Bounds on what clients may do, for Gateways, listeners, routes or rules.",
            Self::LintPolicy => {
                "How bad what the linter finds is, in its namespace: off, a warning or an error."
            }
        }
    }

    /// Every `apiVersion` under which the kind is read; the first is the one it is written with.
    pub const fn api_versions(self) -> &'static [&'static str] {
        match self {
            Self::GatewayClass | Self::Gateway | Self::HTTPRoute | Self::ReferenceGrant => GATEWAY_VERSIONS,
            Self::BackendTLSPolicy => TLS_POLICY_VERSIONS,
            Self::Secret | Self::ConfigMap => CORE_VERSIONS,
            Self::Backend | Self::Experiment | Self::TrafficPolicy | Self::LintPolicy => SLUICE_VERSIONS,
        }
    }

    /// The `apiVersion` the kind is written with.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::GatewayClass
            | Self::Gateway
            | Self::HTTPRoute
            | Self::ReferenceGrant
            | Self::BackendTLSPolicy => "gateway.networking.k8s.io/v1",
            Self::Secret | Self::ConfigMap => "v1",
            Self::Backend | Self::Experiment | Self::TrafficPolicy | Self::LintPolicy => "sluice.dev/v1",
        }
    }

    /// The API group, the part of `apiVersion` before the slash.
    pub const fn group(self) -> &'static str {
        match self {
            Self::GatewayClass
            | Self::Gateway
            | Self::HTTPRoute
            | Self::ReferenceGrant
            | Self::BackendTLSPolicy => GATEWAY_GROUP,
            Self::Secret | Self::ConfigMap => CORE_GROUP,
            Self::Backend | Self::Experiment | Self::TrafficPolicy | Self::LintPolicy => SLUICE_GROUP,
        }
    }

    /// The kind of exactly this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind of this plural, as REST paths have it.
    pub fn by_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.plural() == plural)
    }

    /// The kind a person means on the command line: name, plural or short name, in any case.
    pub fn by_any_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.names().any(|known| known.eq_ignore_ascii_case(name)))
    }

    /// The kind whose name, plural or short name is most like `name`, if any is at all alike.
    pub fn nearest(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().flat_map(Self::names);
        nearest(&name.to_ascii_lowercase(), known).and_then(Self::by_any_name)
    }

    /// True of kinds that the product's language has and this build does not.
    pub(crate) fn is_planned(name: &str) -> bool {
        PLANNED.contains(&name)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        [self.as_str(), self.plural()]
            .into_iter()
            .chain(self.short_names().iter().copied())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_exactly_one_kind() {
        for kind in Kind::ALL {
            for name in kind.names() {
                assert_eq!(Kind::by_any_name(&name.to_uppercase()), Some(kind), "{name}");
            }
            assert_eq!(Kind::by_name(kind.as_str()), Some(kind));
            assert_eq!(Kind::by_plural(kind.plural()), Some(kind));
            assert_eq!(kind.api_versions().first(), Some(&kind.api_version()));
            let group = kind.api_version().rsplit_once('/').map_or("", |(group, _)| group);
            assert_eq!(group, kind.group());
        }
    }

    #[test]
    fn a_misspelt_kind_finds_its_neighbour_and_nonsense_finds_none() {
        assert_eq!(Kind::nearest("HttpRout"), Some(Kind::HTTPRoute));
        assert_eq!(Kind::nearest("gateways"), Some(Kind::Gateway));
        assert_eq!(Kind::nearest("Experment"), Some(Kind::Experiment));
        assert_eq!(Kind::nearest("Deployment"), None);
    }
}
