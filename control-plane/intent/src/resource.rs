//! A resource: what a user wrote, read and found right in itself.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::backend::BackendSpec;
use crate::carried_age::{CARRIED_AGE, CarriedAge, CarriedAgeError};
use crate::carried_slots::{CARRIED_SLOTS, CarriedSlots, CarriedSlotsError};
use crate::config_map::ConfigMapSpec;
use crate::experiment::ExperimentSpec;
use crate::gateway::{GatewayClassSpec, GatewaySpec, PROXY_SELECTOR};
use crate::httproute::HttpRouteSpec;
use crate::kind::Kind;
use crate::lint_policy::LintPolicySpec;
use crate::meta::{Annotations, Labels, Metadata};
use crate::names::{Namespace, ObjectName};
use crate::reference_grant::ReferenceGrantSpec;
use crate::secret::{LAST_APPLIED, SecretFields, SecretSpec};
use crate::selector::LabelSelector;
use crate::selector_text::SelectorError;
use crate::tls::BackendTlsPolicySpec;
use crate::traffic_policy::TrafficPolicySpec;

/// Which resource: kind, namespace and name. Printed `HTTPRoute/default/shop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// What it is.
    pub kind: Kind,
    /// Where it lives. A GatewayClass has one too, which nothing looks at.
    pub namespace: Namespace,
    /// What it is called.
    pub name: ObjectName,
}

/// One resource as a user wrote it, without defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Kind, namespace and name.
    pub id: ResourceId,
    /// What it is selected by.
    pub labels: Labels,
    /// Notes of people and tools.
    pub annotations: Annotations,
    /// What is wanted; of the kind that `id` names.
    pub spec: Spec,
}

/// What is wanted, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Spec {
    /// Of a GatewayClass.
    GatewayClass(GatewayClassSpec),
    /// Of a Gateway.
    Gateway(GatewaySpec),
    /// Of an HTTPRoute.
    HttpRoute(HttpRouteSpec),
    /// Of a ReferenceGrant.
    ReferenceGrant(ReferenceGrantSpec),
    /// Of a BackendTLSPolicy.
    BackendTlsPolicy(BackendTlsPolicySpec),
    /// Of a Secret, whose manifest has no `spec`: type and values stand beside `metadata`.
    Secret(SecretSpec),
    /// Of a ConfigMap, which has no `spec` either.
    ConfigMap(ConfigMapSpec),
    /// Of a Backend.
    Backend(BackendSpec),
    /// Of an Experiment.
    Experiment(ExperimentSpec),
    /// Of a TrafficPolicy.
    TrafficPolicy(TrafficPolicySpec),
    /// Of a LintPolicy.
    LintPolicy(LintPolicySpec),
}

impl Resource {
    /// The `apiVersion` it is written with, whichever served version it was read from.
    pub const fn api_version(&self) -> &'static str {
        self.id.kind.api_version()
    }

    /// The proxies that a Gateway is for; `None` is all of them.
    ///
    /// # Errors
    /// An annotation [`PROXY_SELECTOR`] that is no selector, which no resource is read with.
    pub fn proxy_selector(&self) -> Result<Option<LabelSelector>, SelectorError> {
        let written = match &self.spec {
            Spec::Gateway(_) => self.annotations.get(PROXY_SELECTOR),
            _ => None,
        };
        let written = written.filter(|text| !text.trim().is_empty());
        written.map(str::parse).transpose()
    }

    /// The slot table that an Experiment brings along; nothing of other kinds.
    ///
    /// # Errors
    /// An annotation [`CARRIED_SLOTS`] that is no slot table, which no resource is read with.
    pub fn carried_slots(&self) -> Result<Option<CarriedSlots>, CarriedSlotsError> {
        let written = match &self.spec {
            Spec::Experiment(_) => self.annotations.get(CARRIED_SLOTS),
            _ => None,
        };
        written.map(str::parse).transpose()
    }

    /// The age that a resource brings along where the older one wins; nothing of other kinds.
    ///
    /// # Errors
    /// An annotation [`CARRIED_AGE`] that is no age, which no resource is read with.
    pub fn carried_age(&self) -> Result<Option<CarriedAge>, CarriedAgeError> {
        let written = self.annotations.get(CARRIED_AGE);
        let written = written.filter(|_| self.id.kind.is_aged());
        written.map(str::parse).transpose()
    }

    /// Whether it is a Secret that came with kubectl's copy of it, of which no more than the name is read.
    pub fn has_last_applied(&self) -> bool {
        self.id.kind == Kind::Secret && self.annotations.get(LAST_APPLIED).is_some()
    }

    /// The resource without the slot table and the age that it brings along, and without the name of kubectl's copy
    /// of a Secret: as it is kept.
    pub fn without_what_is_carried(mut self) -> Self {
        self.annotations.remove(CARRIED_SLOTS);
        self.annotations.remove(CARRIED_AGE);
        if self.id.kind == Kind::Secret {
            self.annotations.remove(LAST_APPLIED);
        }
        self
    }

    /// The manifest as JSON; reading it gives the same resource, except a Secret: its values are
    /// written as [`REDACTED`](crate::REDACTED), which is refused when it is read.
    pub fn to_json(&self) -> Value {
        // Every key is a string and every number finite, so this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The manifest as JSON with the values of a Secret in base64: for sealing and for merging a
    /// patch, never for output. Reading it gives the same resource.
    pub fn to_json_revealed(&self) -> Value {
        let mut manifest = self.to_json();
        if let Spec::Secret(spec) = &self.spec
            && let (Some(members), Ok(Value::Object(fields))) = (manifest.as_object_mut(), spec.revealed())
        {
            members.extend(fields);
        }
        manifest
    }
}

