//! What Secrets and policies say. Of a Secret nobody gets to see more than this.

use std::collections::HashMap;

use super::text::Text;
use crate::manifest::Manifest;
use crate::table::{Table, listed};
use crate::{columns, time};

/// Which values there are, and whom a certificate is for.
pub(super) fn secret(text: &mut Text, secret: Manifest<'_>) {
    text.field("Type", &secret.text_or_none("/type"));
    if let Some(subject) = secret.text("/status/certificate/subject") {
        text.field("Subject", &subject);
        text.field("Names", &secret.joined("/status/certificate/names"));
    }
    if let Some(seconds) = secret.text("/status/certificate/notAfterSeconds") {
        let expires = seconds.parse().unwrap_or_default();
        text.field("Expires", &expiry(expires, time::now_ms()));
    }
    let mut table = Table::new(["NAME", "FINGERPRINT"]);
    let prints: HashMap<_, _> = secret.pairs("/status/fingerprints").into_iter().collect();
    for (name, _) in secret.pairs("/data") {
        let print = prints.get(name).map_or("none: too short", String::as_str);
        table.row([name.to_owned(), print.to_owned()]);
    }
    text.table("Values", &table);
}

fn expiry(seconds: u64, now_ms: u64) -> String {
    let at_ms = seconds.saturating_mul(1_000);
    match at_ms > now_ms {
        true => format!("in {}", time::age(now_ms, at_ms)),
        false => format!("{} ago", time::age(at_ms, now_ms)),
    }
}

/// Which Backends are spoken to by TLS, and whom to trust.
pub(super) fn tls_policy(text: &mut Text, policy: Manifest<'_>) {
    targets(text, policy);
    text.field("Server name", &policy.text_or_none("/spec/validation/hostname"));
    let roots = policy.items("/spec/validation/caCertificateRefs");
    let system = policy.text("/spec/validation/wellKnownCACertificates");
    text.field(
        "Trusts",
        &listed(roots.map(|root| root.text_or_none("/name")).chain(system)),
    );
}

/// What is bounded, and how.
pub(super) fn traffic_policy(text: &mut Text, policy: Manifest<'_>) {
    targets(text, policy);
    for (name, pointer) in [
        ("Limits", "/spec/limits"),
        ("Timeouts", "/spec/timeouts"),
        ("Rates", "/spec/minimumRates"),
    ] {
        let pairs = policy.pairs(pointer).into_iter();
        text.field(name, &listed(pairs.map(|(key, value)| format!("{key}={value}"))));
    }
}

fn targets(text: &mut Text, policy: Manifest<'_>) {
    let targets = policy.items("/spec/targetRefs").map(columns::target);
    text.field("Targets", &listed(targets));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_described_by_its_fingerprints_and_its_certificate() {
        let shown = json!({
            "kind": "Secret", "type": "kubernetes.io/tls",
            "data": {"pin": "<redacted>", "tls.crt": "<redacted>", "tls.key": "<redacted>"},
            "status": {
                "fingerprints": {"tls.crt": "0a1b2c3d", "tls.key": "99887766"},
                "certificate": {"subject": "CN=shop", "names": ["a.example", "b.example"], "notAfterSeconds": 7},
            },
        });
        let mut text = Text::default();
        secret(&mut text, Manifest(&shown));
        let text = text.into_string();
        for line in [
            "Type:         kubernetes.io/tls",
            "Subject:      CN=shop",
            "Names:        a.example,b.example",
            "  tls.key   99887766",
            "  pin       none: too short",
        ] {
            assert!(text.lines().any(|found| found == line), "{text}");
        }
        assert!(!text.contains("redacted"), "{text}");
    }

    #[test]
    fn an_expiry_is_told_before_and_after_it() {
        let day = 86_400;
        assert_eq!(expiry(90 * day, 0), "in 90d");
        assert_eq!(expiry(day, 4 * day * 1_000), "3d ago");
    }
}
