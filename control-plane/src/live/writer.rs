//! The one writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_intent::ResourceId;
use sluice_model::{CommitId, Revision};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Command;
use super::publication::Published;
use super::request::WriteRequest;
use super::written::{WriteError, Written};
use crate::clock;
use crate::compile::{Action, Changed, Findings, Stored, World};
use crate::lint;
use crate::measures::{Measures, Stage};
use crate::store::{
    self, CatchUp, CommitError, HeadWatch, Point, Reservation, ResourceKey, Store, StoreError, Write,
};

/// How long after it was asked for a write is tried again when writers elsewhere came first. They do so once;
/// then the next revision is reserved, and they do only where deciding takes longer than a reservation lasts. The
/// last try takes its own time, and the answer should be there within ten seconds.
const PATIENCE: Duration = Duration::from_secs(4);
/// Pause before the head is looked at again after the store did not answer.
const RETRY: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub(super) store: Store,
    pub(super) published: watch::Sender<Arc<Published>>,
    commands: mpsc::Receiver<Command>,
    head: HeadWatch,
    findings: mpsc::Receiver<Findings>,
    pub(super) measures: Measures,
}

/// A change that is ready to be committed.
struct Prepared {
    changed: Changed,
    stored: BTreeMap<ResourceKey, store::Change>,
}

impl Prepared {
    fn has_secrets(&self) -> bool {
        let is_secret =
            |change: &store::Change| matches!(change, store::Change::Upsert { secret: Some(_), .. });
        self.stored.values().any(is_secret)
    }
}

/// What became of a commit.
enum Committed {
    /// It is a revision now, and that commit.
    Done(Written, CommitId),
    /// It was made before, as this revision.
    Before(Written),
    /// Another write came first.
    Moved,
}

impl Writer {
    /// Publishes `world`, which was loaded after `head` began to watch.
    pub(super) fn new(
        store: Store,
        head: HeadWatch,
        world: World,
        commands: mpsc::Receiver<Command>,
        findings: mpsc::Receiver<Findings>,
        measures: Measures,
    ) -> (Self, watch::Receiver<Arc<Published>>) {
        let (published, receiver) = watch::channel(Arc::new(Published::first(world, Instant::now())));
        let writer = Self {
            store,
            published,
            commands,
            head,
            findings,
            measures,
        };
        (writer, receiver)
    }

