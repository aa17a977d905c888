//! What is shown of a Secret: which values it has, and whom a certificate is for. Never a value.

use serde_json::{Map, Value, json};
use sluice_intent::{ResourceId, SecretSpec};
use sluice_tls::{Leaf, read_chain};

use crate::live::Fingerprints;

/// The data key of a certificate chain.
const CHAIN: &str = "tls.crt";

/// Adds to the status of the Secret `id`.
pub(super) fn describe(
    status: &mut Map<String, Value>,
    id: &ResourceId,
    spec: &SecretSpec,
    prints: &Fingerprints,
) {
    let values = spec.data.iter().filter_map(|(name, value)| {
        let print = prints.fingerprint(id, name.as_str(), value.expose())?;
        Some((name.to_string(), Value::from(print)))
    });
    status.insert("fingerprints".into(), values.collect());
    if let Some(leaf) = spec.get(CHAIN).and_then(leaf) {
        let certificate = json!({
            "subject": leaf.subject,
            "names": leaf.names,
            "notBeforeSeconds": leaf.not_before,
            "notAfterSeconds": leaf.not_after,
        });
        status.insert("certificate".into(), certificate);
    }
}

/// A certificate is public: every client of the listener gets it.
fn leaf(pem: &[u8]) -> Option<Leaf> {
    let chain = read_chain(pem).ok()?;
    Leaf::read(chain.first()?).ok()
}
