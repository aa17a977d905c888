//! Secrets made on the spot.

use std::ops::Range;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
    SerialNumber, date_time_ymd,
};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A certificate for these names, signed by itself, and its key, as PEM.
pub(super) fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    signed(CertificateParams::new(names).unwrap())
}

/// The same, valid on these days since 1970.
pub(super) fn pair_of_days(days: Range<u64>) -> (String, String) {
    signed(params_of_days(days))
}

/// A root of trust that is valid on these days since 1970, and its list of nothing revoked, as PEM.
pub(super) fn authority_of_days(root: Range<u64>, list: Range<u64>) -> (String, String) {
    let params = params_of_days(root);
    let issuer = Issuer::new(params.clone(), KeyPair::generate().unwrap());
    let root = params.self_signed(issuer.key()).unwrap().pem();
    let list = params_of_days(list);
    let list = CertificateRevocationListParams {
        this_update: list.not_before,
        next_update: list.not_after,
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    (root, list.signed_by(&issuer).unwrap().pem().unwrap())
}

fn params_of_days(days: Range<u64>) -> CertificateParams {
    let day = |number| date_time_ymd(1970, 1, 1) + Duration::from_secs(number * DAY);
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (day(days.start), day(days.end));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
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
pub(crate) fn certificate(name: &str, names: &[&str]) -> String {
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

/// A ConfigMap with a root of trust.
pub(super) fn config_map(name: &str) -> String {
    let roots = serde_json::json!(pair(&["root"]).0);
    format!("\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{ca.crt: {roots}}}\n")
}

/// The same resource in another namespace.
pub(super) fn in_namespace(namespace: &str, yaml: &str) -> String {
    yaml.replacen(
        "metadata: {name:",
        &format!("metadata: {{namespace: {namespace}, name:"),
        1,
    )
}
