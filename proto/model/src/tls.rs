//! TLS: what is shown, what is trusted, what opens tickets. Structure only; certificates are
//! parsed by whoever serves with them.

use bytes::Bytes;
use sluice_proto::v1;

use crate::{Code, Hostname, Key, Kind, Secret, Violation, problems::Problems};

/// Most certificates of one listener.
pub const MAX_CERTIFICATES: usize = 64;
/// Most trusts of one listener or backend.
pub const MAX_TRUSTS: usize = 64;
/// Most certificates of one chain, the leaf included; also the deepest a client's may be.
pub const MAX_CHAIN: usize = 16;
/// Most roots, and most revocation lists, of one trust.
pub const MAX_ROOTS: usize = 1024;
/// Most keys of one [`Tickets`].
pub const MAX_TICKET_KEYS: usize = 8;
/// Most names that a backend's certificate may have, one of which it must.
pub const MAX_NAMES: usize = 64;
/// Certificates between a client's own and the root, unless said otherwise.
const DEFAULT_DEPTH: u32 = 4;

/// How a listener ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// Keys of [`Certificate`]s, 1 to [`MAX_CERTIFICATES`]; the first that fits the client is shown.
    pub certificates: Vec<Key>,
    /// `None`: clients are not asked for a certificate.
    pub client: Option<ClientValidation>,
    /// The oldest version spoken.
    pub min_version: TlsVersion,
}

/// What is asked of clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientValidation {
    /// Keys of [`Trust`]s, 1 to [`MAX_TRUSTS`]; a chain to any of their roots will do.
    pub trust: Vec<Key>,
    /// A client without a certificate, or with one that is not valid, is let in unnamed.
    pub optional: bool,
    /// Most certificates between the client's own and the root; at most [`MAX_CHAIN`].
    pub max_depth: u8,
}

/// Versions of TLS that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246)
    Tls12,
    /// TLS 1.3 (RFC 8446)
    Tls13,
}

/// A certificate with its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// `certificate/NAMESPACE/NAME`
    pub key: Key,
    /// DER, the leaf first; 1 to [`MAX_CHAIN`].
    pub chain: Vec<Bytes>,
    /// DER: PKCS #8, PKCS #1 or SEC 1.
    pub private_key: Secret<Vec<u8>>,
    /// DER response to staple (RFC 6960).
    pub ocsp: Option<Bytes>,
}

/// Roots that certificates may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// `trust/NAMESPACE/NAME`
    pub key: Key,
    /// DER; 1 to [`MAX_ROOTS`].
    pub roots: Vec<Bytes>,
    /// Revocation lists, DER; at most [`MAX_ROOTS`].
    pub crls: Vec<Bytes>,
}

/// Keys of session tickets: change without a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// `tickets/NAMESPACE/NAME`
    pub key: Key,
    /// 1 to [`MAX_TICKET_KEYS`]; the first makes tickets, all open them.
    pub keys: Vec<Secret<[u8; 32]>>,
}

/// TLS to a backend's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendTls {
    /// DNS name to send; `None`: none is sent, and there is at least one name.
    pub sni: Option<Box<str>>,
    /// Any of which the certificate must have, at most [`MAX_NAMES`]; none: `sni`.
    pub names: Vec<SubjectName>,
    /// Keys of [`Trust`]s, at most [`MAX_TRUSTS`]; none: the roots of the proxy's system.
    pub trust: Vec<Key>,
    /// Key of a [`Certificate`] to show.
    pub client_certificate: Option<Key>,
}

/// A name in a certificate (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SubjectName {
    /// A DNS name, lower case, without wildcard.
    Dns(Box<str>),
    /// A URI, compared as it is written: `spiffe://cluster.example/ns/shop`.
    Uri(Box<str>),
}

impl ListenerTls {
    /// Everything it refers to: certificates and trusts.
    pub fn references(&self) -> impl Iterator<Item = &Key> {
        let trust = self.client.iter().flat_map(|client| &client.trust);
        self.certificates.iter().chain(trust)
    }

    pub(crate) fn read(problems: &mut Problems<'_>, wire: &v1::ListenerTls) -> Self {
        count(
            problems,
            "tls.certificates",
            wire.certificates.len(),
            1..=MAX_CERTIFICATES,
        );
        let certificates = keys(
            problems,
            "tls.certificates",
            &wire.certificates,
            Kind::Certificate,
        );
        let client = wire
            .client
            .as_ref()
            .map(|client| ClientValidation::read(problems, client));
        let min_version = match v1::listener_tls::Version::try_from(wire.min_version) {
            Ok(v1::listener_tls::Version::Unspecified | v1::listener_tls::Version::Tls12) => {
                TlsVersion::Tls12
            }
            Ok(v1::listener_tls::Version::Tls13) => TlsVersion::Tls13,
            Err(_) => {
                problems.add(
                    "tls.min_version",
                    Code::Unsupported,
                    "a version of TLS that this proxy does not speak",
                );
                TlsVersion::Tls13
            }
        };
        Self {
            certificates,
            client,
            min_version,
        }
    }
}

impl ClientValidation {
    fn read(problems: &mut Problems<'_>, wire: &v1::ClientValidation) -> Self {
        count(problems, "tls.client.trust", wire.trust.len(), 1..=MAX_TRUSTS);
        let trust = keys(problems, "tls.client.trust", &wire.trust, Kind::Trust);
        let depth = wire.max_depth.unwrap_or(DEFAULT_DEPTH) as usize;
        count(problems, "tls.client.max_depth", depth, 0..=MAX_CHAIN);
        Self {
            trust,
            optional: wire.optional,
            max_depth: depth.min(MAX_CHAIN) as u8,
        }
    }
}