    /// Serves until shut down. A write that has begun is finished.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut behind = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                command = self.commands.recv() => match command {
                    None => return,
                    Some(Command::Tickets(keys)) => {
                        if let Some(world) = super::catch_up::with_tickets(&self.world(), &keys) {
                            self.publish(world);
                        }
                    }
                    Some(Command::Views(wanted)) => self.keep_views(&wanted).await,
                    Some(Command::Write(request, asked, reply)) => {
                        // Whoever asked may be gone; the write stands all the same.
                        let _ = reply.send(self.answer(&request, asked).await);
                    }
                },
                Some(findings) = self.findings.recv() => {
                    if let Some(world) = super::catch_up::with_found(&self.world(), &findings) {
                        self.publish(world);
                    }
                }
                moved = self.head.changed() => match moved {
                    Ok(()) => behind = self.catch_up().await.is_err(),
                    Err(_) => return,
                },
                () = tokio::time::sleep(RETRY), if behind => behind = self.catch_up().await.is_err(),
            }
        }
    }

    /// Writes; a write that was made before is answered as it was then.
    async fn answer(&mut self, request: &WriteRequest, asked: Instant) -> Result<Written, WriteError> {
        let before = self.world().revision();
        let outcome = self.write(request, asked + PATIENCE).await;
        let made_now = outcome.as_ref().is_ok_and(|written| written.revision > before);
        if made_now || request.dry_run {
            return outcome;
        }
        match self.made_before(request).await? {
            Some(written) => Ok(written),
            None => outcome,
        }
    }

    /// The path of a change: fold, check, commit, publish. (Parsing comes before: the caller's.)
    /// Optimistic on the head of the store; when another replica wrote first, it starts anew, with the next
    /// revision reserved, until it is time to give up.
    async fn write(&mut self, request: &WriteRequest, give_up: Instant) -> Result<Written, WriteError> {
        let mut reservation = None;
        loop {
            let world = self.world().at(clock::since_1970());
            let revision = Revision(world.revision().0 + 1);
            let (changes, left_out) = request.changes(&world, revision)?;
            let began = Instant::now();
            let mut prepared = check(world.clone(), changes, revision, request).await?;
            let compiling = began.elapsed();
            WriteRequest::count(left_out, &mut prepared.changed);
            request.permit(&prepared.changed.actions)?;
            if prepared.has_secrets() && !self.store.can_seal() {
                return Err(StoreError::NoKey.into());
            }
            prepared.changed.warnings.extend(request.wish.warnings(&world));
            self.check_base(request, &prepared.changed).await?;
            if prepared.changed.is_empty() {
                return Ok(Written::new(world.revision(), &prepared.changed));
            }
            if request.dry_run {
                return Ok(Written::new(revision, &prepared.changed));
            }
            match self
                .commit(request, &world, &prepared, reservation.take())
                .await?
            {
                Committed::Done(written, commit) => {
                    let committed = Instant::now();
                    self.measures.took(Stage::Compile, compiling);
                    self.measures.took(Stage::Notify, committed.elapsed());
                    self.publish(prepared.changed.world.committed(commit));
                    return Ok(written);
                }
                Committed::Before(written) => return Ok(written),
                Committed::Moved if Instant::now() < give_up => {
                    reservation = self.store.reserve().await?;
                    self.catch_up().await?;
                }
                Committed::Moved => return Err(WriteError::Contended),
            }
        }
    }

    async fn commit(
        &mut self,
        request: &WriteRequest,
        base: &World,
        prepared: &Prepared,
        reservation: Option<Reservation>,
    ) -> Result<Committed, WriteError> {
        let revision = Revision(base.revision().0 + 1);
        let written = Written::new(revision, &prepared.changed);
        let write = Write {
            expected: Point {
                history: base.history(),
                revision: base.revision(),
            },
            changes: prepared.stored.clone(),
            author: request.author.clone(),
            message: request.message.clone(),
            at: clock::wall(),
            idempotency_key: request.idempotency_key.clone(),
            rollback_of: request.rollback_of(),
            // Strings and numbers: there is nothing in it that JSON cannot hold.
            result: serde_json::to_string(&written).unwrap_or_default(),
        };
        let began = Instant::now();
        let outcome = match reservation {
            None => self.store.commit(&write).await,
            Some(reservation) => self.store.commit_reserved(&write, reservation).await,
        };
        match outcome {
            Ok(commit) => {
                self.measures.took(Stage::Commit, began.elapsed());
                Ok(Committed::Done(written, commit.id))
            }
            Err(CommitError::Conflict { .. }) => Ok(Committed::Moved),
            // Deleted by a writer that this one has not heard of yet.
            Err(CommitError::Absent(_)) => Ok(Committed::Moved),
            Err(CommitError::Duplicate { result, .. }) => {
                self.catch_up().await?;
                serde_json::from_str(&result)
                    .map(Committed::Before)
                    .map_err(|_| StoreError::Corrupt.into())
            }
            Err(CommitError::Unknown) => Err(WriteError::Unknown),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// The answer to an earlier write with the same idempotency key. The store looks at the key
    /// before it looks at the head, so a write that expects a head that cannot be asks just that.
    async fn made_before(&self, request: &WriteRequest) -> Result<Option<Written>, WriteError> {
        if request.idempotency_key.is_none() {
            return Ok(None);
        }
        let question = Write {
            expected: Point {
                history: self.world().history(),
                revision: Revision(u64::MAX),
            },
            changes: BTreeMap::new(),
            author: request.author.clone(),
            message: String::new(),
            at: clock::wall(),
            idempotency_key: request.idempotency_key.clone(),
            rollback_of: None,
            result: String::new(),
        };
        match self.store.commit(&question).await {
            Err(CommitError::Duplicate { result, .. }) => serde_json::from_str(&result)
                .map(Some)
                .map_err(|_| StoreError::Corrupt.into()),
            Err(CommitError::Store(error)) => Err(error.into()),
            Ok(_) | Err(CommitError::Conflict { .. } | CommitError::Absent(_) | CommitError::Unknown) => {
                Ok(None)
            }
        }
    }

    /// Refuses when a resource that would change did so after the base revision.
    async fn check_base(&self, request: &WriteRequest, changed: &Changed) -> Result<(), WriteError> {
        let Some(base) = request.base else { return Ok(()) };
        let world = self.world();
        if base > world.revision() {
            return Err(WriteError::FutureBase(base));
        }
        let since = self
            .store
            .changes_since(Point {
                history: world.history(),
                revision: base,
            })
            .await?;
        let moved = |id: &ResourceId| match &since {
            CatchUp::Changes(changes) => {
                let key = key_of(id);
                changes.upserts.iter().any(|resource| resource.key == key) || changes.removals.contains(&key)
            }
            // Too much to list: what is there now tells all but deletions.
            CatchUp::Reload => world.get(id).is_none_or(|intent| intent.revision > base),
        };
        let touched = changed
            .actions
            .iter()
            .filter(|(_, action)| *action != Action::Unchanged);
        let raced: Vec<_> = touched
            .map(|(id, _)| id)
            .filter(|id| moved(id))
            .cloned()
            .collect();
        match raced.is_empty() {
            true => Ok(()),
            false => Err(WriteError::Raced(raced)),
        }
    }

    /// Makes `world` the live one.
    pub(super) fn publish(&self, world: World) {
        let at = Instant::now();
        self.published.send_modify(|published| {
            let next = published.next(world, at);
            self.measures.versions_made(next.news_since(published));
            *published = Arc::new(next);
        });
    }

    /// The live world.
    pub(super) fn world(&self) -> World {
        self.published.borrow().world.clone()
    }
}

/// Compiles off the runtime: a large apply takes a while, and the streams go on meanwhile.
async fn check(
    world: World,
    changes: Vec<crate::compile::Change>,
    revision: Revision,
    request: &WriteRequest,
) -> Result<Prepared, WriteError> {
    let dangling = request.dangling();
    let (heeds_lint, scope) = (request.heeds_lint(), request.scope.clone());
    let compiled = tokio::task::spawn_blocking(move || {
        let changed = world.change(changes, revision, dangling)?;
        let author = lint::Author {
            may_be_refused: heeds_lint,
            sees: &|id| scope.may_ask(id),
        };
        let changed = lint::judge(&world, changed, author)?;
        let stored = to_store(&changed);
        Ok(Prepared { changed, stored })
    });
    match compiled.await {
        Ok(prepared) => prepared.map_err(WriteError::Refused),
        // The runtime is going down.
        Err(_) => Err(WriteError::Closed),
    }
}

fn to_store(changed: &Changed) -> BTreeMap<ResourceKey, store::Change> {
    let touched = changed
        .actions
        .iter()
        .filter(|(_, action)| *action != Action::Unchanged);
    let change = |id: &ResourceId| match changed.world.get(id) {
        Some(intent) => {
            let Stored {
                manifest,
                created,
                secret,
            } = intent.to_stored();
            let creation_revision = Some(created);
            store::Change::Upsert {
                manifest,
                creation_revision,
                secret,
            }
        }
        None => store::Change::Delete,
    };
    touched.map(|(id, _)| (key_of(id), change(id))).collect()
}

pub(crate) fn key_of(id: &ResourceId) -> ResourceKey {
    ResourceKey {
        kind: id.kind.to_string(),
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
    }
}
