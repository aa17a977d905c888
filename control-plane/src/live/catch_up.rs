//! Following the store: what other replicas wrote, where endpoints are, and what opens session tickets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sluice_intent::{Kind, ResourceId};
use sluice_model::{CommitId, Revision, Violation};
use tokio::time::Instant;

use super::MAX_VIEWS;
use super::labels::OperatorLabels;
use super::request::Past;
use super::tickets::TicketKeys;
use super::writer::Writer;
use crate::compile::{Change, DanglingRefs, Findings, Intent, ViewKey, World};
use crate::measures::Stage;
use crate::store::{CatchUp, Changes, Point, ResourceKey, Store, StoreError, StoredResource};

impl Writer {
    /// Folds in what was committed since the live world, here or elsewhere.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        let heard = Instant::now();
        let labels = self.published.borrow().labels().clone();
        self.label(labels.refreshed(&self.store).await?);
        let world = self.world();
        let held = Point {
            history: world.history(),
            revision: world.revision(),
        };
        let next = match self.store.changes_since(held).await? {
            CatchUp::Changes(changes) if changes.at == held => return Ok(()),
            CatchUp::Changes(changes) => fold(world, changes).await?,
            CatchUp::Reload => reloaded(load(&self.store).await?, world).await?,
        };
        let reached = (next.history() == held.history).then(|| next.revision());
        self.measures.took(Stage::Compile, heard.elapsed());
        self.publish(next);
        if let Some(reached) = reached {
            self.time_notification(held.revision, reached, heard).await;
        }
        Ok(())
    }

    /// Counts how long revisions after `held` up to `reached` took until this replica `heard` of them. Asked
    /// after they are published, so that nobody waits for it.
    async fn time_notification(&self, held: Revision, reached: Revision, heard: Instant) {
        // Logged where it failed, and not worth more.
        let Ok(ages) = self.store.ages(held, reached).await else {
            return;
        };
        let since = heard.elapsed();
        for age in ages {
            self.measures.took(Stage::Notify, age.saturating_sub(since));
        }
    }

    /// Publishes what operators say of proxies now, if that is news.
    pub(super) fn label(&self, labels: Option<OperatorLabels>) {
        if let Some(labels) = labels {
            self.published
                .send_modify(|published| *published = Arc::new(published.with_labels(labels)));
        }
    }

    /// Publishes the views that are wanted. Past the bound those that there are come first.
    pub(super) async fn keep_views(&self, wanted: &BTreeSet<ViewKey>) {
        let world = self.world();
        let known = wanted.iter().filter(|key| world.demanded().contains(*key));
        let further = wanted.iter().filter(|key| !world.demanded().contains(*key));
        let views: Vec<ViewKey> = known.chain(further).take(MAX_VIEWS).cloned().collect();
        if views.len() < wanted.len() {
            tracing::warn!(
                wanted = wanted.len(),
                "proxies have more views than {MAX_VIEWS}: those of the others get no changes; use fewer labels \
                 in proxy selectors"
            );
        }
        let began = Instant::now();
        let made = blocking(move || world.with_views(views).map_err(|violations| damaged(&violations))).await;
        if let Ok(Some(world)) = made {
            self.measures.views_made(began.elapsed());
            self.publish(world);
        }
    }
}

/// Everything at the head of the store.
pub(super) async fn load(store: &Store) -> Result<World, StoreError> {
    let loaded = store.load_as(|stored| restored(&stored)).await?;
    let Point { history, revision } = loaded.at;
    blocking(move || {
        let changes = loaded.resources.into_iter().map(Ok);
        compile(&World::empty(history), changes, (revision, loaded.commit))
    })
    .await
}

/// Everything as it was at `revision`, but Secrets as they are in `live`; `None` when there is no such
/// revision yet.
pub(super) async fn load_at(
    store: &Store,
    revision: Revision,
    live: &World,
) -> Result<Option<World>, StoreError> {
    let Some(past) = past(store, revision).await? else {
        return Ok(None);
    };
    let secrets: Vec<Intent> = live
        .of_kind(Kind::Secret, None)
        .map(|intent| (**intent).clone())
        .collect();
    let history = live.history();
    let compile = move || {
        let intents = past.intents.into_values().chain(secrets);
        compile(
            &World::empty(history),
            intents.map(|intent| Ok(Change::Restore(intent))),
            (revision, past.commit),
        )
    };
    blocking(compile).await.map(Some)
}

