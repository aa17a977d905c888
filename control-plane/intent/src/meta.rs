//! What every resource carries: name, namespace, labels, annotations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::names::{LabelKey, LabelValue, Namespace, ObjectName};

/// Metadata fields that the server owns. They are ignored, so that what a server
/// printed can be applied again.
pub(crate) const SERVER_OWNED: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Name, namespace, labels and annotations of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Name, unique among the resources of its kind in its namespace.
    pub name: ObjectName,
    /// Namespace; `default`, or what the request or the command line says, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// What resources are selected by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Notes of people and tools; at most 256 KiB in all.
    #[serde(default, skip_serializing_if = "Annotations::is_empty")]
    pub annotations: Annotations,
}

/// Labels: what resources, namespaces and endpoints are selected by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<LabelKey, LabelValue>);

/// Annotations: notes of people and tools, which nothing is selected by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<LabelKey, String>);

impl Labels {
    /// True without any label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Value of the label `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(LabelValue::as_str)
    }

    /// Every label, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// These labels, and in their place those of `over` that have the same key.
    pub fn overlaid(&self, over: &Self) -> Self {
        let both = self.0.iter().chain(&over.0);
        both.map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl FromIterator<(LabelKey, LabelValue)> for Labels {
    fn from_iter<I: IntoIterator<Item = (LabelKey, LabelValue)>>(labels: I) -> Self {
        Self(labels.into_iter().collect())
    }
}

impl Annotations {
    /// Takes an annotation out.
    pub(crate) fn remove(&mut self, key: &str) {
        self.0.retain(|held, _| held.as_str() != key);
    }

    /// Takes out what an annotation says, so that only its name is left.
    pub(crate) fn blank(&mut self, key: &str) {
        for (held, value) in &mut self.0 {
            if held.as_str() == key {
                value.clear();
            }
        }
    }

    /// The annotations that are kept for people and tools, value by value.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Most bytes that keys and values may have together, as in Kubernetes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// True without any annotation.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Value of the annotation `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Every annotation, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl JsonSchema for Labels {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Labels".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": LabelKey::json_schema(generator),
            "additionalProperties": LabelValue::json_schema(generator)
        })
    }
}

impl JsonSchema for Annotations {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Annotations".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": LabelKey::json_schema(generator),
            "additionalProperties": {"type": "string"}
        })
    }
}
