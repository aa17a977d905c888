//! The views of a world: what each part of the fleet gets.
//!
//! While no Gateway has a proxy selector there is one view, of everything, and nothing here costs
//! anything. From the first selector on a view has what hangs on its Gateways, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

use sluice_core::{Changes, Difference, ResourceSet, Snapshot, Step, Update};
use sluice_intent::{Kind, Labels, ResourceId};
use sluice_model::{Class, CommitId, CommitSeal, HistoryId, Key, Position, Revision, Violation};

use super::World;
use super::addressing::Addressing;
use super::audience::{Audience, Moment, References, recount};
use super::spread;
use super::view_key::ViewKey;
use super::world::in_words_of_intent;

/// The snapshots of one world. Each is built from the one before it or from another view's, so that
/// views share what they have in common.
#[derive(Clone, Debug)]
pub(super) struct Views {
    /// Of proxies that match no selector.
    pub(super) default: Snapshot,
    /// Those that were asked for, and one for each selector that is in none of those: so nothing is
    /// accepted that a proxy has never built.
    others: BTreeMap<ViewKey, Arc<Snapshot>>,
    demanded: BTreeSet<ViewKey>,
}

impl Views {
    pub(super) fn empty(history: HistoryId) -> Self {
        Self::only(Snapshot::empty(history))
    }

    fn only(default: Snapshot) -> Self {
        Self {
            default,
            others: BTreeMap::new(),
            demanded: BTreeSet::new(),
        }
    }

