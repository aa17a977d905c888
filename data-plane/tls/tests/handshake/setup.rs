//! From certificates to what serves with them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use sluice_tls::{Clients, Identity, MinVersion, Tickets, Trust, server_config};

use crate::authority::{Authority, Issued, Leaf};

impl Authority {
    pub(crate) fn trust(&self) -> Trust {
        self.trust_with(&[])
    }

    pub(crate) fn trust_with(&self, crls: &[CertificateRevocationListDer<'_>]) -> Trust {
        Trust::new(std::slice::from_ref(&self.certificate), crls).unwrap()
    }

    /// An authority that serves with its own certificate, as `openssl req -x509` makes it.
    pub(crate) fn itself(name: &str, until: i32) -> (Trust, Identity) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = vec![params.self_signed(&key).unwrap().der().clone()];
        let trust = Trust::new(&chain, &[]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (trust, Identity::new(chain, &key, None).unwrap())
    }

    pub(crate) fn identity(&self, leaf: Leaf) -> Identity {
        identity(self.issue(leaf))
    }
}

pub(crate) fn identity(issued: Issued) -> Identity {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key));
    Identity::new(issued.chain, &key, issued.ocsp.as_deref()).unwrap()
}

/// A server that shows these, asks clients for that, and makes tickets under `key`.
pub(crate) fn server(
    identities: Vec<Identity>,
    clients: Option<Arc<Clients>>,
    key: [u8; 32],
) -> Arc<rustls::ServerConfig> {
    let tickets = Tickets::new([&key], b"listener");
    Arc::new(server_config(identities, clients, MinVersion::Tls12, tickets, clock()).unwrap())
}

/// The system's.
pub(crate) fn clock() -> Arc<dyn TimeProvider> {
    Arc::new(DefaultTimeProvider)
}