impl Certificate {
    pub(crate) fn read(key: &Key, wire: v1::Certificate) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        let private_key = Secret::new(wire.private_key);
        count(&mut problems, "chain", wire.chain.len(), 1..=MAX_CHAIN);
        no_blanks(&mut problems, "chain", &wire.chain);
        if private_key.expose().is_empty() {
            problems.add(
                "private_key",
                Code::Missing,
                "a certificate needs its private key",
            );
        }
        problems.finish(Some(Self {
            key: key.clone(),
            chain: shared(wire.chain),
            private_key,
            ocsp: (!wire.ocsp.is_empty()).then(|| wire.ocsp.into()),
        }))
    }
}

impl Trust {
    pub(crate) fn read(key: &Key, wire: v1::Trust) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        for (field, list, least) in [("roots", &wire.roots, 1), ("crls", &wire.crls, 0)] {
            count(&mut problems, field, list.len(), least..=MAX_ROOTS);
            no_blanks(&mut problems, field, list);
        }
        problems.finish(Some(Self {
            key: key.clone(),
            roots: shared(wire.roots),
            crls: shared(wire.crls),
        }))
    }
}

impl Tickets {
    pub(crate) fn read(key: &Key, wire: v1::Tickets) -> Result<Self, Vec<Violation>> {
        let mut problems = Problems::of(key);
        count(&mut problems, "keys", wire.keys.len(), 1..=MAX_TICKET_KEYS);
        let mut keys = Vec::with_capacity(wire.keys.len().min(MAX_TICKET_KEYS));
        for (at, one) in wire
            .keys
            .into_iter()
            .map(Secret::new)
            .enumerate()
            .take(MAX_TICKET_KEYS)
        {
            match <[u8; 32]>::try_from(&**one.expose()) {
                Ok(bytes) => keys.push(Secret::new(bytes)),
                Err(_) => problems.add(
                    format!("keys[{at}]"),
                    Code::OutOfRange,
                    "a ticket key has 32 bytes",
                ),
            }
        }
        problems.finish(Some(Self {
            key: key.clone(),
            keys,
        }))
    }
}

impl BackendTls {
    /// Everything it refers to: trusts, and the certificate it shows.
    pub fn references(&self) -> impl Iterator<Item = &Key> {
        self.trust.iter().chain(&self.client_certificate)
    }

    pub(crate) fn read(problems: &mut Problems<'_>, wire: &v1::BackendTls) -> Self {
        let sni = match wire.sni.as_str() {
            "" => None,
            name => dns_name(problems, "tls.sni", name),
        };
        count(problems, "tls.names", wire.names.len(), 0..=MAX_NAMES);
        if wire.sni.is_empty() && wire.names.is_empty() {
            problems.add(
                "tls.names",
                Code::Missing,
                "without a name to look for no certificate is valid",
            );
        }
        let mut names = Vec::with_capacity(wire.names.len().min(MAX_NAMES));
        for (at, name) in wire.names.iter().take(MAX_NAMES).enumerate() {
            names.extend(SubjectName::read(problems, &format!("tls.names[{at}]"), name));
        }
        count(problems, "tls.trust", wire.trust.len(), 0..=MAX_TRUSTS);
        let trust = keys(problems, "tls.trust", &wire.trust, Kind::Trust);
        let client_certificate = match wire.client_certificate.as_str() {
            "" => None,
            text => problems.key("tls.client_certificate", text, Kind::Certificate),
        };
        Self {
            sni,
            names,
            trust,
            client_certificate,
        }
    }
}

impl SubjectName {
    fn read(problems: &mut Problems<'_>, field: &str, text: &str) -> Option<Self> {
        if !text.contains(':') {
            return dns_name(problems, field, text).map(Self::Dns);
        }
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let is_uri = is_scheme && text.len() <= 2048 && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_uri {
            problems.add(
                field,
                Code::Invalid,
                "neither a DNS name nor a URI such as spiffe://cluster.example/ns/shop",
            );
        }
        is_uri.then(|| Self::Uri(text.into()))
    }
}

fn dns_name(problems: &mut Problems<'_>, field: &str, text: &str) -> Option<Box<str>> {
    match problems.keep(|| field.into(), Hostname::parse(text))? {
        Hostname::Exact(name) => Some(name),
        Hostname::Wildcard(_) | Hostname::Any => {
            problems.add(field, Code::Invalid, "one precise DNS name is needed here");
            None
        }
    }
}

fn keys(problems: &mut Problems<'_>, field: &str, texts: &[String], kind: Kind) -> Vec<Key> {
    let one = |(at, text): (usize, &String)| problems.key(&format!("{field}[{at}]"), text, kind);
    // No list of keys is longer than this; `count` has said so.
    texts
        .iter()
        .take(MAX_TRUSTS.max(MAX_CERTIFICATES))
        .enumerate()
        .filter_map(one)
        .collect()
}

fn count(problems: &mut Problems<'_>, field: &str, found: usize, allowed: std::ops::RangeInclusive<usize>) {
    if !allowed.contains(&found) {
        let message = format!("{found}; {} to {} are allowed", allowed.start(), allowed.end());
        problems.add(field, Code::OutOfRange, message);
    }
}

fn no_blanks(problems: &mut Problems<'_>, field: &str, list: &[Vec<u8>]) {
    if let Some(at) = list.iter().position(Vec::is_empty) {
        problems.add(format!("{field}[{at}]"), Code::Missing, "this one is empty");
    }
}

fn shared(list: Vec<Vec<u8>>) -> Vec<Bytes> {
    list.into_iter().map(Bytes::from).collect()
}