    fn get(&self, key: &ViewKey) -> Option<&Snapshot> {
        match key.selectors() {
            [] => Some(&self.default),
            _ => self.others.get(key).map(Arc::as_ref),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (ViewKey, &Snapshot)> {
        let others = self
            .others
            .iter()
            .map(|(key, snapshot)| (key.clone(), &**snapshot));
        std::iter::once((ViewKey::default(), &self.default)).chain(others)
    }
}

impl World {
    /// The view of a proxy with these labels.
    pub fn view_of(&self, labels: &Labels) -> ViewKey {
        match self.addressing.is_empty() {
            true => ViewKey::default(),
            false => self.addressing.view_of(labels),
        }
    }

    /// What is left of a view where only these selectors are told apart.
    pub fn existing(&self, key: &ViewKey) -> ViewKey {
        key.among(|selector| self.addressing.has(selector))
    }

    /// Whether proxies have the same views here as in `other`: the selectors are the same.
    pub fn has_selectors_of(&self, other: &Self) -> bool {
        self.addressing.selectors().eq(other.addressing.selectors())
    }

    /// What proxies of this view build, if it is among those that are kept.
    pub fn view(&self, key: &ViewKey) -> Option<&Snapshot> {
        self.views.get(key)
    }

    /// All views that are kept; the first is that of proxies that match no selector.
    pub fn views(&self) -> impl Iterator<Item = (ViewKey, &Snapshot)> {
        self.views.iter()
    }

    /// The views that were asked for and can be had by some proxy.
    pub fn demanded(&self) -> &BTreeSet<ViewKey> {
        &self.views.demanded
    }

    /// The same world with these views, and without others that were asked for before; `None` when
    /// that makes no difference. Costs what everything costs for each new one.
    ///
    /// # Errors
    /// What a snapshot refuses.
    pub fn with_views(
        &self,
        demanded: impl IntoIterator<Item = ViewKey>,
    ) -> Result<Option<Self>, Vec<Violation>> {
        let demanded = reachable(demanded, &self.addressing);
        if demanded == self.views.demanded {
            return Ok(None);
        }
        let mut others = BTreeMap::new();
        for key in kept(&demanded, &self.addressing) {
            let snapshot = match self.views.others.get(&key) {
                Some(known) => Arc::clone(known),
                None => Arc::new(self.fork(&key)?),
            };
            others.insert(key, snapshot);
        }
        let mut next = self.clone();
        next.views.others = others;
        next.views.demanded = demanded;
        Ok(Some(next))
    }

    /// What proxies of any view build, whether it is kept or not. Costs what everything costs when
    /// it is not.
    ///
    /// # Errors
    /// What the snapshot refuses.
    pub fn snapshot_of(&self, key: &ViewKey) -> Result<Snapshot, Vec<Violation>> {
        let key = self.existing(key);
        match self.view(&key) {
            Some(known) => Ok(known.clone()),
            None => self.fork(&key),
        }
    }

    fn fork(&self, key: &ViewKey) -> Result<Snapshot, Vec<Violation>> {
        let moment = self.moment();
        let all = self.resources.iter().map(|entry| entry.key.clone());
        let all: Vec<_> = all.map(|key| (moment.audience(&key), key)).collect();
        let from = &self.views.default;
        let difference = step(&moment, key, from.resources(), &all);
        moved(from, self.revision(), &difference).map_err(in_words_of_intent)
    }

    fn moment(&self) -> Moment<'_> {
        Moment {
            addressing: &self.addressing,
            references: &self.references,
            resources: &self.resources,
        }
    }

    /// Moves every view on, with the proxies' own code: from those of `before`, over the difference
    /// of all wire resources. Gateways and what is emitted are already those of this world.
    pub(super) fn advance(
        &mut self,
        before: &Self,
        revision: Revision,
        difference: &Difference,
    ) -> Result<(), Vec<Violation>> {
        if self.addressing.is_empty() {
            return self.advance_undivided(before, revision, difference);
        }
        self.resources = before.resources.apply(difference);
        let touched;
        (self.references, touched) = self.recounted(before, difference);
        let moment = self.moment();
        let touched: Vec<_> = touched
            .into_iter()
            .map(|key| (moment.audience(&key), key))
            .collect();
        let difference_of = |key: &ViewKey, from: &Snapshot| step(&moment, key, from.resources(), &touched);
        let from = &before.views.default;
        let done = difference_of(&ViewKey::default(), from);
        let default = moved(from, revision, &done).map_err(in_words_of_intent)?;
        // Views stay one in what they have in common with that of no selector.
        let beside = Step {
            before: from.resources(),
            difference: &done,
            after: default.resources(),
        };
        let move_on = |key: &ViewKey, from: &Snapshot| {
            let difference = difference_of(key, from);
            let resources = from.resources().apply_beside(&difference, &beside);
            from.step(revision, resources, &difference)
        };
        let demanded = reachable(before.views.demanded.iter().cloned(), &self.addressing);
        let mut others = BTreeMap::new();
        let mut lost = Vec::new();
        let mut violations = Vec::new();
        for key in kept(&demanded, &self.addressing) {
            match self.origin(before, &key).map(|from| move_on(&key, from)) {
                Some(Ok(snapshot)) => drop(others.insert(key, Arc::new(snapshot))),
                Some(Err(found)) => violations.extend(found),
                None => lost.push(key),
            }
        }
        if !violations.is_empty() {
            violations.dedup();
            return Err(in_words_of_intent(violations));
        }
        self.views = Views {
            default,
            others,
            demanded,
        };
        for key in lost {
            let snapshot = self.fork(&key)?;
            self.views.others.insert(key, Arc::new(snapshot));
        }
        Ok(())
    }

    /// Every proxy gets everything.
    fn advance_undivided(
        &mut self,
        before: &Self,
        revision: Revision,
        difference: &Difference,
    ) -> Result<(), Vec<Violation>> {
        let from = &before.views.default;
        let next = match before.addressing.is_empty() {
            true => moved(from, revision, difference),
            false => {
                let all = before.resources.apply(difference);
                moved(from, revision, &from.resources().diff(&all))
            }
        };
        let next = next.map_err(in_words_of_intent)?;
        self.references = References::default();
        self.resources = next.resources().clone();
        self.views = Views::only(next);
        Ok(())
    }

    /// Who refers to what, and all resources that are different or may be for others than before.
    fn recounted(&self, before: &Self, difference: &Difference) -> (References, BTreeSet<Key>) {
        let after = (&self.addressing, &self.resources);
        if before.addressing.is_empty() {
            // The first selector: now it is told apart what hangs on what.
            let (addressing, references) = (Addressing::default(), References::default());
            let nothing = Moment {
                addressing: &addressing,
                references: &references,
                resources: &ResourceSet::empty(),
            };
            let all = self.resources.iter().map(|entry| entry.key.clone());
            return recount(nothing, after, all.chain(difference.removals.iter().cloned()));
        }
        recount(before.moment(), after, self.moved_keys(before, difference))
    }

    /// Resources that are different, and those of Gateways and routes that may be for others.
    fn moved_keys(&self, before: &Self, difference: &Difference) -> BTreeSet<Key> {
        let upserts = difference.upserts.iter().map(|entry| &entry.key);
        let mut keys: BTreeSet<Key> = upserts.chain(&difference.removals).cloned().collect();
        let routes = keys.iter().filter(|key| key.kind() == sluice_model::Kind::Route);
        let mut owners: BTreeSet<ResourceId> = routes
            .filter_map(|key| id(Kind::HTTPRoute, key.owner()))
            .collect();
        let gateways = self.addressing.moved_since(&before.addressing);
        for gateway in gateways.filter_map(|owner| id(Kind::Gateway, owner)) {
            let routes = self.index.referrers(&gateway);
            let routes = routes.filter(|id| id.kind == Kind::HTTPRoute);
            owners.extend(routes.map(|id| (**id).clone()));
            owners.insert(gateway);
        }
        for owner in &owners {
            let emitted = [before, self]
                .into_iter()
                .filter_map(|world| world.emitted.get(owner));
            keys.extend(emitted.flat_map(|keys| keys.iter().cloned()));
        }
        keys
    }

    /// A view of `before` that `key` differs from in nothing but what is touched: they are told apart
    /// by selectors only that were not there before, or are not any more.
    pub(crate) fn origin<'a>(&self, before: &'a Self, key: &ViewKey) -> Option<&'a Snapshot> {
        let known = key.among(|selector| before.addressing.has(selector));
        if let Some(same) = before.view(&known).filter(|_| known == *key) {
            return Some(same);
        }
        let is_it = |other: &ViewKey| other.among(|selector| self.addressing.has(selector)) == known;
        let mut views = before.views.iter();
        views
            .find(|(other, _)| is_it(other))
            .map(|(_, snapshot)| snapshot)
    }
}

