//! Numbers with a unit, as Kubernetes writes quantities: `1000`, `10Mi`, `unlimited`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// The schema's `format` of a [`Quantity`].
pub(crate) const QUANTITY: &str = "quantity";
/// What has no bound.
const UNLIMITED: &str = "unlimited";
/// The units, the greatest first: powers of 1000 and of 1024.
const UNITS: [(&str, u64); 6] = [
    ("Gi", 1 << 30),
    ("G", 1_000_000_000),
    ("Mi", 1 << 20),
    ("M", 1_000_000),
    ("Ki", 1 << 10),
    ("k", 1000),
];

/// A whole number, written as one or with a unit, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "Written")]
pub enum Quantity {
    /// So many.
    Of(u64),
    /// As many as there are.
    Unlimited,
}

/// Not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number, with a unit if you like (k, M, G, Ki, Mi, Gi), or `unlimited`")]
pub struct QuantityError;

/// A quantity as it is written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u64),
    Text(String),
}

impl Quantity {
    /// The number, or the greatest there is.
    pub const fn count(self) -> u64 {
        match self {
            Self::Of(count) => count,
            Self::Unlimited => u64::MAX,
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        if text == UNLIMITED {
            return Ok(Self::Unlimited);
        }
        let unit = UNITS
            .into_iter()
            .find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)));
        let (digits, size) = unit.unwrap_or((text, 1));
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuantityError);
        }
        let count = digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(size));
        count.map(Self::Of).ok_or(QuantityError)
    }
}

impl TryFrom<Written> for Quantity {
    type Error = QuantityError;

    fn try_from(written: Written) -> Result<Self, QuantityError> {
        match written {
            Written::Number(count) => Ok(Self::Of(count)),
            Written::Text(text) => text.parse(),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(count) => serializer.serialize_u64(*count),
            Self::Unlimited => serializer.serialize_str(UNLIMITED),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(count) => write!(f, "{count}"),
            Self::Unlimited => f.write_str(UNLIMITED),
        }
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["integer", "string"], "format": QUANTITY, "examples": [1000, "10Mi", UNLIMITED]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_number_with_a_unit_or_none() {
        let read = |text: &str| serde_json::from_str::<Quantity>(text).ok();
        for (text, count) in [
            ("0", 0),
            ("1000", 1000),
            ("\"10\"", 10),
            ("\"2k\"", 2000),
            ("\"3Ki\"", 3072),
            ("\"1M\"", 1_000_000),
            ("\"10Mi\"", 10 << 20),
            ("\"1Gi\"", 1 << 30),
        ] {
            assert_eq!(read(text), Some(Quantity::Of(count)), "{text}");
        }
        assert_eq!(read("\"unlimited\""), Some(Quantity::Unlimited));
        for text in [
            "-1",
            "1.5",
            "\"\"",
            "\"Mi\"",
            "\"1 Mi\"",
            "\"+1\"",
            "\"1mi\"",
            "\"99999999999Gi\"",
            "true",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for quantity in [Quantity::Of(7), Quantity::Unlimited] {
            assert_eq!(read(&serde_json::to_string(&quantity).unwrap()), Some(quantity));
        }
    }
}
