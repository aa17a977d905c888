//! What is sent, and what has to come of it.

use std::num::TryFromIntError;

use serde::{Deserialize, Deserializer};

/// One request, or what pretends to be one.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Its name, unique in its file.
    pub id: String,
    /// The bytes. In a file they are a string in which each character is the byte of its number.
    #[serde(deserialize_with = "bytes")]
    pub raw: Vec<u8>,
    /// What has to come of it.
    #[serde(default)]
    pub expect: Expect,
    /// How bad a desync it would be, in the words of http-desync-guardian.
    #[serde(default)]
    pub tier: Option<Tier>,
    /// Why it is there.
    #[serde(default)]
    pub why: String,
    /// The body that must arrive, without framing.
    #[serde(default)]
    pub body: Option<String>,
}

/// What has to come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// An answer of 4xx or 5xx, and nothing upstream.
    Reject,
    /// Its body is broken: an answer of 4xx or 5xx, or none, and nothing whole upstream.
    Abort,
    /// It arrives once and the upstream's answer comes back.
    Forward,
    /// Refused, or forwarded clean with as many answers as requests.
    #[default]
    Either,
}

/// The tiers of http-desync-guardian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Tier {
    /// By the RFCs.
    Compliant,
    /// Not by the RFCs, of one meaning.
    Acceptable,
    /// Of more than one meaning.
    Ambiguous,
    /// A means of attack.
    Severe,
}

impl Case {
    /// What has to come of it, the tier considered.
    pub fn expected(&self) -> Expect {
        match self.tier {
            Some(Tier::Severe) => Expect::Reject,
            Some(Tier::Compliant | Tier::Acceptable | Tier::Ambiguous) | None => self.expect,
        }
    }
}

fn bytes<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    latin1(&text).map_err(serde::de::Error::custom)
}

/// The bytes of a string in which each character is the byte of its number.
pub(crate) fn latin1(text: &str) -> Result<Vec<u8>, TryFromIntError> {
    text.chars()
        .map(|character| u8::try_from(u32::from(character)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_the_byte_of_its_number() {
        let case: Case =
            serde_json::from_str(r#"{"id": "a", "raw": "\u0000\r\n\u00ff", "expect": "reject"}"#).unwrap();
        assert_eq!(case.raw, b"\0\r\n\xff");
        assert_eq!(case.expected(), Expect::Reject);
        assert!(serde_json::from_str::<Case>(r#"{"id": "a", "raw": "\u0100"}"#).is_err());
    }

    #[test]
    fn a_severe_case_is_to_be_refused_whatever_else_is_said() {
        let case: Case =
            serde_json::from_str(r#"{"id": "a", "raw": "", "expect": "either", "tier": "Severe"}"#).unwrap();
        assert_eq!(case.expected(), Expect::Reject);
    }
}
