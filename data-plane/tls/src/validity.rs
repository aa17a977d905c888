//! How long something signed is good for.

use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::{Fault, Leaf};

/// From when until when, in seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: i64,
    /// Last second.
    pub until: i64,
}

impl Validity {
    /// That of a certificate in DER.
    ///
    /// # Errors
    /// Those of [`Leaf::read`].
    pub fn of_certificate(der: &[u8]) -> Result<Self, Fault> {
        let leaf = Leaf::read(der)?;
        Ok(Self {
            from: leaf.not_before,
            until: leaf.not_after,
        })
    }

    /// That of a certificate revocation list in DER: until the next one was promised (RFC 5280 section
    /// 5.1.2.5).
    ///
    /// # Errors
    /// [`Fault::Crl`] when it does not parse, or promises none.
    pub fn of_crl(der: &[u8]) -> Result<Self, Fault> {
        let (_, crl) = CertificateRevocationList::from_der(der).map_err(|_| Fault::Crl)?;
        Ok(Self {
            from: crl.last_update().timestamp(),
            until: crl.next_update().ok_or(Fault::Crl)?.timestamp(),
        })
    }
}
