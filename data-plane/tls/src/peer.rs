//! The two ends of the stream between the planes, as their certificates name them (SPIFFE, X.509-SVID
//! section 2): `spiffe://sluice/control` and `spiffe://sluice/proxy/ID`.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Fault;

/// What a control plane's certificate names. Addresses change, so no DNS name is asked for.
pub const CONTROL_URI: &str = "spiffe://sluice/control";
const PROXIES: &str = "spiffe://sluice/proxy/";

/// What the certificate of the proxy `id` names.
pub fn proxy_uri(id: &str) -> String {
    format!("{PROXIES}{id}")
}

/// SHA-256 of a SubjectPublicKeyInfo in DER (RFC 7469 section 2.4).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// The hash of `spki`.
    pub fn of(spki: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, spki).as_ref());
        Self(hash)
    }

    /// The hash of the key in a certificate.
    ///
    /// # Errors
    /// [`Fault::Certificate`] when it does not parse.
    pub fn of_certificate(der: &[u8]) -> Result<Self, Fault> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Fault::Certificate { at: 0 })?;
        Ok(Self::of(certificate.public_key().raw))
    }

    /// Reads what is displayed: 64 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits = hex.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A proxy by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyPeer {
    /// Its id in the fleet.
    pub id: String,
    /// Of its key.
    pub key: KeyHash,
}

impl ProxyPeer {
    /// Reads a certificate that was verified. It has to name one proxy, and nothing else.
    ///
    /// # Errors
    /// [`Fault::Certificate`] when it does not parse, [`Fault::Name`] when it names no proxy.
    pub fn read(der: &[u8]) -> Result<Self, Fault> {
        let unreadable = Fault::Certificate { at: 0 };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable)?;
        let names = certificate.subject_alternative_name().map_err(|_| unreadable)?;
        let names = names.map_or(&[][..], |names| &names.value.general_names);
        let [GeneralName::URI(uri)] = names else {
            return Err(Fault::Name);
        };
        let id = uri.strip_prefix(PROXIES).filter(|id| !id.is_empty());
        Ok(Self {
            id: id.ok_or(Fault::Name)?.to_owned(),
            key: KeyHash::of(certificate.public_key().raw),
        })
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SanType};

    use super::*;

    fn certificate(uris: &[&str]) -> (KeyPair, Vec<u8>) {
        let mut params = CertificateParams::new(vec![]).unwrap();
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = uris.collect();
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        (key, certificate.der().to_vec())
    }

    #[test]
    fn a_proxy_is_who_its_certificate_names() {
        let (key, der) = certificate(&[&proxy_uri("edge-1")]);
        let peer = ProxyPeer::read(&der).unwrap();
        let hash = KeyHash::of(&key.subject_public_key_info());
        assert_eq!((peer.id.as_str(), peer.key), ("edge-1", hash));
        assert_eq!(KeyHash::of_certificate(&der), Ok(hash));
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
    }

    #[test]
    fn whoever_names_no_proxy_or_several_is_none() {
        let two = [&*proxy_uri("a"), &*proxy_uri("b")];
        let others: [&[&str]; 4] = [&[], &[CONTROL_URI], &["spiffe://sluice/proxy/"], &two];
        for uris in others {
            assert_eq!(
                ProxyPeer::read(&certificate(uris).1),
                Err(Fault::Name),
                "{uris:?}"
            );
        }
        assert!(ProxyPeer::read(b"no").is_err());
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_hash() {
        let text = KeyHash([0xab; 32]).to_string();
        assert_eq!(KeyHash::parse(&text), Some(KeyHash([0xab; 32])));
        for other in [
            "",
            &text[2..],
            &format!("{text}00"),
            &text.replace('a', "g"),
            &text.replace("ab", "+1"),
        ] {
            assert_eq!(KeyHash::parse(other), None, "{other}");
        }
    }
}
