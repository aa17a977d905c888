//! The live world: one writer, many readers.
//!
//! A change takes one path, `Writer::write`: fold, check, commit, publish. The writer is a task,
//! so writes never interleave, and one whose client went away still ends cleanly. Readers hold a
//! [`Published`] that never changes under them.

mod catch_up;
mod fingerprints;
mod labels;
mod proposal;
mod publication;
mod request;
#[cfg(test)]
mod tests;
mod tickets;
mod versions;
mod writer;
mod written;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::Revision;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use fingerprints::Fingerprints;
pub use labels::{MAX_OPERATOR_LABELS, OperatorLabels, readable};
pub use proposal::Proposal;
pub use publication::{Published, RECENT, Version};
pub use request::{Past, Precondition, Prune, Wish, WriteRequest};
pub use tickets::TICKET_ROTATION;
pub use versions::Versions;
pub(crate) use writer::key_of;
pub(crate) use written::counted;
pub use written::{ChangeReport, WriteError, Written};

use crate::compile::{ViewKey, World};
use crate::discovery::{self, Board, Hub, Memory};
use crate::measures::Measures;
use crate::store::{Store, StoreError};
use tickets::{TicketKeeper, TicketKeys};
use writer::Writer;

/// Writes that may wait for the writer; past it, callers wait to hand theirs over.
const QUEUE: usize = 64;

/// Views that are kept because proxies have them, besides one for each selector: more would be a
/// fleet in which every proxy is its own. Proxies of further views keep what they hold.
pub const MAX_VIEWS: usize = 64;

/// What the writer is asked to do.
enum Command {
    /// What is to be written, since when somebody waits for it, and where the answer goes.
    Write(
        Box<WriteRequest>,
        Instant,
        oneshot::Sender<Result<Written, WriteError>>,
    ),
    Tickets(TicketKeys),
    /// The views that proxies have.
    Views(BTreeSet<ViewKey>),
}

/// Reads and writes the live world. Clones share it.
#[derive(Clone, Debug)]
pub struct Live {
    store: Store,
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Arc<Published>>,
    fingerprints: Fingerprints,
    sources: Board,
    versions: Versions,
    measures: Measures,
}

impl Live {
    /// Loads everything from `store` and starts the writer, discovery with the memory of what it found,
    /// and the keeper of ticket keys, who makes new ones every `ticket_rotation`, on `tasks`; they end
    /// with `shutdown`.
    ///
    /// # Errors
    /// When the store does not answer, or holds what this build cannot read.
    pub async fn start(
        store: Store,
        ticket_rotation: Duration,
        discovery: discovery::Config,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let (commands, receiver) = mpsc::channel(QUEUE);
        let head = store.notifications();
        // First of all: with the wrong envelope keys it fails, and nothing must have been changed.
        let world = catch_up::load(&store).await?;
        let fingerprints = Fingerprints::of(&store).await?;
        let mut keeper = TicketKeeper::new(store.clone(), ticket_rotation, commands.downgrade());
        let world = catch_up::with_tickets(&world, &keeper.first().await).unwrap_or(world);
        let labels = OperatorLabels::default().refreshed(&store).await?;
        let (memory, known) = Memory::recall(store.clone(), &world).await?;
        let world = catch_up::with_found(&world, &known).unwrap_or(world);
        let (found, findings) = mpsc::channel(1);
        let measures = Measures::default();
        let (writer, published) =
            Writer::new(store.clone(), head, world, receiver, findings, measures.clone());
        writer.label(labels);
        tasks.spawn(writer.run(shutdown.clone()));
        if store.can_seal() {
            tasks.spawn(shutdown.clone().run_until_cancelled_owned(keeper.run()));
        } else {
            tracing::warn!("no envelope key: session tickets open on the proxy that made them only");
        }
        tasks.spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(memory.run(published.clone())),
        );
        let sources = Board::default();
        let hub = Hub::new(discovery, published.clone(), found, sources.clone());
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(hub.run()));
        let versions = Versions::new(store.clone(), published.clone());
        Ok(Self {
            store,
            commands,
            published,
            fingerprints,
            sources,
            versions,
            measures,
        })
    }

    /// How long the way of a revision takes.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// What is live now.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published.borrow())
    }

    /// How the sources of endpoints are doing.
    pub fn sources(&self) -> &Board {
        &self.sources
    }

    /// What proxies may hold, old revisions included.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Makes fingerprints of secret values.
    pub fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// Follows what is live; every state that is seen is the newest.
    pub fn watch(&self) -> watch::Receiver<Arc<Published>> {
        self.published.clone()
    }

    /// The wish for everything as it was at `revision`; `None` when there is no such revision.
    ///
    /// # Errors
    /// When the store does not answer, or holds what this build cannot read.
    pub async fn rollback_to(&self, revision: Revision) -> Result<Option<Wish>, StoreError> {
        let past = catch_up::past(&self.store, revision).await?;
        Ok(past.map(Wish::Rollback))
    }

    /// The world as it was at `revision`, with addresses and Secrets as they are now; `None` when there
    /// is no such revision. Costs what everything costs.
    ///
    /// # Errors
    /// When the store does not answer, or holds what this build cannot read.
    pub async fn world_at(&self, revision: Revision) -> Result<Option<World>, StoreError> {
        let live = self.published();
        if live.revision() == revision {
            return Ok(Some(live.world.clone()));
        }
        let Some(past) = catch_up::load_at(&self.store, revision, &live.world).await? else {
            return Ok(None);
        };
        catch_up::with_runtime(past, &live.world).map(Some)
    }

    /// Has the views published that `wanted` names, and no others any more. Runs until the control
    /// plane ends.
    pub async fn keep_views(self, mut wanted: watch::Receiver<BTreeSet<ViewKey>>) {
        loop {
            let views = wanted.borrow_and_update().clone();
            let asked = self.commands.send(Command::Views(views)).await;
            if asked.is_err() || wanted.changed().await.is_err() {
                return;
            }
        }
    }

    /// Writes, and answers once the change is committed and published here.
    ///
    /// # Errors
    /// Everything that keeps a write from being made; see [`WriteError`].
    pub async fn write(&self, request: WriteRequest) -> Result<Written, WriteError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Write(Box::new(request), Instant::now(), reply);
        self.commands
            .send(command)
            .await
            .map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }
}
