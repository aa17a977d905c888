//! What a write asks for, and what that means for the world as it is.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use sluice_intent::{Kind, LAST_APPLIED, LabelSelector, Resource, ResourceId, merge_patch};
use sluice_model::{Code, CommitId, Revision, Violation};

use super::written::WriteError;
use crate::compile::{Action, Change, Changed, DanglingRefs, Intent, World};
use crate::store::{Scope, Verb};

/// A write before it is made.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    /// What is wanted.
    pub wish: Wish,
    /// Check everything and say what would happen, but write nothing.
    pub dry_run: bool,
    /// What becomes of references to what does not exist. A rollback always warns.
    pub dangling: DanglingRefs,
    /// Refuse if a touched resource changed after this revision.
    pub base: Option<Revision>,
    /// Who asks, as authenticated.
    pub author: String,
    /// What they may do.
    pub scope: Scope,
    /// Why, in the author's words.
    pub message: String,
    /// The client's key for "the same write again".
    pub idempotency_key: Option<String>,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub enum Wish {
    /// These resources; and of everything that `prune` is about only these.
    Apply {
        /// Each id once.
        resources: Vec<Resource>,
        /// What is deleted if it is not among the resources.
        prune: Option<Prune>,
    },
    /// This resource, if it is as expected.
    Put(Box<Resource>, Precondition),
    /// This change (RFC 7386) to a resource, if it is as expected.
    Patch(ResourceId, Value, Precondition),
    /// This resource gone, if it is as expected.
    Delete(ResourceId, Precondition),
    /// Everything as it was, but for Secrets.
    Rollback(Past),
}

/// What is deleted if it is not among the resources that are applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prune {
    /// What has these labels, wherever it is.
    Selected(LabelSelector),
    /// Everything in the namespaces of the resources, but for Secrets: they are in no export, and what they
    /// held could not be brought back.
    Namespaces,
    /// The same in every namespace.
    Everything,
}

/// What was there at a revision. Secrets have no past: what they held then is gone for good.
#[derive(Clone, Debug)]
pub struct Past {
    /// The revision.
    pub revision: Revision,
    /// Which commit it is.
    pub commit: CommitId,
    /// All but Secrets.
    pub intents: BTreeMap<ResourceId, Intent>,
    /// The Secrets there were, and the revisions that gave them what they held.
    pub secrets: BTreeMap<ResourceId, Revision>,
}

/// How a resource has to be for a write to be made (RFC 9110 section 13.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// However it is.
    #[default]
    None,
    /// It exists.
    Exists,
    /// It does not exist.
    Absent,
    /// Its content is of one of these revisions.
    OneOf(Vec<Revision>),
}

impl Precondition {
    fn holds(&self, current: Option<Revision>) -> bool {
        match (self, current) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::Absent, None) => true,
            (Self::Exists | Self::OneOf(_), None) | (Self::Absent, Some(_)) => false,
            (Self::OneOf(allowed), Some(current)) => allowed.contains(&current),
        }
    }
}

impl WriteRequest {
    /// The changes that it asks for, and the Secrets among them that are left out. Of a write that is not made,
    /// whoever may not read a Secret learns nothing about what it holds: it is judged as it is, whatever they say
    /// that it should be, and counts as changed.
    pub(super) fn changes(
        &self,
        world: &World,
        revision: Revision,
    ) -> Result<(Vec<Change>, Vec<ResourceId>), WriteError> {
        let mut changes = self.wish.changes(world, revision)?;
        let mut left_out = Vec::new();
        if self.dry_run {
            changes.retain(|change| {
                let Change::Put(resource) = change else {
                    return true;
                };
                let id = &resource.id;
                let is_guess = id.kind == Kind::Secret
                    && world.get(id).is_some()
                    && !self.scope.allows_to(Verb::Get, id);
                if is_guess {
                    left_out.push(id.clone());
                }
                !is_guess
            });
        }
        Ok((changes, left_out))
    }

    /// Has Secrets that were left out count as changed, and says so.
    pub(super) fn count(left_out: Vec<ResourceId>, changed: &mut Changed) {
        for id in left_out {
            let message = "what it holds is neither compared nor checked, for this token may not read it";
            changed
                .warnings
                .push(Violation::new(id.to_string(), "", Code::Unjudged, message));
            changed.actions.push((id, Action::Updated));
        }
    }