/// Views that proxies can have, besides that of no selector.
fn reachable(keys: impl IntoIterator<Item = ViewKey>, addressing: &Addressing) -> BTreeSet<ViewKey> {
    let keys = keys
        .into_iter()
        .map(|key| key.among(|selector| addressing.has(selector)));
    keys.filter(|key| !key.selectors().is_empty()).collect()
}

/// Views that have to be kept: those that are demanded, and every selector in one at least.
fn kept(demanded: &BTreeSet<ViewKey>, addressing: &Addressing) -> BTreeSet<ViewKey> {
    let covered: BTreeSet<_> = demanded.iter().flat_map(ViewKey::selectors).collect();
    let alone = addressing.selectors().filter(|one| !covered.contains(one));
    let alone = alone.map(|one| std::iter::once(Arc::clone(one)).collect());
    demanded.iter().cloned().chain(alone).collect()
}

/// What leads a view from `held` to where `touched` resources are as they should be.
fn step(moment: &Moment<'_>, view: &ViewKey, held: &ResourceSet, touched: &[(Audience, Key)]) -> Difference {
    let mut difference = Difference::default();
    for (audience, key) in touched {
        let wanted = audience.meets(view).then(|| moment.entry(key, view)).flatten();
        match (wanted, held.get(key)) {
            (Some(wanted), known) if known != Some(&wanted) => difference.upserts.push(wanted),
            (None, Some(_)) => difference.removals.push(key.clone()),
            _ => {}
        }
    }
    difference
}

/// The snapshot after `difference`, by the proxies' own code.
fn moved(from: &Snapshot, revision: Revision, difference: &Difference) -> Result<Snapshot, Vec<Violation>> {
    if from.resources().is_empty() {
        return first(from, revision, difference);
    }
    let resources = from.resources().apply(difference);
    let target = Position {
        revision,
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    };
    from.apply(&Update {
        history: from.history(),
        base: Some(from.position()),
        target,
        commit: CommitId::UNKNOWN,
        commit_seal: CommitSeal::NONE,
        difference: difference.clone(),
    })
}

/// The same where nothing was, which is how a control plane starts: all cores read a part of what comes, and then one
/// builds from it while another makes the set of it. Each key comes once, as no two things that users write have the
/// same.
fn first(from: &Snapshot, revision: Revision, difference: &Difference) -> Result<Snapshot, Vec<Violation>> {
    let (mut changes, mut violations) = (Changes::default(), Vec::new());
    for part in spread::portions(&difference.upserts, Changes::read) {
        match part {
            Ok(part) => changes.append(part),
            Err(found) => violations.extend(found),
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    thread::scope(|scope| {
        let resources = scope.spawn(|| from.resources().apply(difference));
        from.step_read(revision, changes, || spread::finished(resources))
    })
}

fn id(kind: Kind, owner: &str) -> Option<ResourceId> {
    format!("{kind}/{owner}").parse().ok()
}
