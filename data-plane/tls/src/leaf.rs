//! What a certificate says of itself.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Fault;
use crate::name::write_name;

/// Most names that are looked at; a certificate with more still works, its other names are not
/// spoken of.
const MAX_NAMES: usize = 1000;

/// The public part of a certificate that people and checks ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Subject as RFC 4514 writes it, such as `CN=a.example,O=Example`.
    pub subject: String,
    /// DNS names it is valid for, in lower case; `*.` stands for one label (RFC 6125 section 6.4.3).
    pub names: Vec<String>,
    /// Seconds since 1970, UTC, from which it is valid.
    pub not_before: i64,
    /// Seconds since 1970, UTC, until which it is valid.
    pub not_after: i64,
    pub(crate) raw_subject: Vec<u8>,
    pub(crate) raw_issuer: Vec<u8>,
}

impl Leaf {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`Fault::Certificate`] when it does not parse, or when something follows it.
    pub fn read(der: &[u8]) -> Result<Self, Fault> {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else {
            return Err(Fault::Certificate { at: 0 });
        };
        let alternative = certificate
            .subject_alternative_name()
            .map_err(|_| Fault::Certificate { at: 0 })?;
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let dns = names.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        let validity = certificate.validity();
        Ok(Self {
            subject: write_name(certificate.subject()),
            names: dns.take(MAX_NAMES).collect(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            raw_subject: certificate.subject().as_raw().to_vec(),
            raw_issuer: certificate.issuer().as_raw().to_vec(),
        })
    }

    /// Whether clients take it for `hostname`, in lower case: a name, or `*.` and a name, which
    /// only the same wildcard covers. The subject's common name does not count (RFC 9525).
    pub fn covers(&self, hostname: &str) -> bool {
        let wildcard = hostname.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| {
            let below = name.strip_prefix("*.");
            name == hostname || (below.is_some() && below == wildcard)
        })
    }
}
