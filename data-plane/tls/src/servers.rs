//! Servers that this side connects to.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, DnsName, ServerName, UnixTime};
use rustls::{CertificateError, Error};
use webpki::{EndEntityCert, KeyUsage};

use crate::provider::{MinVersion, provider, verify_signatures};
use crate::trust::to_error;
use crate::{Fault, Identity, KeyHash, Trust};

/// Certificates between a server's own and a root; the deepest of the public ones have 3.
const MAX_DEPTH: usize = 6;

/// A name that a server's certificate may have (RFC 5280 section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectName {
    /// A DNS name; a wildcard in the certificate covers it.
    Dns(DnsName<'static>),
    /// A URI, compared as it is written.
    Uri(Box<str>),
}

/// Where the chains of servers have to lead.
#[derive(Debug)]
enum Anchor {
    Roots(Trust),
    /// To a certificate with this key, which the server has to send along.
    Pinned(KeyHash),
}

/// What is asked of servers' certificates.
#[derive(Debug)]
struct Servers {
    anchor: Anchor,
    /// Any of which will do; none: the name that is connected to.
    names: Vec<SubjectName>,
}

/// Makes the configuration of connections to servers that show a chain to a root of `trust` and
/// any of `names`, or, without names, the name that is connected to. They are shown `identity`.
/// Where nothing is trusted, nobody is.
///
/// # Errors
/// When this build cannot do TLS.
pub fn client_config(
    trust: Trust,
    names: Vec<SubjectName>,
    identity: Option<Identity>,
    alpn: &[u8],
) -> Result<ClientConfig, Fault> {
    let anchor = Anchor::Roots(trust);
    configure(Servers { anchor, names }, identity, alpn)
}

/// Makes the configuration of connections to servers of which nothing is known yet but the key of
/// their root: they have to send the root along, and show a chain to it and any of `names`.
///
/// # Errors
/// When this build cannot do TLS.
pub fn pinned_client_config(
    root: KeyHash,
    names: Vec<SubjectName>,
    alpn: &[u8],
) -> Result<ClientConfig, Fault> {
    let anchor = Anchor::Pinned(root);
    configure(Servers { anchor, names }, None, alpn)
}

fn configure(servers: Servers, identity: Option<Identity>, alpn: &[u8]) -> Result<ClientConfig, Fault> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(MinVersion::Tls12.versions())
        .map_err(|_| Fault::Provider)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(servers));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

impl Servers {
    fn has_name(&self, parsed: &EndEntityCert<'_>, connected_to: &ServerName<'_>) -> Result<(), Error> {
        if self.names.is_empty() {
            return parsed
                .verify_is_valid_for_subject_name(connected_to)
                .map_err(to_error);
        }
        let found = self.names.iter().any(|name| match name {
            SubjectName::Dns(name) => {
                let name = ServerName::DnsName(name.borrow());
                parsed.verify_is_valid_for_subject_name(&name).is_ok()
            }
            SubjectName::Uri(uri) => parsed.valid_uri_names().any(|held| held == &**uri),
        });
        match found {
            true => Ok(()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }
}

/// Trust in the one certificate that has the key.
fn find_pinned(root: KeyHash, sent: &[CertificateDer<'_>]) -> Result<Trust, Error> {
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let is_it = |sent: &&CertificateDer<'_>| KeyHash::of_certificate(sent) == Ok(root);
    let found = sent.iter().find(is_it).ok_or_else(|| unknown.clone())?;
    Trust::new(std::slice::from_ref(found), &[]).map_err(|_| unknown)
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        connected_to: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usage = KeyUsage::server_auth();
        let pinned;
        let trust = match &self.anchor {
            Anchor::Roots(trust) => trust,
            Anchor::Pinned(root) => {
                pinned = find_pinned(*root, intermediates)?;
                &pinned
            }
        };
        let parsed = trust.verify(leaf, intermediates, now, usage, MAX_DEPTH, true)?;
        self.has_name(&parsed, connected_to)?;
        Ok(ServerCertVerified::assertion())
    }

    verify_signatures!();
}