impl Spec {
    /// The kind that has this spec.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::GatewayClass(_) => Kind::GatewayClass,
            Self::Gateway(_) => Kind::Gateway,
            Self::HttpRoute(_) => Kind::HTTPRoute,
            Self::ReferenceGrant(_) => Kind::ReferenceGrant,
            Self::BackendTlsPolicy(_) => Kind::BackendTLSPolicy,
            Self::Secret(_) => Kind::Secret,
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Backend(_) => Kind::Backend,
            Self::Experiment(_) => Kind::Experiment,
            Self::TrafficPolicy(_) => Kind::TrafficPolicy,
            Self::LintPolicy(_) => Kind::LintPolicy,
        }
    }

    /// Reads a spec of `kind`, which is the field `spec`, or for Secrets and ConfigMaps the whole
    /// manifest, without the checks that a manifest goes through.
    pub(crate) fn from_value(kind: Kind, value: Value) -> Result<Self, serde_json::Error> {
        match kind {
            Kind::GatewayClass => serde_json::from_value(value).map(Self::GatewayClass),
            Kind::Gateway => serde_json::from_value(value).map(Self::Gateway),
            Kind::HTTPRoute => serde_json::from_value(value).map(Self::HttpRoute),
            Kind::ReferenceGrant => serde_json::from_value(value).map(Self::ReferenceGrant),
            Kind::BackendTLSPolicy => serde_json::from_value(value).map(Self::BackendTlsPolicy),
            Kind::Secret => {
                let fields: SecretFields = serde_json::from_value(value)?;
                let spec = SecretSpec::try_from(fields).map_err(serde::de::Error::custom)?;
                Ok(Self::Secret(spec))
            }
            Kind::ConfigMap => serde_json::from_value(value).map(Self::ConfigMap),
            Kind::Backend => serde_json::from_value(value).map(Self::Backend),
            Kind::Experiment => serde_json::from_value(value).map(Self::Experiment),
            Kind::TrafficPolicy => serde_json::from_value(value).map(Self::TrafficPolicy),
            Kind::LintPolicy => serde_json::from_value(value).map(Self::LintPolicy),
        }
    }
}

/// A manifest whose fields are in `spec`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: &'static str,
    kind: Kind,
    metadata: Metadata,
    spec: &'a Spec,
}

/// A manifest of a Secret or a ConfigMap, with its fields beside `metadata`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatManifest<'a> {
    api_version: &'static str,
    kind: Kind,
    metadata: Metadata,
    #[serde(flatten)]
    fields: &'a Spec,
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metadata = Metadata {
            name: self.id.name.clone(),
            namespace: Some(self.id.namespace.clone()),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
        };
        let (api_version, kind) = (self.api_version(), self.id.kind);
        match &self.spec {
            fields @ (Spec::Secret(_) | Spec::ConfigMap(_)) => FlatManifest {
                api_version,
                kind,
                metadata,
                fields,
            }
            .serialize(serializer),
            spec => Manifest {
                api_version,
                kind,
                metadata,
                spec,
            }
            .serialize(serializer),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// Not of the form `Kind/namespace/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `Kind/namespace/name`")]
pub struct ResourceIdError;

impl FromStr for ResourceId {
    type Err = ResourceIdError;

    fn from_str(text: &str) -> Result<Self, ResourceIdError> {
        let mut parts = text.splitn(3, '/');
        let (Some(kind), Some(namespace), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(ResourceIdError);
        };
        Ok(Self {
            kind: Kind::by_name(kind).ok_or(ResourceIdError)?,
            namespace: namespace.parse().map_err(|_| ResourceIdError)?,
            name: name.parse().map_err(|_| ResourceIdError)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_is_printed() {
        let id: ResourceId = "HTTPRoute/default/shop.v1".parse().unwrap();
        assert_eq!(id.to_string(), "HTTPRoute/default/shop.v1");
        for bad in [
            "HTTPRoute/default",
            "Service/default/a",
            "Gateway//a",
            "Gateway/a/b/c",
            "Gateway/a/B",
        ] {
            assert_eq!(bad.parse::<ResourceId>(), Err(ResourceIdError), "{bad}");
        }
    }
}
