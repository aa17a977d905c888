//! A variant's share of an experiment: percent with two decimals, kept in basis points.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// The schema's `format` of a [`Share`].
pub(crate) const PERCENT: &str = "percent";

/// Part of an experiment's units, 0 to 100 percent in steps of 0.01; one step is one slot of 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(u16);

/// Not a percentage from 0 to 100 with at most two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a percentage from 0 to 100 with at most two decimals")]
pub struct ShareError;

impl Share {
    /// All of it, 100 percent in basis points.
    pub const WHOLE: u32 = 10_000;

    /// Hundredths of a percent, 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = ShareError;

    /// Two decimals are recognised exactly: a number is one if dividing its basis points gives it back.
    fn try_from(percent: f64) -> Result<Self, ShareError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(ShareError);
        }
        // In range by the line above, so the cast only drops the fraction `round` left at zero.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let basis_points = (percent * 100.0).round() as u16;
        let exact = f64::from(basis_points) / 100.0 == percent;
        exact.then_some(Self(basis_points)).ok_or(ShareError)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 100 {
            0 => serializer.serialize_u16(self.0 / 100),
            _ => serializer.serialize_f64(f64::from(self.0) / 100.0),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 100.0)
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "format": PERCENT, "minimum": 0, "maximum": 100, "multipleOf": 0.01})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_hundredth_reads_back_and_nothing_between_is_taken() {
        for basis_points in 0..=10_000u16 {
            let text = serde_json::to_string(&Share(basis_points)).unwrap();
            assert_eq!(
                serde_json::from_str::<Share>(&text).unwrap(),
                Share(basis_points),
                "{text}"
            );
        }
        for text in ["-0.01", "100.01", "33.333", "0.001", "1e300", "\"5\""] {
            assert!(serde_json::from_str::<Share>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Share(3333)).unwrap(), "33.33");
        assert_eq!(serde_json::to_string(&Share(5000)).unwrap(), "50");
    }
}
