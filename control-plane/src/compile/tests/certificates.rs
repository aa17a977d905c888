//! Secrets made on the spot.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

/// A certificate for these names, signed by itself, and its key, as PEM.
pub(super) fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    signed(CertificateParams::new(names).unwrap())
}

/// The same, valid from one second to another since 1970.
pub(super) fn pair_between(from: i64, to: i64) -> (String, String) {
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + std::time::Duration::from_secs(from.unsigned_abs());
    params.not_after = epoch + std::time::Duration::from_secs(to.unsigned_abs());
    signed(params)
}

fn signed(mut params: CertificateParams) -> (String, String) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// A Secret of this type; its values are given as text.
pub(super) fn secret(name: &str, secret_type: &str, values: &[(&str, &str)]) -> String {
    let value = |(key, text): &(&str, &str)| format!("  {key}: {}\n", serde_json::json!(text));
    let values: String = values.iter().map(value).collect();
    format!(
        "\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: {secret_type}\nstringData:\n{values}"
    )
}

/// A Secret with a certificate for these names.
pub(super) fn certificate(name: &str, names: &[&str]) -> String {
    let (chain, key) = pair(names);
    secret(
        name,
        "kubernetes.io/tls",
        &[("tls.crt", &chain), ("tls.key", &key)],
    )
}

/// A Secret with a root of trust.
pub(super) fn trust(name: &str) -> String {
    secret(name, "Opaque", &[("ca.crt", &pair(&["root"]).0)])
}

/// The same resource in another namespace.
pub(super) fn in_namespace(namespace: &str, yaml: &str) -> String {
    yaml.replacen(
        "metadata: {name:",
        &format!("metadata: {{namespace: {namespace}, name:"),
        1,
    )
}
