//! `ConfigMap`: roots of trust that everybody may read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::DataKey;

/// Values by name. Of them `ca.crt` and `ca.crl`, roots of trust and revocation lists in PEM, mean
/// something; all others are kept and not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ConfigMapFields", extend("x-sluice-unsupported" = ["binaryData"]))]
pub struct ConfigMapSpec {
    /// Kept and not looked at: a ConfigMap may always be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub immutable: Option<bool>,
    /// Values as text, by name; 1 MiB in all.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"type": "string", "format": "secret-data-key", "minLength": 1, "maxLength": 253}))]
    pub data: BTreeMap<DataKey, String>,
}

impl ConfigMapSpec {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(String::as_bytes)
    }
}
