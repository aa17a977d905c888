//! Handshakes, as they are counted.

use std::io;

use rustls::{AlertDescription, CertificateError, Error};

/// Why a client's handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFailure {
    /// What came is no TLS; plain HTTP, mostly.
    NotTls,
    /// The client asks for a name that no listener of the port has.
    UnknownName,
    /// The listener has too many connections, of everybody or of this client.
    OverLimit,
    /// No version, cipher suite, group or protocol in common.
    Incompatible,
    /// The client shows no certificate where it has to.
    ClientCertMissing,
    /// The client's certificate has expired, or is not valid yet.
    ClientCertExpired,
    /// The client's certificate was taken back.
    ClientCertRevoked,
    /// The client's certificate leads to no root, over too many steps, or is not valid otherwise.
    ClientCertInvalid,
    /// The client does not trust what it is shown.
    Distrusted,
    /// The client broke the protocol.
    Misbehaved,
    /// The client left.
    Closed,
    /// It took too long.
    Timeout,
}

impl HandshakeFailure {
    pub(crate) const ALL: [Self; 12] = [
        Self::NotTls,
        Self::UnknownName,
        Self::OverLimit,
        Self::Incompatible,
        Self::ClientCertMissing,
        Self::ClientCertExpired,
        Self::ClientCertRevoked,
        Self::ClientCertInvalid,
        Self::Distrusted,
        Self::Misbehaved,
        Self::Closed,
        Self::Timeout,
    ];

    /// Its name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotTls => "not_tls",
            Self::UnknownName => "unknown_name",
            Self::OverLimit => "over_limit",
            Self::Incompatible => "incompatible",
            Self::ClientCertMissing => "client_cert_missing",
            Self::ClientCertExpired => "client_cert_expired",
            Self::ClientCertRevoked => "client_cert_revoked",
            Self::ClientCertInvalid => "client_cert_invalid",
            Self::Distrusted => "distrusted",
            Self::Misbehaved => "misbehaved",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
        }
    }

    /// What an error in the middle of a handshake means.
    pub(super) fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        inner.map_or(Self::Closed, Self::of_tls)
    }

    pub(super) fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Self::NotTls,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::NoCertificatesPresented => Self::ClientCertMissing,
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::NotValidYet) => {
                Self::ClientCertExpired
            }
            Error::InvalidCertificate(CertificateError::Revoked) => Self::ClientCertRevoked,
            Error::InvalidCertificate(_) => Self::ClientCertInvalid,
            Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown,
            ) => Self::Distrusted,
            Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
                Self::Incompatible
            }
            Error::AlertReceived(_) => Self::Closed,
            _ => Self::Misbehaved,
        }
    }
}

/// Handshakes with clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshakes {
    /// From the beginning.
    pub(crate) full: u64,
    /// That went on with a session.
    pub(crate) resumed: u64,
    /// By place in [`HandshakeFailure::ALL`].
    pub(crate) failed: [u64; HandshakeFailure::ALL.len()],
}

impl Handshakes {
    pub(crate) fn fail(&mut self, failure: HandshakeFailure) {
        self.failed[failure as usize] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.full += other.full;
        self.resumed += other.resumed;
        for (sum, more) in self.failed.iter_mut().zip(other.failed) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_counted_at_its_place() {
        for (at, failure) in HandshakeFailure::ALL.into_iter().enumerate() {
            let mut handshakes = Handshakes::default();
            handshakes.fail(failure);
            assert_eq!(handshakes.failed[at], 1, "{}", failure.as_str());
        }
    }
}
