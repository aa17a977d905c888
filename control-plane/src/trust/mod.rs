//! Trust between the planes: who may connect, and who made what is sent.
//!
//! - The authority ([`authority`]) is a sealed record of the store that all replicas share: roots
//!   that issue certificates, and keys that sign snapshots. [`standing`] is what this replica makes of
//!   it.
//! - A proxy gets its first certificate for a join token, and the later ones for the one it has
//!   ([`enrolment`]). Whose certificates stand is known from the store's identities ([`directory`]).
//! - Connections come in through [`accept`]. TLS is optional on the way from loopback to loopback only.

mod accept;
mod authority;
mod directory;
mod enrolment;
mod issue;
mod keeper;
mod lines;
mod metrics;
mod seal;
mod standing;
mod token;
mod view;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sluice_tls::{KeyHash, ProxyPeer};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use accept::{Connection, incoming};
pub use authority::RotateError;
pub use directory::Stranger;
pub use issue::IssueError;
pub use lines::Line;
pub use metrics::TrustCollector;
pub use standing::StandingError;
pub use token::NewJoinToken;
pub use view::{AuthorityStage, AuthorityView};

pub(crate) use directory::overlay;
pub(crate) use enrolment::{EnrolmentService, stranger};
pub(crate) use seal::seal;
pub(crate) use standing::Standing;

use crate::clock;
use crate::store::{Identity, Store, StoreError, UnixMillis};
use directory::Directory;
use keeper::Keeper;
use lines::Lines;
use metrics::Counters;

/// How long the certificates of proxies and control planes are good when nothing else is said.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on this machine, without TLS.
    Local,
    /// Somebody without a certificate.
    Stranger,
    /// Whoever has the key of a certificate that was issued here and is not out of date.
    Proxy(ProxyPeer),
}

/// The trust of this replica. Clones share it.
#[derive(Clone, Debug)]
pub struct Trust {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    lifetime: Duration,
    standing: watch::Sender<Option<Arc<Standing>>>,
    directory: Directory,
    lines: Arc<Lines>,
    counters: Counters,
}

/// Why there is no trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// There is no envelope key, so the keys of the authority cannot be kept.
    #[error("there is no envelope key (--key-file), so the certificate authority cannot be kept")]
    NoKey,
    /// The record was sealed under a key that is not here.
    #[error("the certificate authority was sealed under an envelope key that is not in the key file")]
    UnknownKey,
    /// The store does not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority does not work.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// No rotation begins.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// Other replicas were faster every time.
    #[error("other control planes change the authority at the same time; try again")]
    Contended,
}

impl Trust {
    /// Reads the authority, makes it if need be, and keeps it and the identities up to date on
    /// `tasks` until `shutdown`. Certificates are good for `lifetime`. Without an envelope key there is
    /// none: then only those on this machine can connect, and nothing is signed.
    ///
    /// # Errors
    /// When the store does not answer, or the authority does not open.
    pub async fn start(
        store: Store,
        lifetime: Duration,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, TrustError> {
        let trust = Self {
            shared: Arc::new(Shared {
                lifetime,
                standing: watch::Sender::new(None),
                directory: Directory::new(),
                lines: Arc::default(),
                counters: Counters::default(),
                store,
            }),
        };
        if trust.shared.store.can_seal() {
            let mut keeper = Keeper::new(trust.clone());
            keeper.turn(clock::wall()).await?;
            tasks.spawn(shutdown.clone().run_until_cancelled_owned(keeper.run()));
        }
        Ok(trust)
    }

    /// The authority as it is now; none without an envelope key.
    pub(crate) fn standing(&self) -> Option<Arc<Standing>> {
        self.shared.standing.borrow().clone()
    }

    /// Hash of the key of the root that issues, for join tokens; none without an envelope key.
    pub fn pin(&self) -> Option<KeyHash> {
        self.standing().map(|standing| standing.pin())
    }

    /// Follows the authority.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<Standing>>> {
        self.shared.standing.subscribe()
    }

    /// Told whenever an identity changed.
    pub(crate) fn watch_identities(&self) -> watch::Receiver<u64> {
        self.shared.directory.watch()
    }

    /// What is known of the peer that says it is the proxy `id`; nothing of one without TLS.
    ///
    /// # Errors
    /// When it may not be that proxy.
    pub(crate) async fn admit(&self, peer: &Peer, id: &str) -> Result<Option<Identity>, Stranger> {
        let admitted = self.recognize(peer, id).await;
        if let Err(reason) = &admitted {
            self.shared.counters.refused(*reason);
        }
        admitted
    }

    /// Nobody without a certificate gets a stream.
    pub(crate) fn turn_away(&self) -> Stranger {
        self.shared.counters.refused(Stranger::NoCertificate);
        Stranger::NoCertificate
    }

    async fn recognize(&self, peer: &Peer, id: &str) -> Result<Option<Identity>, Stranger> {
        match peer {
            Peer::Stranger => Err(Stranger::NoCertificate),
            Peer::Local => match self.shared.directory.is_taken(id, clock::wall()) {
                true => Err(Stranger::Taken),
                false => Ok(None),
            },
            Peer::Proxy(proxy) if proxy.id != id => Err(Stranger::OtherId),
            Peer::Proxy(proxy) => self.identity(proxy).await.map(Some),
        }
    }

    /// Until when the newest certificate of the proxy is good, as far as is known here.
    pub fn certificate_expiry(&self, id: &str) -> Option<UnixMillis> {
        self.shared.directory.expiry(id)
    }

    /// Whether the identity of the proxy stands, as far as is known here.
    pub(crate) fn check(&self, proxy: &ProxyPeer) -> Result<(), Stranger> {
        self.shared.directory.judge(proxy, clock::wall())
    }

    /// Cuts the connections of those who do not stand and did not when this was called `before`; who does not
    /// stand now.
    pub(crate) fn sweep(&self, before: &BTreeSet<u64>) -> BTreeSet<u64> {
        self.shared.lines.sweep(before, |proxy| self.check(proxy))
    }

    /// The identity of the proxy. What is not known here may be known to the store: another replica
    /// may have let it join just now.
    async fn identity(&self, proxy: &ProxyPeer) -> Result<Identity, Stranger> {
        let find = || self.shared.directory.find(proxy, clock::wall());
        match find() {
            Err(Stranger::Unknown | Stranger::OtherKey | Stranger::Expired) => {
                let read = self.shared.directory.refresh(&self.shared.store).await;
                read.map_err(|_| Stranger::Unavailable)?;
                find()
            }
            known => known,
        }
    }
}
