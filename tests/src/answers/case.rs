//! What an upstream answers, and what has to come of it.

use http::Method;
use serde::{Deserialize, Deserializer};

/// One answer, or what pretends to be one.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Its name, unique in its file.
    pub id: String,
    /// Method of the request.
    #[serde(default = "get", deserialize_with = "method")]
    pub method: Method,
    /// The bytes. In a file they are a string in which each character is the byte of its number.
    #[serde(deserialize_with = "bytes")]
    pub raw: Vec<u8>,
    /// What the upstream does after them.
    #[serde(default)]
    pub end: End,
    /// What has to come of it.
    pub expect: Expect,
    /// With [`Expect::Pass`]: the status.
    #[serde(default)]
    pub status: u16,
    /// With [`Expect::Pass`]: the whole body.
    #[serde(default)]
    pub body: String,
    /// Why it is there.
    pub why: String,
}

/// What the upstream does with the connection after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Waits for another request.
    #[default]
    Keep,
    /// Closes.
    Close,
    /// Resets.
    Reset,
}

/// What has to come of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// 502, or 504 when the upstream stalls; nothing of the answer is seen.
    Refuse,
    /// The client sees that the answer is not whole: 502 or 504, or the connection ends inside it.
    Break,
    /// The client gets this status and body.
    Pass,
    /// Refused or passed, well-formed in both cases.
    Either,
}

fn get() -> Method {
    Method::GET
}

fn method<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Method, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn bytes<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    crate::framing::latin1(&text).map_err(serde::de::Error::custom)
}
