//! The authority as it is put to use: what is shown, who is trusted, what is signed with.

use std::sync::Arc;
use std::time::Duration;

use sluice_model::{CommitId, CommitSeal, HistoryId, Revision};
use sluice_proto::v1;
use sluice_tls::{
    Clients, Fault, Identity, KeyHash, MinVersion, ProxyPeer, Signer, Tickets, Trust, server_config,
};
use thiserror::Error;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::time_provider::DefaultTimeProvider;

use super::authority::{Authority, Generation};
use super::issue::{self, IssueError, Request};
use super::seal;
use crate::store::UnixMillis;

/// What follows from one version of the record, on this replica.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(super) edition: Edition,
    pub(super) authority: Authority,
    /// When this replica needs another certificate of its own.
    pub(super) refresh_at: UnixMillis,
    /// Until when its certificate is good.
    pub(super) expires_at: UnixMillis,
    bundle: v1::Bundle,
    /// Of the root that issues.
    pin: KeyHash,
    signer: Signer,
    /// Those of all generations.
    signers: Vec<Signer>,
    server: Arc<ServerConfig>,
    clients: Clients,
    lifetime: Duration,
}

/// Which of all versions of the record that a replica reads: the later one is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edition {
    /// How often the store had connected anew: behind each connection may be a database that lost
    /// commits, and their numbers are given again.
    pub(super) reconnects: u64,
    /// Version of the record; 0 when there is none.
    pub(super) version: u64,
}

/// Why an authority cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StandingError {
    /// Nobody issues.
    #[error("the record of the authority does not read")]
    Record,
    /// Making this replica's certificate failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A key or a root does not work.
    #[error("a key or a root of the authority: {0}")]
    Tls(#[from] Fault),
}

impl Standing {
    pub(super) fn new(
        edition: Edition,
        authority: Authority,
        lifetime: Duration,
        now: UnixMillis,
    ) -> Result<Self, StandingError> {
        let issuing = authority.issuing().ok_or(StandingError::Record)?;
        let signer = Signer::new(issuing.signing_key.expose())?;
        let pin = KeyHash::of_certificate(&issuing.root)?;
        let roots: Vec<CertificateDer<'static>> = authority
            .generations()
            .iter()
            .map(|one| one.root.clone().into())
            .collect();
        let clients = || Ok::<_, Fault>(Clients::new(Trust::new(&roots, &[])?, true, 0));
        let server = serve(&authority, issuing, &roots, clients()?, lifetime, now)?;
        let generations = authority.generations().iter();
        let signers = generations.map(|one| Signer::new(one.signing_key.expose()));
        let signers = signers.collect::<Result<Vec<_>, Fault>>()?;
        let bundle = v1::Bundle {
            authorities: roots.iter().map(|root| root.to_vec()).collect(),
            signing_keys: signers
                .iter()
                .map(|signer| signer.public_key().to_vec())
                .collect(),
        };
        let life = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            edition,
            refresh_at: UnixMillis(now.0.saturating_add(life / 3 * 2)),
            expires_at: UnixMillis(now.0.saturating_add(life)),
            bundle,
            pin,
            signer,
            signers,
            server: Arc::new(server),
            clients: clients()?,
            lifetime,
            authority,
        })
    }

    /// Whom proxies are to trust.
    pub(crate) fn bundle(&self) -> &v1::Bundle {
        &self.bundle
    }

    /// Signs snapshots.
    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Whether a control plane has told that `revision` of `history` is that commit, as `shown`. What was told with
    /// a key that is not trusted any more is not known.
    pub(crate) fn has_told(
        &self,
        history: HistoryId,
        (revision, commit): (Revision, CommitId),
        shown: CommitSeal,
    ) -> bool {
        let mut signers = self.signers.iter();
        shown != CommitSeal::NONE && signers.any(|signer| seal(signer, history, (revision, commit)) == shown)
    }

    /// Hash of the key of the root that new certificates lead to.
    pub(crate) fn pin(&self) -> KeyHash {
        self.pin
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// Who shows this chain, the leaf first.
    ///
    /// # Errors
    /// When it was not issued here to a proxy, or is out of date.
    pub(super) fn proxy(&self, chain: &[CertificateDer<'_>], now: Duration) -> Result<ProxyPeer, PeerError> {
        let now = UnixTime::since_unix_epoch(now);
        self.clients.verify(chain, now).map_err(|_| PeerError::Invalid)?;
        let leaf = chain.first().ok_or(PeerError::Invalid)?;
        ProxyPeer::read(leaf).map_err(|_| PeerError::Nameless)
    }

    /// A certificate for the proxy `id`, until when it is good, and whom to trust.
    pub(super) fn grant(
        &self,
        request: &Request,
        id: &str,
        now: UnixMillis,
    ) -> Result<(v1::Enrolled, UnixMillis), IssueError> {
        let issuing = self.authority.issuing().ok_or(IssueError::Keys)?;
        let certificate = request.grant(id, issuing, now, self.lifetime)?;
        let enrolled = v1::Enrolled {
            chain: vec![certificate],
            bundle: Some(self.bundle.clone()),
        };
        Ok((enrolled, self.expiry(now)))
    }

    /// Until when a certificate is good that is issued at `now`.
    pub(super) fn expiry(&self, now: UnixMillis) -> UnixMillis {
        let life = u64::try_from(self.lifetime.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(now.0.saturating_add(life))
    }
}

/// Why somebody with a certificate is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum PeerError {
    #[error("its certificate was not issued here, or is out of date")]
    Invalid,
    #[error("its certificate names no proxy")]
    Nameless,
}

/// What this replica serves with: a certificate of its own, the steps from it to every root that is
/// trusted, and the roots, for those who know no more than the hash of one.
fn serve(
    authority: &Authority,
    issuing: &Generation,
    roots: &[CertificateDer<'static>],
    clients: Clients,
    lifetime: Duration,
    now: UnixMillis,
) -> Result<ServerConfig, StandingError> {
    let pair = issue::control(issuing, now, lifetime)?;
    let mut chain = vec![CertificateDer::from(pair.certificate)];
    let crosses = authority.generations().iter().rev();
    chain.extend(
        crosses
            .filter_map(|one| one.cross.clone())
            .map(CertificateDer::from),
    );
    chain.extend(roots.iter().cloned());
    let key = PrivateKeyDer::try_from(pair.key.expose().as_slice()).map_err(|_| Fault::PrivateKey)?;
    let identity = Identity::new(chain, &key, None)?;
    // No tickets: everybody shows a certificate each time.
    let tickets = Tickets::new([], b"");
    Ok(server_config(
        vec![identity],
        Some(Arc::new(clients)),
        MinVersion::Tls13,
        tickets,
        Arc::new(DefaultTimeProvider),
    )?)
}
