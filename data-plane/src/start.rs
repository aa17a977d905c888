//! Starting and stopping a proxy. Several may run in one process: nothing is global.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
};

use sluice_core::Snapshot;
use sluice_model::HistoryId;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::LocalSet,
};
use tokio_util::sync::CancellationToken;

pub use crate::control::{KeyFileError, StateDirError};
use crate::{
    access_log::AccessLog,
    clock::Clock,
    config::Config,
    control::{self, Control, StateDir},
    identity::{Credentials, is_local},
    live::{Generation, Live, retirement},
    status::Status,
    tls::Builder,
    worker::{Fleet, Settings, Shared},
};

/// Counts on their way from the workers.
const DELTAS: usize = 64;

/// A running proxy. Dropping it stops it without waiting; [`Proxy::shutdown`] waits.
#[derive(Debug)]
pub struct Proxy {
    id: String,
    admin: SocketAddr,
    status: watch::Receiver<Status>,
    shutdown: CancellationToken,
    reopen: Arc<Notify>,
    ended: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of the admin endpoint cannot be bound.
    #[error("the admin endpoint cannot listen on {0}")]
    Admin(SocketAddr, #[source] io::Error),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// A control plane would be spoken to in plain text over a network.
    #[error(
        "--control {0}: this proxy has no certificate, and plain text goes to loopback addresses only; \
         give it a join token (--join-token-file)"
    )]
    PlainControl(String),
    /// The access log cannot be written.
    #[error("the access log cannot be opened")]
    AccessLog(#[source] io::Error),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The system gives no threads.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

impl Proxy {
    /// Starts a proxy: its admin endpoint answers when this returns, its listeners once a snapshot
    /// is live (see [`Proxy::status`]).
    ///
    /// # Errors
    /// When something that it needs from this machine cannot be had.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let open = |path| StateDir::open(path, config.key_file.as_deref());
        let state = config.state_dir.as_deref().map(open).transpose()?.map(Arc::new);
        let token_file = config.join_token_file.as_deref();
        let credentials = Credentials::open(&config.id, state.clone(), token_file);
        if !credentials.are_used()
            && let Some(remote) = config.control.iter().find(|address| !is_local(address))
        {
            return Err(StartError::PlainControl(remote.clone()));
        }
        let admin = listen(config.admin).map_err(|error| StartError::Admin(config.admin, error))?;
        let address = admin
            .local_addr()
            .map_err(|error| StartError::Admin(config.admin, error))?;
        let log = AccessLog::start(&config.access_log, config.access_log_format.clone());
        let log = log.map_err(StartError::AccessLog)?;

        let clock = Clock::start();
        let tls = Builder::new().map_err(StartError::Random)?;
        let live = Live::new(Generation::plain(Snapshot::empty(HistoryId::default())));
        let (retire, retired) = retirement();
        let (count, deltas) = mpsc::channel(DELTAS);
        let overload = Arc::default();
        let (signers, known) = watch::channel(credentials.signers());
        let shared = Shared {
            clock,
            live: live.clone(),
            retired: retire,
            deltas: count,
            settings: Settings {
                timeouts: config.timeouts,
                provenance: config.provenance,
                max_connections: config.max_connections as u64,
            },
            sampling: config.sampling.clone().map(Arc::new),
            overload: Arc::clone(&overload),
            signers: known,
        };
        let logs = (0..config.workers.get()).map(|_| log.as_ref().map(AccessLog::queue));
        let (fleet, threads) = Fleet::start(&shared, logs.collect()).map_err(StartError::Thread)?;
        let (status, seen) = watch::channel(Status::default());
        let (shutdown, reopen) = (CancellationToken::new(), Arc::new(Notify::new()));
        let id = config.id.clone();
        let control = Control {
            config,
            clock,
            live,
            admin,
            state,
            credentials,
            fleet,
            threads,
            log,
            deltas,
            retired,
            tls,
            status,
            instance: instance(),
            overload,
            signers,
            shutdown: shutdown.clone(),
            reopen: Arc::clone(&reopen),
        };
        let (end, ended) = oneshot::channel();
        let thread = spawn(control, end).map_err(StartError::Thread)?;
        Ok(Self {
            id,
            admin: address,
            status: seen,
            shutdown,
            reopen,
            ended,
            thread,
        })
    }

    /// Its name in the fleet.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where its admin endpoint listens.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What it is doing, told anew at every change.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Has the access log's file opened again, after it was moved away.
    pub fn reopen_access_log(&self) {
        self.reopen.notify_one();
    }

    /// Stops: takes no more connections, lets requests end within
    /// [`Timeouts::drain`](crate::Timeouts::drain), says goodbye. Returns when all of that is done.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        // Its other end is dropped when the thread ends, however that happens.
        let _ = self.ended.await;
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

fn spawn(control: Control, end: oneshot::Sender<()>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guard = control.shutdown.clone();
    std::thread::Builder::new().name("control".into()).spawn(move || {
        LocalSet::new().block_on(&runtime, control::run(control));
        drop(guard);
        drop(end);
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// 16 bytes that no other process has.
fn instance() -> [u8; 16] {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    }
    bytes
}
