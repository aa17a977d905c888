//! The control plane as a whole: what it starts, in which order, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluice_intent::ResourceId;
use sluice_model::Revision;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bootstrap;
use crate::clock;
use crate::discovery;
use crate::fleet::{self, DRAIN, Ends, Exchange, Fleet, FleetServer, Keeper, Threads};
use crate::live::{Live, key_of};
use crate::rest;
use crate::store::{KeyFileError, KeyRing, Replica, Rewrapped, Store, StoreError};
use crate::trust::{Trust, TrustError};

/// Connections to REST that may wait to be accepted.
const BACKLOG: u32 = 1_024;
/// How long requests and streams may take to end after a shutdown began.
const GRACE: Duration = Duration::from_secs(5);
/// How long a proxy may take to move after it was told to.
const MOVE: Duration = Duration::from_secs(1);

/// How long requests that proxies sampled are kept, unless something else is asked for.
pub const KEEP_SAMPLES: Duration = Duration::from_secs(24 * 3600);

/// Streams of proxies at a time, unless something else is asked for.
pub const MAX_STREAMS: usize = 20_000;

/// What a control plane is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// `postgres://...` or `sqlite://PATH`; several are a failover list.
    pub database_urls: Vec<String>,
    /// Where REST listens; port 0 is any free one.
    pub admin: SocketAddr,
    /// Where proxies connect: with certificates, or, from and to loopback addresses, also without.
    /// Port 0 is any free one.
    pub grpc: SocketAddr,
    /// Envelope keys, see [`KeyRing::of`].
    pub key_file: Option<PathBuf>,
    /// Secrets that are left out if they do not open: what needs them is not served.
    pub leave_out: Vec<ResourceId>,
    /// How often proxies get a new key for session tickets.
    pub ticket_rotation: Duration,
    /// How endpoints are discovered.
    pub discovery: discovery::Config,
    /// How long the certificates of proxies are good, which renew them before.
    pub certificate_lifetime: Duration,
    /// Streams of proxies at a time.
    pub max_streams: usize,
    /// For how long requests that proxies sampled are kept.
    pub keep_samples: Duration,
    /// Secret of a token that is to be accepted. Without one, a store without tokens gets a new one.
    pub token: Option<String>,
}

/// Why a control plane does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Proxies need certificates, and none can be issued.
    #[error(
        "--grpc {0}: anywhere but on loopback addresses (127.0.0.0/8, ::1) proxies need certificates, \
         and the keys to issue them are sealed: set --key-file"
    )]
    NoAuthority(SocketAddr),
    /// The certificate authority cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The envelope keys cannot be read.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for a token.
    #[error("the system gives no random bytes")]
    Random,
    /// The token that was given was withdrawn or is out of date.
    #[error("the token that is set (SLUICE_TOKEN) was withdrawn or has expired")]
    DeadToken,
}

/// A control plane that serves. Dropped without [`Running::shutdown`], it ends at once, and nobody waits
/// for what runs.
#[derive(Debug)]
pub struct Running {
    /// Where REST listens.
    pub admin: SocketAddr,
    /// Where proxies connect.
    pub grpc: SocketAddr,
    /// Secret of the token that was made because the store had none. Nothing else will ever show it.
    pub token: Option<String>,
    live: Live,
    fleet: Arc<Fleet>,
    trust: Trust,
    store: Store,
    tasks: TaskTracker,
    drain: CancellationToken,
    shutdown: CancellationToken,
    /// Those of the fleet.
    _threads: Threads,
}

/// Starts control planes.
#[derive(Debug)]
pub struct Control;

