//! A world in the making: what is touched, what that affects, and what comes of it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use sluice_core::{Difference, Entry};
use sluice_intent::{CARRIED_AGE, CARRIED_SLOTS, CarriedAge, CarriedSlots, Resource, ResourceId, Spec};
use sluice_model::{Code, CommitId, Key, Revision, Violation};

use super::World;
use super::affected::affected;
use super::age::Ages;
use super::allocation::Allocation;
use super::change::{Action, Change};
use super::check::{self, Doubt, Finding, Reason, Severity};
use super::emit;
use super::intent::Intent;
use super::source;
use super::spread;
use super::world::Id;

/// Most referrers that one message names.
const NAMED: usize = 3;

pub(super) struct Draft<'a> {
    base: &'a World,
    next: World,
    revision: Revision,
    touched: BTreeSet<Id>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a World, revision: Revision) -> Self {
        Self {
            base,
            next: base.clone(),
            revision,
            touched: BTreeSet::new(),
        }
    }

    /// Takes the changes in, without a look at what they mean for each other.
    pub(super) fn fold(&mut self, changes: Vec<Change>) -> Result<Vec<(ResourceId, Action)>, Vec<Violation>> {
        let mut actions = Vec::with_capacity(changes.len());
        let mut violations = Vec::new();
        let ages = Ages::given(self.base, &changes, self.revision);
        for change in changes {
            match change {
                Change::Put(resource) => {
                    let id = resource.id.clone();
                    match self.put(resource, &ages) {
                        Ok(action) => actions.push((id, action)),
                        Err(wrong) => violations.extend(wrong),
                    }
                }
                Change::Restore(intent) => {
                    let id = intent.resource.id.clone();
                    let action = match self.next.get(&id) {
                        Some(_) => Action::Updated,
                        None => Action::Created,
                    };
                    self.insert(intent);
                    actions.push((id, action));
                }
                Change::Delete(id) => {
                    if self.remove(&id) {
                        actions.push((id, Action::Deleted));
                    }
                }
            }
        }
        match violations.is_empty() {
            true => Ok(actions),
            false => Err(violations),
        }
    }

    fn put(&mut self, resource: Resource, ages: &Ages) -> Result<Action, Vec<Violation>> {
        let carried = carried_slots(&resource)?.filter(|slots| slots.is_of(&resource.id));
        let age = carried_age(&resource)?;
        let resource = resource.without_what_is_carried();
        let old = self.next.get(&resource.id).cloned();
        if let Some(old) = &old {
            if old.resource == resource {
                return Ok(Action::Unchanged);
            }
            check::succession(&old.resource, &resource)?;
        }
        let created = match &old {
            Some(old) => old.created,
            None if resource.id.kind.is_aged() => ages.of_new(age),
            None => self.revision,
        };
        let allocation = self.allocate(old.as_deref(), carried.as_ref(), &resource, created);
        let allocation = allocation.map_err(|violation| vec![violation])?;
        self.insert(Intent {
            resource,
            created,
            revision: self.revision,
            allocation,
        });
        Ok(if old.is_some() {
            Action::Updated
        } else {
            Action::Created
        })
    }

    /// The slot table of an experiment. One that it brings along counts where it is new: users of one that
    /// is live stay where they are.
    fn allocate(
        &self,
        old: Option<&Intent>,
        carried: Option<&CarriedSlots>,
        resource: &Resource,
        created: Revision,
    ) -> Result<Option<Allocation>, Violation> {
        let Spec::Experiment(spec) = &resource.spec else {
            return Ok(None);
        };
        let before = old.and_then(|old| match (&old.resource.spec, &old.allocation) {
            (Spec::Experiment(spec), Some(allocation)) => Some((spec, allocation)),
            _ => None,
        });
        let allocation = match (before, carried) {
            (Some((old, allocation)), _) => allocation.succeed(old, spec),
            (None, Some(carried)) => Allocation::carried(carried, spec),
            (None, None) => Allocation::initial(&resource.id, created, spec),
        };
        let refusal = |error: sluice_core::slots::AllocationError| {
            Violation::new(
                resource.id.to_string(),
                "spec.variants",
                Code::Invalid,
                error.to_string(),
            )
        };
        allocation.map(Some).map_err(refusal)
    }

    fn insert(&mut self, intent: Intent) {
        let id: Id = Arc::new(intent.resource.id.clone());
        self.remove(&id);
        if id.kind.is_aged() {
            self.next.youngest = self.next.youngest.max(intent.created);
        }
        self.next.index.insert(&id, &intent.resource);
        self.next.addressing.insert(&intent.resource);
        self.next.intents.insert(Arc::clone(&id), Arc::new(intent));
        self.touched.insert(id);
    }

    fn remove(&mut self, id: &ResourceId) -> bool {
        let Some((id, old)) = self.next.intents.remove_with_key(id) else {
            return false;
        };
        self.next.index.remove(&id, &old.resource);
        self.next.addressing.remove(&old.resource);
        self.touched.insert(id);
        true
    }

    /// What is touched, and what may have to be compiled or judged anew because of it.
    pub(super) fn affected(&self) -> BTreeSet<Id> {
        // Where nothing was, all there is is touched.
        if self.base.intents.is_empty() {
            return self.touched.clone();
        }
        affected(self.base, &self.next, &self.touched)
    }

    /// What is wrong or doubtful after the change. Of resources that are only affected, no more
    /// than the change brought about.
    pub(super) fn findings(&self, affected: &BTreeSet<Id>) -> Vec<Finding> {
        let affected: Vec<&Id> = affected.iter().collect();
        let findings = spread::map(&affected, |id| self.findings_of(id));
        findings.into_iter().flatten().collect()
    }

    fn findings_of(&self, id: &Id) -> Vec<Finding> {
        let Some(resource) = self.next.resource(id) else {
            return self.still_in_use(id).into_iter().collect();
        };
        let mut now = check::findings(&self.next, resource);
        if !self.touched.contains(id) && !now.is_empty() {
            // A resource that is missing now was deleted, which is said where it was.
            let before = check::findings(self.base, resource);
            now.retain(|finding| finding.severity != Severity::Missing && !before.contains(finding));
        }
        now
    }

    fn still_in_use(&self, id: &Id) -> Option<Finding> {
        self.base.resource(id)?;
        let referrers: Vec<_> = self.next.index.referrers(id).collect();
        if referrers.is_empty() {
            return None;
        }
        let mut named: Vec<_> = referrers.iter().take(NAMED).map(ToString::to_string).collect();
        if referrers.len() > NAMED {
            named.push(format!("{} more", referrers.len() - NAMED));
        }
        let message = format!("is still referred to by {}", named.join(", "));
        Some(Finding {
            severity: Severity::Missing,
            doubt: Doubt {
                violation: Violation::new(id.to_string(), "", Code::InUse, message),
                reason: Reason::Invalid,
            },
        })
    }

    /// Compiles what is affected; the step from the old wire resources to the new ones.
    pub(super) fn compile(&mut self, affected: &BTreeSet<Id>) -> Difference {
        let affected: Vec<&Id> = affected.iter().collect();
        let compiled = spread::map(&affected, |id| match self.next.intents.get(*id) {
            Some(intent) => emit::entries(&self.next, intent),
            None => Vec::new(),
        });
        let mut difference = Difference::default();
        for (id, entries) in affected.into_iter().zip(compiled) {
            self.replace(id, entries, &mut difference);
        }
        difference
    }

    fn replace(&mut self, id: &Id, entries: Vec<Entry>, difference: &mut Difference) {
        if let Some(old) = self.next.emitted.get(id) {
            let keys: BTreeSet<&Key> = entries.iter().map(|entry| &entry.key).collect();
            let gone = old.iter().filter(|key| !keys.contains(key));
            difference.removals.extend(gone.cloned());
        }
        match entries.is_empty() {
            true => self.next.emitted.remove(id),
            false => {
                let keys = entries.iter().map(|entry| entry.key.clone()).collect();
                self.next.emitted.insert(Arc::clone(id), keys)
            }
        };
        let resources = self.base.resources();
        let new = entries
            .into_iter()
            .filter(|entry| resources.get(&entry.key) != Some(entry));
        difference.upserts.extend(new);
    }

    /// The finished world.
    pub(super) fn finish(mut self, difference: &Difference) -> Result<World, Vec<Violation>> {
        self.forget_sources();
        self.next.advance(self.base, self.revision, difference)?;
        self.next.commit = CommitId::UNKNOWN;
        Ok(self.next)
    }

    /// Forgets what sources knew that nothing depends on any more.
    fn forget_sources(&mut self) {
        let before = self.touched.iter().filter_map(|id| self.base.resource(id));
        for source in before.flat_map(source::sources_of) {
            if self.next.index.fed_by(&source).next().is_none() {
                self.next.found.remove(&source);
            }
        }
    }
}

/// The slot table that a resource brings along.
fn carried_slots(resource: &Resource) -> Result<Option<CarriedSlots>, Vec<Violation>> {
    let refusal = |error| refused_annotation(resource, CARRIED_SLOTS, &error);
    resource.carried_slots().map_err(refusal)
}

/// The age that a resource brings along.
fn carried_age(resource: &Resource) -> Result<Option<CarriedAge>, Vec<Violation>> {
    let refusal = |error| refused_annotation(resource, CARRIED_AGE, &error);
    resource.carried_age().map_err(refusal)
}

fn refused_annotation(resource: &Resource, name: &str, error: &dyn Display) -> Vec<Violation> {
    let field = format!("metadata.annotations[{name:?}]");
    let message = error.to_string();
    vec![Violation::new(
        resource.id.to_string(),
        field,
        Code::Invalid,
        message,
    )]
}
