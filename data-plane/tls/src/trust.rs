//! Roots and revocation lists, and what is verified with them.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use rustls::{CertificateError, DistinguishedName, Error, OtherError};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, ExtendedKeyUsageValidator, OwnedCertRevocationList,
    RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};

use crate::provider::algorithms;
use crate::{Fault, Leaf};

/// Roots that chains may end in, and lists of certificates that are taken back.
///
/// A certificate is looked up in the list of its issuer, if there is one, at each step of the
/// chain; a list that has expired makes what it would speak of invalid, as in nginx and Envoy. A
/// certificate that is itself among the roots is valid in its time: that is how servers with a
/// self-signed one are trusted.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    roots: Vec<TrustAnchor<'static>>,
    /// The same as they came.
    certificates: Vec<CertificateDer<'static>>,
    names: Vec<DistinguishedName>,
    crls: Vec<Arc<CertRevocationList<'static>>>,
}

impl Trust {
    /// Reads `roots` and `crls`.
    ///
    /// # Errors
    /// [`Fault::Root`] for a certificate that is no trust anchor, [`Fault::Crl`] for a list that does
    /// not parse (RFC 5280 section 5) or that is of a form nobody looks at (indirect, delta).
    pub fn new(
        roots: &[CertificateDer<'_>],
        crls: &[CertificateRevocationListDer<'_>],
    ) -> Result<Self, Fault> {
        let mut trust = Self::default();
        for (at, root) in roots.iter().enumerate() {
            trust.add_root(root).map_err(|()| Fault::Root { at })?;
        }
        if trust.roots.is_empty() {
            return Err(Fault::NoCertificate);
        }
        for crl in crls {
            let crl = OwnedCertRevocationList::from_der(crl).map_err(|_| Fault::Crl)?;
            trust.crls.push(Arc::new(crl.into()));
        }
        Ok(trust)
    }

    /// Of the system's roots, those that can be used: stores of old systems hold some that cannot.
    pub fn of_system<'a>(roots: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> Self {
        let mut trust = Self::default();
        for root in roots {
            let _ = trust.add_root(root);
        }
        trust
    }

    /// All of these together.
    pub fn union<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.roots.extend_from_slice(&part.roots);
            all.certificates.extend_from_slice(&part.certificates);
            all.names.extend_from_slice(&part.names);
            all.crls.extend_from_slice(&part.crls);
        }
        all
    }

    /// Names of the roots.
    pub(crate) fn names(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn add_root(&mut self, root: &CertificateDer<'_>) -> Result<(), ()> {
        let anchor = anchor_from_trusted_cert(root).map_err(|_| ())?.to_owned();
        self.names.push(DistinguishedName::in_sequence(&anchor.subject));
        self.certificates.push(root.clone().into_owned());
        self.roots.push(anchor);
        Ok(())
    }

    /// Verifies that `leaf` leads to a root, over at most `max_depth` certificates in between. With
    /// `itself`, a root may also be shown as the leaf: servers often have a certificate that they
    /// signed themselves. A client's root signs others, and is nobody's own certificate.
    pub(crate) fn verify<'l>(
        &self,
        leaf: &'l CertificateDer<'l>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: impl ExtendedKeyUsageValidator,
        max_depth: usize,
        itself: bool,
    ) -> Result<EndEntityCert<'l>, Error> {
        let parsed = EndEntityCert::try_from(leaf).map_err(to_error)?;
        let crls: Vec<&CertRevocationList<'_>> = self.crls.iter().map(|crl| &**crl).collect();
        let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|options| {
            let options = options.with_status_policy(UnknownStatusPolicy::Allow);
            options.with_expiration_policy(ExpirationPolicy::Enforce).build()
        });
        let short_enough =
            |path: &webpki::VerifiedPath<'_>| match path.intermediate_certificates().count() <= max_depth {
                true => Ok(()),
                false => Err(webpki::Error::MaximumPathDepthExceeded),
            };
        let verified = parsed
            .verify_for_usage(
                algorithms().all,
                &self.roots,
                intermediates,
                now,
                usage,
                revocation,
                Some(&short_enough),
            )
            .map(drop);
        match verified {
            Ok(()) => Ok(parsed),
            Err(webpki::Error::CaUsedAsEndEntity) if itself && self.certificates.contains(leaf) => {
                check_time(leaf, now)?;
                Ok(parsed)
            }
            Err(error) => Err(to_error(error)),
        }
    }
}

fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let wrong = |told| Err(Error::InvalidCertificate(told));
    let Ok(leaf) = Leaf::read(certificate) else {
        return wrong(CertificateError::BadEncoding);
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match () {
        () if now < leaf.not_before => wrong(CertificateError::NotValidYet),
        () if now > leaf.not_after => wrong(CertificateError::Expired),
        () => Ok(()),
    }
}

/// Checks that chains can end in `roots` and be looked up in `crls`, as a proxy does it.
///
/// # Errors
/// Those of [`Trust::new`].
pub fn check_trust(
    roots: &[CertificateDer<'static>],
    crls: &[CertificateRevocationListDer<'static>],
) -> Result<(), Fault> {
    Trust::new(roots, crls).map(drop)
}

/// What the peer is told (by the alert that rustls makes of it) and the counters name.
pub(crate) fn to_error(error: webpki::Error) -> Error {
    use webpki::Error as E;
    let told = match error {
        E::BadDer | E::BadDerTime | E::TrailingData(_) | E::MalformedExtensions => {
            CertificateError::BadEncoding
        }
        E::CertExpired { .. } | E::InvalidCertValidity => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertRevoked => CertificateError::Revoked,
        E::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
        E::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::CertNotValidForName(_) => CertificateError::NotValidForName,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    Error::InvalidCertificate(told)
}