/// `live` taken back to `revision`, with names looked up, tickets and Secrets as they are in `live`;
/// `None` when that is too far. Costs what has changed since.
pub(super) async fn taken_back(
    store: &Store,
    revision: Revision,
    live: &World,
) -> Result<Option<World>, StoreError> {
    let at = Point {
        history: live.history(),
        revision: live.revision(),
    };
    let Some(undo) = store.undo(at, revision).await? else {
        return Ok(None);
    };
    let live = live.clone();
    blocking(move || {
        let is_secret = |key: &ResourceKey| key.kind == Kind::Secret.to_string();
        let restores = undo.upserts.iter().filter(|stored| !is_secret(&stored.key));
        let deletes = undo.removals.iter().filter(|key| !is_secret(key));
        let changes = restores.map(restored).chain(deletes.map(deleted));
        compile(&live, changes, (revision, undo.commit)).map(Some)
    })
    .await
}

/// What there was at `revision`; `None` when there is no such revision yet.
pub(super) async fn past(store: &Store, revision: Revision) -> Result<Option<Past>, StoreError> {
    let Some(loaded) = store.load_at(revision).await? else {
        return Ok(None);
    };
    let read_all = move || {
        let (mut intents, mut secrets) = (BTreeMap::new(), BTreeMap::new());
        for stored in &loaded.resources {
            let id = id_of(&stored.key)?;
            match id.kind {
                Kind::Secret => drop(secrets.insert(id, stored.revision)),
                _ => drop(intents.insert(id, read(stored)?)),
            }
        }
        Ok(Past {
            revision,
            commit: loaded.commit,
            intents,
            secrets,
        })
    };
    blocking(read_all).await.map(Some)
}

/// `world` with the endpoints found, and the tickets opened, as they are in `known`.
pub(super) fn with_runtime(world: World, known: &World) -> Result<World, StoreError> {
    let refused = |violations: Vec<Violation>| damaged(&violations);
    let found = known.found().iter();
    let found: Findings = found
        .map(|(source, found)| (source.clone(), found.to_vec()))
        .collect();
    let world = world.with_found(&found).map_err(refused)?.unwrap_or(world);
    let ticketed = world.with_tickets_of(known).map_err(refused)?;
    Ok(ticketed.unwrap_or(world))
}

/// `world`, which was loaded, with what `known` has that is not stored.
async fn reloaded(world: World, known: World) -> Result<World, StoreError> {
    let world = with_runtime(world, &known)?;
    blocking(move || {
        let views = world.with_views(known.demanded().iter().cloned());
        let views = views.map_err(|violations| damaged(&violations))?;
        Ok(views.unwrap_or(world))
    })
    .await
}

/// `world` with these endpoints, if they are news.
pub(super) fn with_found(world: &World, findings: &Findings) -> Option<World> {
    match world.with_found(findings) {
        Ok(next) => next,
        Err(violations) => {
            tracing::error!(?violations, "endpoints that were found do not compile");
            None
        }
    }
}

/// `world` with these keys of session tickets, if there are any and they are news.
pub(super) fn with_tickets(world: &World, tickets: &TicketKeys) -> Option<World> {
    if tickets.keys().is_empty() {
        return None;
    }
    match world.with_tickets(tickets.keys()) {
        Ok(next) => next,
        Err(violations) => {
            tracing::error!(?violations, "keys of session tickets do not compile");
            None
        }
    }
}

async fn fold(world: World, changes: Changes) -> Result<World, StoreError> {
    blocking(move || {
        let upserts = changes.upserts.iter().map(restored);
        let all = upserts.chain(changes.removals.iter().map(deleted));
        compile(&world, all, (changes.at.revision, changes.commit))
    })
    .await
}

/// What was committed was checked by its writer: here it is compiled as it is.
fn compile(
    world: &World,
    changes: impl Iterator<Item = Result<Change, StoreError>>,
    (revision, commit): (Revision, CommitId),
) -> Result<World, StoreError> {
    let changed = world.change(changes.collect::<Result<_, _>>()?, revision, DanglingRefs::Warn);
    changed
        .map(|changed| changed.world.committed(commit))
        .map_err(|violations| damaged(&violations))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    // It only fails to run when the runtime goes down.
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(StoreError::Closed))
}

fn restored(stored: &StoredResource) -> Result<Change, StoreError> {
    read(stored).map(Change::Restore)
}

fn deleted(key: &ResourceKey) -> Result<Change, StoreError> {
    id_of(key).map(Change::Delete)
}

fn id_of(key: &ResourceKey) -> Result<ResourceId, StoreError> {
    key.to_string().parse().map_err(|_| StoreError::Corrupt)
}

fn read(stored: &StoredResource) -> Result<Intent, StoreError> {
    let intent = Intent::from_stored(
        &stored.manifest,
        stored.secret.as_ref(),
        stored.creation_revision,
        stored.revision,
    );
    intent.map_err(|error| {
        tracing::error!(resource = %stored.key, %error, "the store holds what this build cannot read");
        StoreError::Corrupt
    })
}

fn damaged(violations: &[Violation]) -> StoreError {
    tracing::error!(?violations, "what is stored does not compile");
    StoreError::Corrupt
}