    /// Whether whoever asks may do all that would change.
    pub(super) fn permit(&self, actions: &[(ResourceId, Action)]) -> Result<(), WriteError> {
        let needed = |(id, action): &(ResourceId, Action)| {
            let verb = match action {
                // Who may not read a Secret must not find out by guessing what it holds.
                Action::Unchanged if id.kind == Kind::Secret => Verb::Update,
                Action::Unchanged => return None,
                Action::Created => Verb::Create,
                Action::Updated => Verb::Update,
                Action::Deleted => Verb::Delete,
            };
            let may_ask = self.dry_run && self.scope.allows_to(Verb::Plan, id);
            let is_allowed = may_ask || self.scope.allows_to(verb, id);
            (!is_allowed).then(|| (verb, id.clone()))
        };
        let missing: Vec<_> = actions.iter().filter_map(needed).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(WriteError::Forbidden(missing)),
        }
    }

    /// What is to be done with dangling references.
    pub(super) fn dangling(&self) -> DanglingRefs {
        match self.wish {
            Wish::Rollback(..) => DanglingRefs::Warn,
            _ => self.dangling,
        }
    }

    /// Whether it is refused for what a LintPolicy calls an error. A rollback is the way back, and never is.
    pub(super) fn heeds_lint(&self) -> bool {
        !matches!(self.wish, Wish::Rollback(_))
    }

    /// The revision whose content is brought back.
    pub(super) fn rollback_of(&self) -> Option<Revision> {
        match self.wish {
            Wish::Rollback(ref past) => Some(past.revision),
            _ => None,
        }
    }
}

impl Wish {
    /// The changes that make it true of `world`, as `revision`.
    pub(super) fn changes(&self, world: &World, revision: Revision) -> Result<Vec<Change>, WriteError> {
        match self {
            Self::Apply { resources, prune } => Ok(apply(world, resources, prune.as_ref())),
            Self::Put(resource, expected) => {
                expect(world, &resource.id, expected)?;
                Ok(vec![Change::Put((**resource).clone())])
            }
            Self::Patch(id, patch, expected) => patched(world, id, patch, expected),
            Self::Delete(id, expected) => {
                existing(world, id, expected)?;
                Ok(vec![Change::Delete(id.clone())])
            }
            Self::Rollback(past) => Ok(rollback(world, &past.intents, revision)),
        }
    }

    /// What of it is not done, and why.
    pub(super) fn warnings(&self, world: &World) -> Vec<Violation> {
        match self {
            Self::Apply { resources, .. } => resources.iter().filter_map(last_applied).collect(),
            Self::Put(resource, _) => last_applied(resource).into_iter().collect(),
            Self::Patch(id, patch, _) => {
                let dropped = brings_last_applied(id, patch).then(|| dropped_last_applied(id));
                dropped.into_iter().collect()
            }
            Self::Delete(..) => Vec::new(),
            Self::Rollback(past) => past.left_out(world),
        }
    }
}

impl Past {
    /// Secrets that are not as they were then, which a rollback leaves.
    fn left_out(&self, world: &World) -> Vec<Violation> {
        let secrets = world.of_kind(Kind::Secret, None);
        let now: BTreeMap<_, _> = secrets
            .map(|intent| (&intent.resource.id, intent.revision))
            .collect();
        let changed = now
            .iter()
            .filter_map(|(id, revision)| match self.secrets.get(*id) {
                Some(then) if then == revision => None,
                Some(_) => Some((*id, "was changed since and is left as it is")),
                None => Some((*id, "was created since and is left as it is")),
            });
        let gone = self.secrets.keys().filter(|id| !now.contains_key(id));
        let gone = gone.map(|id| (id, "was deleted since and is not brought back"));
        let warning = |(id, what): (&ResourceId, &str)| {
            let message = format!("{what}: a rollback never restores a Secret");
            Violation::new(id.to_string(), "", Code::Unsupported, message)
        };
        changed.chain(gone).map(warning).collect()
    }
}

