//! Durations as the Gateway API writes them (GEP-2257).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::grammar::{Grammar, TextError};

/// 99999h59m59s999ms, the longest that GEP-2257 can write.
const LONGEST_MS: u64 = (100_000 * 3600) * 1000 - 1;

/// A duration in whole milliseconds, `1h30m`, `500ms` or `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(u64);

impl Duration {
    /// Milliseconds, at most 99999h59m59s999ms.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The same as the standard library's duration.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// True of `0s`, which in a timeout means none.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Duration {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        milliseconds(text)
            .map(Self)
            .ok_or(TextError::Rule(Grammar::Duration))
    }
}

impl TryFrom<String> for Duration {
    type Error = TextError;

    fn try_from(text: String) -> Result<Self, TextError> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0s");
        }
        let parts = [
            (self.0 / 3_600_000, "h"),
            (self.0 / 60_000 % 60, "m"),
            (self.0 / 1000 % 60, "s"),
            (self.0 % 1000, "ms"),
        ];
        parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": Grammar::Duration.name(), "examples": ["500ms", "1h30m"]})
    }
}

/// `([0-9]{1,5}(h|m|s|ms)){1,4}`, in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    let mut parts = 0;
    while !rest.is_empty() {
        parts += 1;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if parts > 4 || !(1..=5).contains(&digits) {
            return None;
        }
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = split_unit(tail)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = tail;
    }
    (parts > 0 && total <= LONGEST_MS).then_some(total)
}

/// The unit at the start of `text` in milliseconds, and what follows it.
fn split_unit(text: &str) -> Option<(u64, &str)> {
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        .into_iter()
        .find_map(|(unit, millis)| text.strip_prefix(unit).map(|rest| (millis, rest)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_gep_2257_allows_is_a_duration() {
        for (text, millis) in [
            ("0s", 0),
            ("0h0m0s0ms", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("90m", 5_400_000),
            ("1h30m", 5_400_000),
            ("30m1h", 5_400_000),
            ("10s10s", 20_000),
            ("99999h59m59s999ms", LONGEST_MS),
        ] {
            assert_eq!(milliseconds(text), Some(millis), "{text}");
        }
        for text in [
            "",
            "1",
            "h",
            "1d",
            "1.5s",
            "-1s",
            "100000s",
            "1s1s1s1s1s",
            " 1s",
            "1 s",
            "99999h60m",
            "1S",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_as_the_same_duration(millis in 0..=LONGEST_MS) {
            let duration = Duration(millis);
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
