//! Clients that show certificates.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DistinguishedName, Error};
use webpki::KeyUsage;

use crate::Trust;
use crate::provider::verify_signatures;

/// What is asked of clients' certificates.
#[derive(Debug)]
pub struct Clients {
    trust: Trust,
    optional: bool,
    max_depth: usize,
}

impl Clients {
    /// Clients show a chain to a root of `trust` with at most `max_depth` certificates between their
    /// own and the root. With `optional` the others are let in, too.
    pub fn new(trust: Trust, optional: bool, max_depth: usize) -> Self {
        Self {
            trust,
            optional,
            max_depth,
        }
    }

    /// Verifies what a client has shown, the leaf first. For connections whose handshake has not
    /// done it: those where it is optional, and those that resume an earlier one, whose
    /// certificate may have expired since.
    ///
    /// # Errors
    /// Why it is not valid.
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let usage = KeyUsage::client_auth();
        self.trust
            .verify(leaf, intermediates, now, usage, self.max_depth, false)
            .map(drop)
    }

    /// Whether others than those with a valid certificate are let in.
    pub fn is_optional(&self) -> bool {
        self.optional
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        !self.optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.trust.names()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if !self.optional {
            let usage = KeyUsage::client_auth();
            self.trust
                .verify(leaf, intermediates, now, usage, self.max_depth, false)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    verify_signatures!();
}
