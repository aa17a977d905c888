//! The age of a resource as it travels in files, from one control plane to another.
//!
//! Among routes that match a request equally, and among policies on one target, the older one wins. What is
//! applied at once is of one age, so an export carries the ages in an annotation. It puts what is created by the
//! same write in order, and says nothing about what is there already: nobody gets ahead of others by a number.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use sluice_model::Revision;

/// The annotation that holds the age of a resource.
pub const CARRIED_AGE: &str = "sluice.dev/created";

/// The age of a resource: the smaller one is older. 1 to 2^63 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CarriedAge(NonZeroU64);

/// Not a whole number of those that an export writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1 to {}", i64::MAX)]
pub struct CarriedAgeError;

impl CarriedAge {
    /// The number as it was where it was written.
    pub const fn revision(self) -> Revision {
        Revision(self.0.get())
    }
}

impl FromStr for CarriedAge {
    type Err = CarriedAgeError;

    fn from_str(text: &str) -> Result<Self, CarriedAgeError> {
        // No signs, and so few digits that they fit.
        let is_plain = text.len() <= 19 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        let number = number.filter(|number| i64::try_from(*number).is_ok());
        number.and_then(NonZeroU64::new).map(Self).ok_or(CarriedAgeError)
    }
}

impl fmt::Display for CarriedAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_whole_number_that_a_store_can_hold() {
        for text in ["1", "42", "9223372036854775807"] {
            assert_eq!(text.parse::<CarriedAge>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "1.5",
            " 1",
            "x",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(text.parse::<CarriedAge>(), Err(CarriedAgeError), "{text}");
        }
    }
}
