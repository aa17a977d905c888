//! An object a line: what sluice-proxy writes, or any other writer that uses these names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Key, LineError};

/// The members that count; others are passed over.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    host: Cow<'a, str>,
    /// Path and query.
    #[serde(borrow)]
    path: Cow<'a, str>,
    /// The port that the Gateway names.
    port: Option<u16>,
    /// `http` or `https`.
    scheme: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How many requests the line stands for.
    #[serde(default = "one")]
    weight: u64,
}

const fn one() -> u64 {
    1
}

pub(super) fn read(line: &str) -> Result<(Key, u64), LineError> {
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| LineError::Json(error.to_string()))?;
    let scheme = match line.scheme.as_deref() {
        None => None,
        Some(scheme @ ("http" | "https")) => Some(scheme.into()),
        Some(_) => return Err(LineError::Json("`scheme` is neither http nor https".to_owned())),
    };
    let key = Key {
        method: line.method.into(),
        host: line.host.into(),
        path: line.path.into(),
        port: line.port,
        scheme,
        headers: line.headers,
    };
    Ok((key, line.weight))
}
