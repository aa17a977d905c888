//! What a write would lead to, without making it and without the writer.

use std::sync::Arc;

use sluice_model::Revision;

use super::Published;
use super::request::WriteRequest;
use super::written::{ChangeReport, WriteError, Written};
use crate::clock;
use crate::compile::{Changed, World};
use crate::lint;

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

impl Proposal {
    /// Judges a write against `before`, as if it were the newest. Costs what the write costs; other writes go on
    /// meanwhile.
    ///
    /// # Errors
    /// Everything that would keep the write from being made.
    pub fn judge(
        published: Arc<Published>,
        before: World,
        request: &WriteRequest,
    ) -> Result<Self, WriteError> {
        let before = before.at(clock::since_1970());
        let changed = Self::changed(&before, request)?;
        let author = lint::Author {
            may_be_refused: request.heeds_lint(),
            sees: &|id| request.scope.may_ask(id),
        };
        let changed = lint::judge(&before, changed, author);
        let mut changed = changed.map_err(WriteError::Refused)?;
        changed.warnings.extend(request.wish.warnings(&before));
        Ok(Self {
            published,
            before,
            changed,
        })
    }

    /// What a write leads to from `before`, whatever the linter says of it.
    ///
    /// # Errors
    /// Everything else that would keep the write from being made.
    pub fn changed(before: &World, request: &WriteRequest) -> Result<Changed, WriteError> {
        let revision = Revision(before.revision().0 + 1);
        let (changes, left_out) = request.changes(before, revision)?;
        let changed = before.change(changes, revision, request.dangling());
        let mut changed = changed.map_err(WriteError::Refused)?;
        WriteRequest::count(left_out, &mut changed);
        request.permit(&changed.actions)?;
        Ok(changed)
    }
}
