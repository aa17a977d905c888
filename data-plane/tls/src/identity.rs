//! Certificates with their keys, and which of them a client is shown.

use std::{fmt, sync::Arc};

use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CipherSuite, Error, InconsistentKeys, SignatureScheme};

use crate::provider::provider;
use crate::{Fault, Leaf, Staple};

/// A certificate that can be shown: its chain, its key, and a response to staple.
#[derive(Clone)]
pub struct Identity {
    certified: Arc<CertifiedKey>,
    stapled: Option<Arc<Stapled>>,
    leaf: Arc<Leaf>,
}

/// The same with a response, for as long as that holds.
struct Stapled {
    certified: Arc<CertifiedKey>,
    staple: Staple,
}

impl Identity {
    /// Puts chain (the leaf first), key and OCSP response (DER) together.
    ///
    /// # Errors
    /// [`Fault::PrivateKey`] for a key that is not supported, [`Fault::Mismatch`] for another's,
    /// [`Fault::Certificate`] for a leaf that does not parse, and what [`Staple::read`] has to say.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: &PrivateKeyDer<'_>,
        ocsp: Option<&[u8]>,
    ) -> Result<Self, Fault> {
        let staple = ocsp.map(|der| Staple::read(der, &chain)).transpose()?;
        let leaf = Leaf::read(chain.first().ok_or(Fault::NoCertificate)?)?;
        let key = provider()
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| Fault::PrivateKey)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(Self {
                stapled: staple.map(|staple| Arc::new(Stapled::new(&certified, staple))),
                certified: Arc::new(certified),
                leaf: Arc::new(leaf),
            }),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Fault::Mismatch),
            Err(Error::InconsistentKeys(_)) => Err(Fault::PrivateKey),
            Err(_) => Err(Fault::Certificate { at: 0 }),
        }
    }

    /// What the certificate says of itself.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// What a client is shown: with the response while that holds, and never longer. `now` is asked
    /// for where there is one only.
    fn shown(&self, now: impl FnOnce() -> Option<UnixTime>) -> &Arc<CertifiedKey> {
        let stapled = self.stapled.as_deref();
        let holding = stapled.filter(|stapled| now().is_some_and(|now| stapled.staple.holds_at(now)));
        holding.map_or(&self.certified, |stapled| &stapled.certified)
    }

    /// Whether a client that offers these can verify signatures of this key. In TLS 1.2 the suite
    /// names the kind of key too; the suites of TLS 1.3 name none.
    fn suits(&self, schemes: &[SignatureScheme], suites: &[CipherSuite]) -> bool {
        let key = &self.certified.key;
        let fits = provider().cipher_suites.iter().any(|suite| {
            suites.contains(&suite.suite()) && suite.usable_for_signature_algorithm(key.algorithm())
        });
        fits && key.choose_scheme(schemes).is_some()
    }
}

impl Stapled {
    fn new(certified: &CertifiedKey, staple: Staple) -> Self {
        let mut certified = certified.clone();
        certified.ocsp = Some(staple.der().to_vec());
        Self {
            certified: Arc::new(certified),
            staple,
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.leaf.subject).finish()
    }
}

/// Checks that `key` can be used and is the one of the first certificate of `chain`, as a proxy
/// does it.
///
/// # Errors
/// Those of [`Identity::new`].
pub fn check_pair(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'_>) -> Result<(), Fault> {
    Identity::new(chain.to_vec(), key, None).map(drop)
}

/// The certificates of a listener: the first that suits the client and has the name it asks for;
/// without such a one the first that suits it.
#[derive(Debug)]
pub(crate) struct Identities {
    identities: Vec<Identity>,
    clock: Arc<dyn TimeProvider>,
}

impl Identities {
    pub(crate) fn new(identities: Vec<Identity>, clock: Arc<dyn TimeProvider>) -> Self {
        Self { identities, clock }
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let suits = |one: &&Identity| one.suits(hello.signature_schemes(), hello.cipher_suites());
        let named = |one: &&Identity| name.as_deref().is_some_and(|name| one.leaf.covers(name));
        let mut suitable = self.identities.iter().filter(suits);
        // With none that suits, rustls has to find that out by itself: it then says
        // handshake_failure (RFC 8446 section 4.1.1), and access_denied if it is given nothing.
        let chosen = suitable.clone().find(named).or_else(|| suitable.next());
        let chosen = chosen.or_else(|| self.identities.first());
        chosen.map(|one| Arc::clone(one.shown(|| self.clock.current_time())))
    }
}

/// The certificate that an upstream is shown, whoever it says it trusts: there is no other.
impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let fits = self.certified.key.choose_scheme(schemes).is_some();
        fits.then(|| Arc::clone(&self.certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