impl Control {
    /// Starts one: ports first, then the store, the live world, and at last those who use them.
    ///
    /// # Errors
    /// When an address is taken or not allowed, or the database cannot be used.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let keys = KeyRing::of(&config.database_urls, config.key_file.as_deref())?;
        let keys = keys.leaving_out(config.leave_out.iter().map(key_of));
        if !config.grpc.ip().is_loopback() && keys.is_empty() {
            return Err(StartError::NoAuthority(config.grpc));
        }
        let (admin, admin_address) = bind(config.admin)?;
        let (grpc, grpc_address) = bind(config.grpc)?;
        let store = Store::open(&config.database_urls, keys).await?;
        rewrap(&store).await;
        let token = bootstrap::token(&store, config.token.as_deref()).await?;

        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        // Should the rest not start, what has started ends.
        let unfinished = shutdown.clone().drop_guard();
        let drain = CancellationToken::new();
        let live = Live::start(
            store.clone(),
            config.ticket_rotation,
            config.discovery,
            &tasks,
            &shutdown,
        )
        .await?;
        let trust = Trust::start(store.clone(), config.certificate_lifetime, &tasks, &shutdown).await?;
        let replica = Replica {
            id: store.replica().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            admin: admin_address.to_string(),
            grpc: grpc_address.to_string(),
            started: clock::wall(),
        };
        let fleet = Arc::new(Fleet::new(replica));
        fleet.samples().hash_with(store.sample_key(clock::wall()).await?);
        if store.is_shared() {
            let exchange = Exchange::begin(Arc::clone(&fleet), store.clone()).await?;
            tasks.spawn(shutdown.clone().run_until_cancelled_owned(exchange.run()));
        }
        let term = watch::Sender::new(None);
        let mut keeper = Keeper::new(Arc::clone(&fleet), live.clone(), store.clone(), term.subscribe());
        keeper.begin().await;
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(keeper.run()));
        let leader = fleet::lead(store.clone(), term);
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(leader));
        // Not cut short: what was heard last is written when it ends.
        tasks.spawn(fleet::keep_samples(
            Arc::clone(&fleet),
            store.clone(),
            config.keep_samples,
            shutdown.clone(),
        ));
        let views = live.clone().keep_views(fleet.views());
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(views));

        // Only now: whoever connects before somebody accepts waits for longer than if it were refused.
        let admin = listen(admin, admin_address)?;
        let server = FleetServer {
            fleet: Arc::clone(&fleet),
            live: live.clone(),
            trust: trust.clone(),
            max_streams: config.max_streams,
            tasks: tasks.clone(),
            ends: Ends {
                drain: drain.clone(),
                shutdown: shutdown.clone(),
            },
        };
        let threads = server.start(grpc, grpc_address);
        let threads = threads.map_err(|source| StartError::Listen {
            address: grpc_address,
            source,
        })?;
        let router = rest::router(
            store.clone(),
            live.clone(),
            Arc::clone(&fleet),
            trust.clone(),
            shutdown.clone(),
        );
        tasks.spawn(serve_rest(admin, router, shutdown.clone()));
        tasks.close();
        unfinished.disarm();
        let revision = live.published().revision();
        tracing::info!(%admin_address, %grpc_address, %revision, "the control plane serves");
        Ok(Running {
            admin: admin_address,
            grpc: grpc_address,
            token,
            live,
            fleet,
            trust,
            store,
            tasks,
            drain,
            shutdown,
            _threads: threads,
        })
    }
}

impl Running {
    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.live.published().revision()
    }

    /// The live world.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Who may connect.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The proxies.
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Ends it: proxies are told to move to another replica if there is one (for 3 seconds at most),
    /// nothing new is taken, what runs is finished (for 5 seconds at most), and the store is closed.
    pub async fn shutdown(self) {
        if self.fleet.has_company(Instant::now()) {
            self.drain.cancel();
            let moved = tokio::time::timeout(DRAIN + MOVE, self.fleet.emptied()).await;
            if moved.is_err() {
                tracing::warn!("some proxies did not move to another control plane");
            }
        }
        self.shutdown.cancel();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests did not end within {GRACE:?}");
        }
        self.store.close().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Takes an address, without listening on it yet.
fn bind(address: SocketAddr) -> Result<(TcpSocket, SocketAddr), StartError> {
    let bound = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Or connections of the process before this one would keep the port for a minute.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    bound().map_err(|source| StartError::Listen { address, source })
}

fn listen(socket: TcpSocket, address: SocketAddr) -> Result<TcpListener, StartError> {
    socket
        .listen(BACKLOG)
        .map_err(|source| StartError::Listen { address, source })
}

/// Wraps anew what older envelope keys wrap, so that they can be taken away. What fails can wait for the
/// next start.
async fn rewrap(store: &Store) {
    match store.rewrap().await {
        Ok(Rewrapped { rows: 0, unopened: 0 }) => {}
        Ok(Rewrapped { rows, unopened: 0 }) => tracing::info!(
            rows,
            "wrapped by the newest envelope key; older ones are not needed"
        ),
        Ok(Rewrapped { rows, unopened }) => tracing::error!(
            rows,
            unopened,
            "wrapped by the newest envelope key, but what is named above does not open and was left as it is"
        ),
        Err(error) => tracing::error!(%error, "older envelope keys must stay: they still wrap secrets"),
    }
}

async fn serve_rest(listener: TcpListener, router: axum::Router, shutdown: CancellationToken) {
    if let Err(error) = rest::serve(listener, router, shutdown).await {
        tracing::error!(%error, "the REST server ended");
    }
}
