//! The identity in use, and on disk.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prost::Message as _;
use sluice_proto::v1;
use sluice_tls::{Fault, Verifiers};
use tokio::{
    sync::{Mutex, watch},
    task::spawn_blocking,
};
use tonic::transport::Channel;
use zeroize::Zeroizing;

use super::{
    channel,
    stored::{Stored, Usable},
    token::TokenError,
};
use crate::{clock::WallClock, control::StateDir, debug::Signers};

/// Who this proxy is. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// Name in the fleet.
    pub(super) id: String,
    /// Without one nothing is kept, and there is never a certificate.
    state: Option<Arc<StateDir>>,
    pub(super) token_file: Option<PathBuf>,
    held: watch::Sender<Arc<Held>>,
    /// Changes happen one after the other.
    changing: Mutex<()>,
    /// Nobody has welcomed this proxy since it tried last.
    is_doubted: AtomicBool,
}

/// What is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) stored: Stored,
    pub(super) usable: Option<Usable>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("it cannot be reached: {}", cause(.0))]
    Transport(#[from] tonic::transport::Error),
    #[error("{}", .0.message())]
    Refused(Box<tonic::Status>),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the certificate has expired, and there is no join token (--join-token-file)")]
    Expired,
    #[error("what it sent is no identity: {0}")]
    Answer(#[from] Fault),
    #[error("no key can be made")]
    Key,
    #[error("the identity cannot be saved")]
    Save(#[source] io::Error),
}

impl ConnectError {
    /// Whether it happens while control planes come and go, and nobody has to look.
    pub(crate) fn is_routine(&self) -> bool {
        let Self::Transport(error) = self else {
            return false;
        };
        // A certificate that is not right is invalid data to the socket.
        let is_tls = |cause: &(dyn Error + 'static)| {
            let io = cause.downcast_ref::<io::Error>();
            io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData)
        };
        !causes(error).any(is_tls)
    }
}

/// The last cause says what happened.
fn cause(error: &tonic::transport::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes(error: &tonic::transport::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |&error| error.source())
}

impl Credentials {
    /// Those of the proxy `id` that `state` has, if any. The token in `token_file` is used if they
    /// are not enough.
    pub(crate) fn open(id: &str, state: Option<Arc<StateDir>>, token_file: Option<&Path>) -> Self {
        let saved = state.as_ref().and_then(|state| state.load_identity());
        let stored = saved.and_then(|saved| Stored::read(&saved)).unwrap_or_default();
        let usable = stored.usable().unwrap_or_else(|fault| {
            tracing::error!(%fault, "the saved certificate cannot be used");
            None
        });
        let held = Held { stored, usable };
        Self {
            shared: Arc::new(Shared {
                id: id.to_owned(),
                state,
                token_file: token_file.map(Path::to_owned),
                held: watch::Sender::new(Arc::new(held)),
                changing: Mutex::new(()),
                is_doubted: AtomicBool::new(false),
            }),
        }
    }

    /// Whether connections are encrypted and certain on both ends.
    pub(crate) fn are_used(&self) -> bool {
        self.shared.token_file.is_some() || !self.held().stored.chain.is_empty()
    }

    /// Who signed when this was kept, for the time until somebody says it anew.
    pub(crate) fn signers(&self) -> Signers {
        let held = self.held();
        let bundle = held.stored.bundle.as_ref().filter(|_| held.usable.is_some())?;
        Verifiers::new(&bundle.signing_keys).map(Arc::new)
    }

    /// Until when the certificate is good, since 1970.
    pub(crate) fn not_after(&self) -> Option<Duration> {
        self.held().usable.as_ref().map(|usable| usable.not_after)
    }

    /// Connects to a control plane, and joins the fleet before if need be.
    ///
    /// # Errors
    /// When it cannot be reached, or does not let this proxy in.
    pub(crate) async fn connect(&self, address: &str) -> Result<Channel, ConnectError> {
        if !self.are_used() {
            return Ok(channel::connect(address, None).await?);
        }
        let is_doubted = self.shared.is_doubted.swap(true, Ordering::Relaxed);
        let joined = match self.valid() {
            Some(_) if is_doubted => self.join_anew(address).await,
            Some(_) => Ok(()),
            None => self.join(address).await,
        };
        let valid = match (joined, self.valid()) {
            (Ok(()), valid) => valid,
            (Err(error), None) => return Err(error),
            (Err(error), valid) => {
                tracing::warn!(address, %error, "cannot join with the new token");
                valid
            }
        };
        let tls = valid.ok_or(ConnectError::Expired)?.tls;
        Ok(channel::connect(address, Some(tls)).await?)
    }

    /// A control plane has said welcome.
    pub(crate) fn welcomed(&self) {
        self.shared.is_doubted.store(false, Ordering::Relaxed);
    }

    /// Trusts those in `bundle` from now on; only for one that came over a connection that is certain.
    pub(crate) async fn trust(&self, bundle: &v1::Bundle) {
        let trusted = self.change(|stored| {
            stored.bundle = Some(bundle.clone());
            Ok(())
        });
        if let Err(error) = trusted.await {
            tracing::error!(%error, "a new bundle of authorities cannot be taken over");
        }
    }

    pub(super) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.shared.held.borrow())
    }

    pub(super) fn watch(&self) -> watch::Receiver<Arc<Held>> {
        self.shared.held.subscribe()
    }

    /// What to connect with, if its time has not run out.
    pub(super) fn valid(&self) -> Option<Usable> {
        let usable = self.held().usable.clone();
        usable.filter(|usable| WallClock::read().since_epoch() < usable.not_after)
    }

    /// Changes what is held, here and on disk. Nothing changes when the outcome is of no use.
    pub(super) async fn change(
        &self,
        change: impl FnOnce(&mut Stored) -> Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        let _turn = self.shared.changing.lock().await;
        let before = self.held();
        let mut stored = before.stored.clone();
        change(&mut stored)?;
        if stored == before.stored {
            return Ok(());
        }
        let usable = stored.usable()?;
        let held = Held { stored, usable };
        if let Some(state) = self.shared.state.clone() {
            let bytes = Zeroizing::new(held.stored.encode_to_vec());
            let saving = spawn_blocking(move || state.save_identity(&bytes));
            let saved = saving.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            saved.map_err(ConnectError::Save)?;
        }
        self.shared.held.send_replace(Arc::new(held));
        Ok(())
    }
}