/// That kubectl's copy of a Secret is not kept, if there is one.
fn last_applied(resource: &Resource) -> Option<Violation> {
    let warning = || dropped_last_applied(&resource.id);
    resource.has_last_applied().then(warning)
}

/// Whether kubectl's copy of a Secret is what a merge patch adds to it, among other things.
fn brings_last_applied(id: &ResourceId, patch: &Value) -> bool {
    let metadata = patch.get("metadata");
    let annotations = metadata.and_then(|metadata| metadata.get("annotations"));
    let copy = annotations.and_then(|annotations| annotations.get(LAST_APPLIED));
    id.kind == Kind::Secret && copy.is_some_and(|copy| !copy.is_null())
}

fn dropped_last_applied(id: &ResourceId) -> Violation {
    let message = "is dropped: kubectl keeps there all that the Secret holds";
    let field = format!("metadata.annotations[{LAST_APPLIED:?}]");
    Violation::new(id.to_string(), field, Code::Unsupported, message)
}

fn expect(world: &World, id: &ResourceId, expected: &Precondition) -> Result<(), WriteError> {
    let current = world.get(id).map(|intent| intent.revision);
    match expected.holds(current) {
        true => Ok(()),
        false => Err(WriteError::Precondition {
            id: id.clone(),
            current,
        }),
    }
}

fn existing<'a>(
    world: &'a World,
    id: &ResourceId,
    expected: &Precondition,
) -> Result<&'a Intent, WriteError> {
    let intent = world.get(id).ok_or_else(|| WriteError::NotFound(id.clone()))?;
    expect(world, id, expected)?;
    Ok(intent)
}

fn apply(world: &World, resources: &[Resource], prune: Option<&Prune>) -> Vec<Change> {
    let mut changes: Vec<_> = resources.iter().cloned().map(Change::Put).collect();
    if let Some(prune) = prune {
        let kept: HashSet<_> = resources.iter().map(|resource| &resource.id).collect();
        // A grant lies in the namespace of whoever is referred to, and makes nobody else's namespace one's own.
        let owned = kept.iter().filter(|id| id.kind != Kind::ReferenceGrant);
        let namespaces: HashSet<_> = owned.map(|id| &id.namespace).collect();
        let is_meant = |resource: &Resource| match prune {
            // No export has them, and no rollback brings them back.
            _ if resource.id.kind == Kind::Secret => false,
            Prune::Selected(selector) => selector.matches(&resource.labels),
            Prune::Namespaces => namespaces.contains(&resource.id.namespace),
            Prune::Everything => true,
        };
        let live = world.iter().map(|intent| &intent.resource);
        let gone = live.filter(|resource| is_meant(resource) && !kept.contains(&resource.id));
        changes.extend(gone.map(|resource| Change::Delete(resource.id.clone())));
    }
    changes
}

fn patched(
    world: &World,
    id: &ResourceId,
    patch: &Value,
    expected: &Precondition,
) -> Result<Vec<Change>, WriteError> {
    let mut manifest = existing(world, id, expected)?.resource.to_json_revealed();
    merge_patch(&mut manifest, patch.clone());
    let resource = Resource::from_json(manifest, id.namespace.as_str()).map_err(WriteError::Refused)?;
    if resource.id != *id {
        // Without the new ones: what was patched may be a Secret, and what into it, too.
        let message = "a patch cannot change kind, namespace or name";
        let violation = Violation::new(id.to_string(), "metadata", Code::Invalid, message);
        return Err(WriteError::Refused(vec![violation]));
    }
    Ok(vec![Change::Put(resource)])
}

fn rollback(world: &World, past: &BTreeMap<ResourceId, Intent>, revision: Revision) -> Vec<Change> {
    let ids = world.iter().map(|intent| &intent.resource.id);
    let gone = ids
        .filter(|id| id.kind != Kind::Secret && !past.contains_key(id))
        .cloned()
        .map(Change::Delete);
    let differs = |intent: &&Intent| {
        !world
            .get(&intent.resource.id)
            .is_some_and(|now| now.same_content(intent))
    };
    let restored = past.values().filter(differs).cloned();
    gone.chain(restored.map(|intent| Change::Restore(Intent { revision, ..intent })))
        .collect()
}
