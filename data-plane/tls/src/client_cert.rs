//! What an upstream is told of a client's certificate.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Fault;
use crate::name::write_name;

/// Names of each kind that are told.
const MAX_NAMES: usize = 16;
/// Longest name that is told.
const MAX_NAME: usize = 1024;

/// Describes the verified certificate of a client as the value of `x-forwarded-client-cert`, in
/// Envoy's form: `Hash=<SHA-256 of the DER, hexadecimal>;Subject="<RFC 4514>";URI=...;DNS=...`.
/// Visible ASCII and spaces only.
///
/// # Errors
/// [`Fault::Certificate`] when it does not parse; one that was verified does.
pub fn describe_client(leaf: &[u8]) -> Result<String, Fault> {
    let unreadable = Fault::Certificate { at: 0 };
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| unreadable)?;
    let mut text = "Hash=".to_owned();
    for byte in digest(&SHA256, leaf).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    let subject = write_name(certificate.subject());
    let _ = write!(text, ";Subject=\"{subject}\"");
    let names = certificate.subject_alternative_name().map_err(|_| unreadable)?;
    let names = || names.iter().flat_map(|names| &names.value.general_names);
    let uris = names().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(("URI", *uri)),
        _ => None,
    });
    let dns = names().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(("DNS", *name)),
        _ => None,
    });
    for (kind, name) in uris.take(MAX_NAMES).chain(dns.take(MAX_NAMES)) {
        if name.len() <= MAX_NAME {
            text.push(';');
            text.push_str(kind);
            text.push('=');
            write_field(name, &mut text);
        }
    }
    Ok(text)
}

/// A value of the header, quoted where it would end otherwise. What no URI and no DNS name may hold
/// is percent-encoded.
fn write_field(value: &str, text: &mut String) {
    let quoted = value.contains([',', ';', '=', '"', '\\']);
    if quoted {
        text.push('"');
    }
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'!'..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    if quoted {
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn field(value: &str) -> String {
        let mut text = String::new();
        write_field(value, &mut text);
        text
    }

    #[test]
    fn a_client_is_described_as_envoy_does_it() {
        let mut params = CertificateParams::new(vec!["a.example".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "x, O=Admin");
        params.distinguished_name.push(DnType::OrganizationName, "Shop");
        let uri = "spiffe://cluster.example/ns/shop".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(uri));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let text = describe_client(certificate.der()).unwrap();
        let (hash, rest) = text.split_once(';').unwrap();
        assert!(
            hash.strip_prefix("Hash=").is_some_and(|hash| hash.len() == 64),
            "{hash}"
        );
        assert!(rest.contains("CN=x\\, O=Admin"), "{rest}");
        assert!(
            rest.ends_with(";URI=spiffe://cluster.example/ns/shop;DNS=a.example"),
            "{rest}"
        );
        assert_eq!(describe_client(b"no"), Err(Fault::Certificate { at: 0 }));
    }

    #[test]
    fn no_name_can_be_taken_for_another_field() {
        assert_eq!(field("spiffe://a/b"), "spiffe://a/b");
        assert_eq!(field("x;Subject=\"root\""), "\"x;Subject=\\\"root\\\"\"");
        assert_eq!(field("a\r\nb c"), "a%0D%0Ab%20c");
    }
}
