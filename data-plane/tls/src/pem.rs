//! From PEM (RFC 7468) to DER.

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::Fault;
use crate::leaf::Leaf;

/// Most certificates of a chain.
pub const MAX_CHAIN: usize = 16;
/// Most roots of one source of trust; the largest public stores have some 150.
pub const MAX_ROOTS: usize = 512;
/// Most revocation lists of one source of trust.
pub const MAX_CRLS: usize = 64;

/// Reads a chain, the leaf first; each certificate has to be issued by the one after it.
///
/// # Errors
/// When it is no PEM, has no certificate or more than [`MAX_CHAIN`], or is not in order.
pub fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain: Vec<CertificateDer<'static>> = sections(pem, MAX_CHAIN, Fault::NoCertificate)?;
    let mut subject_wanted: Option<Vec<u8>> = None;
    for (at, certificate) in chain.iter().enumerate() {
        let read = Leaf::read(certificate).map_err(|_| Fault::Certificate { at })?;
        if subject_wanted.is_some_and(|wanted| wanted != read.raw_subject) {
            return Err(Fault::Order { at: at - 1 });
        }
        subject_wanted = Some(read.raw_issuer);
    }
    Ok(chain)
}

/// Reads a private key: PKCS #8, PKCS #1 or SEC 1. Of several, the first. That it is supported is
/// found by [`check_pair`](crate::check_pair).
///
/// # Errors
/// When it is no PEM, or there is no unencrypted key in it.
pub fn read_private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        Error::NoItemsFound => Fault::PrivateKey,
        _ => Fault::Pem,
    })
}

/// Reads roots of trust, in any order.
///
/// # Errors
/// When it is no PEM, has no certificate or more than [`MAX_ROOTS`], or one does not parse.
pub fn read_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let roots: Vec<CertificateDer<'static>> = sections(pem, MAX_ROOTS, Fault::NoCertificate)?;
    for (at, root) in roots.iter().enumerate() {
        Leaf::read(root).map_err(|_| Fault::Certificate { at })?;
    }
    Ok(roots)
}

/// Reads certificate revocation lists. That they parse is found by
/// [`check_trust`](crate::check_trust).
///
/// # Errors
/// When it is no PEM, or has no list or more than [`MAX_CRLS`].
pub fn read_crls(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Fault> {
    sections(pem, MAX_CRLS, Fault::NoCrl)
}

fn sections<T: PemObject>(pem: &[u8], most: usize, none: Fault) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    for section in T::pem_slice_iter(pem) {
        if found.len() == most {
            return Err(Fault::TooMany { most });
        }
        found.push(section.map_err(|_| Fault::Pem)?);
    }
    match found.is_empty() {
        true => Err(none),
        false => Ok(found),
    }
}
