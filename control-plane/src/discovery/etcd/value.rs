//! What a service registers under its key: the JSON of etcd's gRPC naming.

use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value as Json;
use sluice_intent::Grammar;
use thiserror::Error;

use crate::compile::Found;

/// Longest value that is read, in bytes.
const MAX_BYTES: usize = 16 * 1024;
/// Highest weight, as of endpoints that are written.
const MAX_WEIGHT: u32 = 1_000_000;
/// `Op` of a value that stands for an endpoint; the other one takes it back.
const ADD: u8 = 0;

/// Why a value is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ValueError {
    /// Longer than anybody needs.
    #[error("a value has at most {MAX_BYTES} bytes, not {0}")]
    TooLong(usize),
    /// Not an object with a string `Addr`.
    #[error("not JSON such as {{\"Addr\": \"10.0.0.1:8080\"}}: {0}")]
    Json(String),
    /// An address that cannot be connected to.
    #[error("`Addr` has to be IP:PORT of one host, such as `10.0.0.1:8080` or `[2001:db8::1]:8080`")]
    Address,
    /// A weight that is none.
    #[error("`Metadata.weight` has to be a whole number from 0 to {MAX_WEIGHT}")]
    Weight,
}

/// As it is written (go.etcd.io/etcd/client/v3/naming/endpoints/internal.Update).
#[derive(Deserialize)]
struct Update {
    #[serde(rename = "Op", default)]
    op: u8,
    #[serde(rename = "Addr", default)]
    addr: String,
    /// Whatever the service likes to say; of an object `weight` counts.
    #[serde(rename = "Metadata", default)]
    metadata: Json,
}

/// The endpoint that `value` stands for; `None` for one that takes it back.
pub(super) fn read(value: &[u8]) -> Result<Option<Found>, ValueError> {
    if value.len() > MAX_BYTES {
        return Err(ValueError::TooLong(value.len()));
    }
    let update: Update =
        serde_json::from_slice(value).map_err(|error| ValueError::Json(error.to_string()))?;
    if update.op != ADD {
        return Ok(None);
    }
    let address: SocketAddr = update.addr.parse().map_err(|_| ValueError::Address)?;
    let is_host = Grammar::HostAddress.check(&address.ip().to_string()).is_ok();
    if !is_host || address.port() == 0 {
        return Err(ValueError::Address);
    }
    Ok(Some(Found {
        address: address.ip(),
        port: address.port(),
        weight: weight(&update.metadata)?,
    }))
}

fn weight(metadata: &Json) -> Result<u32, ValueError> {
    let Some(written) = metadata.get("weight").filter(|weight| !weight.is_null()) else {
        return Ok(1);
    };
    let weight = written.as_u64().and_then(|weight| u32::try_from(weight).ok());
    weight
        .filter(|weight| *weight <= MAX_WEIGHT)
        .ok_or(ValueError::Weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(value: &str) -> (String, u32) {
        let found = read(value.as_bytes()).unwrap().unwrap();
        (
            SocketAddr::new(found.address, found.port).to_string(),
            found.weight,
        )
    }

    #[test]
    fn what_the_official_clients_write_is_read() {
        // endpoints.Manager.AddEndpoint of etcd 3.5, and naming.GRPCResolver.Update before it.
        let new = r#"{"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}"#;
        assert_eq!(endpoint(new), ("10.0.0.1:8080".into(), 1));
        let old = r#"{"Addr":"[2001:db8::1]:80","Metadata":"any text"}"#;
        assert_eq!(endpoint(old), ("[2001:db8::1]:80".into(), 1));
        let rich = r#"{"Addr":"10.0.0.1:80","Metadata":{"weight":7,"zone":"a"},"Other":1}"#;
        assert_eq!(endpoint(rich).1, 7);
        let idle = r#"{"Addr":"10.0.0.1:80","Metadata":{"weight":0}}"#;
        assert_eq!(endpoint(idle).1, 0);
        assert_eq!(read(br#"{"Op":1,"Addr":"10.0.0.1:80"}"#), Ok(None));
    }

    #[test]
    fn what_is_no_endpoint_is_told_apart() {
        let bad = |value: &str| read(value.as_bytes()).unwrap_err();
        for json in [
            "",
            "10.0.0.1:80",
            r#"{"Addr":7}"#,
            r#"{"Op":"add","Addr":"a"}"#,
            "\u{0}",
        ] {
            assert!(matches!(bad(json), ValueError::Json(_)), "{json}");
        }
        for address in [
            "",
            "shop:80",
            "10.0.0.1",
            "10.0.0.1:0",
            "0.0.0.0:80",
            "224.0.0.1:80",
            "10.0.0.1:99999",
        ] {
            assert_eq!(
                bad(&format!(r#"{{"Addr":"{address}"}}"#)),
                ValueError::Address,
                "{address}"
            );
        }
        for weight in ["-1", "1.5", "1000001", "\"5\"", "[]"] {
            let value = format!(r#"{{"Addr":"10.0.0.1:80","Metadata":{{"weight":{weight}}}}}"#);
            assert_eq!(bad(&value), ValueError::Weight, "{weight}");
        }
        assert_eq!(
            read(&vec![b' '; MAX_BYTES + 1]),
            Err(ValueError::TooLong(MAX_BYTES + 1))
        );
    }
}
