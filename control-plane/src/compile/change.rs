//! From one world to the next: fold, check, compile, build.

use std::collections::BTreeSet;

use sluice_core::Difference;
use sluice_intent::{Resource, ResourceId};
use sluice_model::{Revision, Violation};

use super::World;
use super::check::{Finding, Severity};
use super::draft::Draft;
use super::intent::Intent;
use super::world::Id;

/// What to do to one resource.
#[derive(Clone, Debug)]
pub enum Change {
    /// Create or replace it, as a user asks. Slot tables follow from what was there.
    Put(Resource),
    /// Make it exactly this: a rollback, or what another replica wrote.
    Restore(Intent),
    /// Remove it. Removing what is not there changes nothing.
    Delete(ResourceId),
}

/// What happened to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was not there before.
    Created,
    /// It has other content now.
    Updated,
    /// It is gone.
    Deleted,
    /// It was written as it is.
    Unchanged,
}

impl Action {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What becomes of references to what does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DanglingRefs {
    /// They are violations; so is deleting what is referred to.
    #[default]
    Refuse,
    /// They are warnings, and their share of requests answers 500.
    Warn,
}

/// A change that was found right.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The world after it.
    pub world: World,
    /// What happened to each resource, in the order of the changes.
    pub actions: Vec<(ResourceId, Action)>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Violation>,
    /// What was compiled or judged anew: what changed, and what can tell the difference.
    pub(crate) affected: BTreeSet<Id>,
}

impl Changed {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.actions
            .iter()
            .all(|(_, action)| *action == Action::Unchanged)
    }
}

impl World {
    /// The world after `changes`, at `revision`. Validated is the state after all of them: what is
    /// touched and what depends on it. This world is unchanged.
    ///
    /// # Errors
    /// Every violation.
    pub fn change(
        &self,
        changes: Vec<Change>,
        revision: Revision,
        dangling: DanglingRefs,
    ) -> Result<Changed, Vec<Violation>> {
        let mut draft = Draft::new(self, revision);
        let actions = draft.fold(changes)?;
        let affected = draft.affected();
        let warnings = judge(draft.findings(&affected), dangling)?;
        let difference = draft.compile(&affected);
        let world = draft.finish(&difference)?;
        Ok(Changed {
            world,
            actions,
            warnings,
            affected,
        })
    }

    /// The same world with other runtime resources, at the same revision.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub(super) fn with_runtime(mut self, difference: &Difference) -> Result<Self, Vec<Violation>> {
        let before = self.clone();
        self.advance(&before, before.revision(), difference)?;
        Ok(self)
    }
}

/// Violations, or what is left to warn of.
fn judge(findings: Vec<Finding>, dangling: DanglingRefs) -> Result<Vec<Violation>, Vec<Violation>> {
    let (mut violations, mut warnings) = (Vec::new(), Vec::new());
    for Finding { severity, doubt } in findings {
        match (severity, dangling) {
            (Severity::Wrong, _) | (Severity::Missing | Severity::Dangling, DanglingRefs::Refuse) => {
                violations.push(doubt.violation);
            }
            (Severity::Missing | Severity::Dangling, DanglingRefs::Warn) | (Severity::Warning, _) => {
                warnings.push(doubt.violation);
            }
        }
    }
    match violations.is_empty() {
        true => Ok(warnings),
        false => Err(violations),
    }
}
