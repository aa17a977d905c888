//! `Secret`: certificates, keys and roots of trust. Its values are never printed.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::names::DataKey;

/// What stands for a value wherever a Secret is printed.
pub const REDACTED: &str = "<redacted>";

/// Certificates, keys and roots of trust, or anything else that is nobody's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretSpec {
    /// What the values are.
    pub secret_type: SecretType,
    /// Whether type and values stay as they are until it is deleted. Once set, it stays set.
    pub immutable: Option<bool>,
    /// The values by name, whether they were written as `data` or as `stringData`.
    pub data: BTreeMap<DataKey, SecretValue>,
}

/// What the values of a Secret are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SecretType {
    /// Anything: `ca.crt` and `ca.crl` are roots of trust and revocation lists, in PEM.
    #[default]
    Opaque,
    /// A certificate chain in `tls.crt` and its key in `tls.key`, in PEM; `tls.ocsp`, in DER, is stapled.
    #[serde(rename = "kubernetes.io/tls")]
    Tls,
}

/// A value that is nobody's business: not printed, and wiped when it is let go of.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretSpec {
    /// Most bytes of all values together: 1 MiB, as in Kubernetes.
    pub const MAX_BYTES: usize = 1024 * 1024;

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(SecretValue::expose)
    }

    /// The manifest's fields beside `metadata`, with every value in base64: for sealing and for
    /// merging, never for output.
    pub(crate) fn revealed(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(SecretFields::from_spec(self, |value| {
            STANDARD.encode(value.expose())
        }))
    }
}

impl SecretType {
    /// The value of `type` in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opaque => "Opaque",
            Self::Tls => "kubernetes.io/tls",
        }
    }
}

impl SecretValue {
    /// The value: for cryptography only, never for output.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The annotation in which kubectl keeps what was applied last, of a Secret with all that it holds.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A Secret as it is written, beside `metadata`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretFields {
    /// What the values are; `Opaque` when left out.
    #[serde(rename = "type", default)]
    secret_type: SecretType,
    /// Whether type and values stay as they are until it is deleted. Once set, it stays set.
    #[serde(skip_serializing_if = "Option::is_none")]
    immutable: Option<bool>,
    /// Values in base64, by name; 1 MiB in all.
    #[serde(default)]
    #[schemars(extend("propertyNames" = {"type": "string", "format": "secret-data-key", "minLength": 1, "maxLength": 253}))]
    data: BTreeMap<DataKey, Encoded>,
    /// Values as text, by name; they take the place of those in `data`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = {"type": "string", "format": "secret-data-key", "minLength": 1, "maxLength": 253}))]
    string_data: BTreeMap<DataKey, Text>,
}

/// A value in base64.
#[derive(Clone, Serialize, Deserialize)]
struct Encoded(String);

/// A value as it is.
#[derive(Clone, Serialize, Deserialize)]
struct Text(String);

/// A value that is not base64, which is all that is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is not base64")]
pub(crate) struct EncodingError;

impl SecretFields {
    fn from_spec(spec: &SecretSpec, print: impl Fn(&SecretValue) -> String) -> Self {
        let value = |(key, value): (&DataKey, &SecretValue)| (key.clone(), Encoded(print(value)));
        Self {
            secret_type: spec.secret_type,
            immutable: spec.immutable,
            data: spec.data.iter().map(value).collect(),
            string_data: BTreeMap::new(),
        }
    }
}

impl TryFrom<SecretFields> for SecretSpec {
    type Error = EncodingError;

    fn try_from(fields: SecretFields) -> Result<Self, EncodingError> {
        let mut data = BTreeMap::new();
        for (key, Encoded(text)) in fields.data {
            let text = Zeroizing::new(text);
            let value = decode(&text).ok_or(EncodingError)?;
            data.insert(key, SecretValue(value));
        }
        for (key, Text(text)) in fields.string_data {
            data.insert(key, SecretValue(Zeroizing::new(text.into_bytes())));
        }
        Ok(Self {
            secret_type: fields.secret_type,
            immutable: fields.immutable,
            data,
        })
    }
}

/// Values are written as [`REDACTED`].
impl Serialize for SecretSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SecretFields::from_spec(self, |_| REDACTED.to_owned()).serialize(serializer)
    }
}

/// What base64 stands for, line breaks left out (RFC 4648 section 4).
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let compact: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    STANDARD.decode(&*compact).ok().map(Zeroizing::new)
}

/// What the walk has to know of a value: `base64` or `text`.
pub(crate) const SECRET: &str = "x-sluice-secret";
/// The value of [`SECRET`] for values in base64.
pub(crate) const BASE64: &str = "base64";

impl JsonSchema for Encoded {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretData".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true, SECRET: BASE64})
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "writeOnly": true, SECRET: "text"})
    }
}
