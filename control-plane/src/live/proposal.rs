//! What a write would lead to, without making it and without the writer.

use std::sync::Arc;

use sluice_model::Revision;

use super::request::WriteRequest;
use super::written::{ChangeReport, WriteError, Written};
use super::{Live, Published};
use crate::clock;
use crate::compile::{Changed, World};

/// A write that was judged and not made.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// What is live, and what the fleet has.
    pub published: Arc<Published>,
    /// What it was judged against: the live world, or one of old.
    pub before: World,
    /// What it would lead to.
    pub changed: Changed,
}

impl Proposal {
    /// What would happen to each resource.
    pub fn reports(&self) -> Vec<ChangeReport> {
        Written::new(self.changed.world.revision(), &self.changed).changes
    }
}

impl Live {
    /// Judges a write against the live world, or the one at revision `against`; `None` when there is no such
    /// revision. Other writes go on meanwhile.
    ///
    /// # Errors
    /// Everything that would keep the write from being made.
    pub async fn propose(
        &self,
        request: WriteRequest,
        against: Option<Revision>,
    ) -> Result<Option<Proposal>, WriteError> {
        let published = self.published();
        let before = match against {
            None => Some(published.world.clone()),
            Some(revision) => self.world_at(revision).await?,
        };
        let Some(before) = before else { return Ok(None) };
        let before = before.at(clock::since_1970());
        // It only fails to run when the runtime goes down.
        let judged = tokio::task::spawn_blocking(move || judge(published, before, &request));
        judged.await.unwrap_or(Err(WriteError::Closed)).map(Some)
    }
}

fn judge(published: Arc<Published>, before: World, request: &WriteRequest) -> Result<Proposal, WriteError> {
    let revision = Revision(before.revision().0 + 1);
    let changes = request.wish.changes(&before, revision)?;
    let changed = before.change(changes, revision, request.dangling());
    let mut changed = changed.map_err(WriteError::Refused)?;
    request.permit(&changed.actions)?;
    changed.warnings.extend(request.wish.warnings(&before));
    Ok(Proposal {
        published,
        before,
        changed,
    })
}
