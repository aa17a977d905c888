//! Builds a snapshot from the one before it and a difference: costs what the difference costs.
//!
//! The order makes each step see the final state of what it refers to: read, let go of what
//! changes, then credentials, listeners, backends, targets, routes, rules, and last the references.

use std::{collections::BTreeSet, sync::Arc};

use sluice_model::{
    Backend, Code, Endpoints, Experiment, Key, Kind, Listener, ListenerTls, Resource, Route, Rule, Split,
    Violation,
};

use crate::{
    CompiledRule, MirrorTarget, Snapshot, Target, carry,
    credentials::Credential,
    resources::{Difference, Entry},
};

/// Resources that were read, by kind, and keys that go: everything an update brings.
#[derive(Default)]
pub struct Changes {
    credentials: Vec<Credential>,
    listeners: Vec<Listener>,
    backends: Vec<Backend>,
    endpoints: Vec<Endpoints>,
    splits: Vec<Split>,
    experiments: Vec<Experiment>,
    routes: Vec<Route>,
    rules: Vec<Rule>,
    removed: Vec<Key>,
}

/// The snapshot after `changes`; its position and resources are still those of `old`.
pub(crate) fn build(old: &Snapshot, changes: Changes) -> Result<Snapshot, Vec<Violation>> {
    let mut build = Build {
        next: old.clone(),
        violations: Vec::new(),
    };
    build.apply(changes);
    match build.violations.is_empty() {
        true => Ok(build.next),
        false => Err(build.violations),
    }
}

impl Changes {
    pub(crate) fn of(difference: &Difference) -> Result<Self, Vec<Violation>> {
        let changes = Self::read(&difference.upserts)?;
        Ok(Self {
            removed: difference.removals.clone(),
            ..changes
        })
    }

    /// Reads what is new or different.
    ///
    /// # Errors
    /// Every violation of a resource alone.
    pub fn read(upserts: &[Entry]) -> Result<Self, Vec<Violation>> {
        let mut changes = Self::default();
        let mut violations = Vec::new();
        for Entry { key, body, .. } in upserts {
            match Resource::decode(key, body) {
                Ok(Resource::Certificate(one)) => changes.credentials.push(Credential::Certificate(one)),
                Ok(Resource::Trust(one)) => changes.credentials.push(Credential::Trust(one)),
                Ok(Resource::Tickets(one)) => changes.credentials.push(Credential::Tickets(one)),
                Ok(Resource::Listener(listener)) => changes.listeners.push(listener),
                Ok(Resource::Backend(backend)) => changes.backends.push(backend),
                Ok(Resource::Endpoints(endpoints)) => changes.endpoints.push(endpoints),
                Ok(Resource::Split(split)) => changes.splits.push(split),
                Ok(Resource::Experiment(experiment)) => changes.experiments.push(experiment),
                Ok(Resource::Route(route)) => changes.routes.push(route),
                Ok(Resource::Rule(rule)) => changes.rules.push(rule),
                Err(found) => violations.extend(found),
            }
        }
        match violations.is_empty() {
            true => Ok(changes),
            false => Err(violations),
        }
    }

    /// Adds what was read of the entries that come after these.
    pub fn append(&mut self, mut later: Self) {
        self.credentials.append(&mut later.credentials);
        self.listeners.append(&mut later.listeners);
        self.backends.append(&mut later.backends);
        self.endpoints.append(&mut later.endpoints);
        self.splits.append(&mut later.splits);
        self.experiments.append(&mut later.experiments);
        self.routes.append(&mut later.routes);
        self.rules.append(&mut later.rules);
        self.removed.append(&mut later.removed);
    }

    fn removed(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.removed.iter().filter(move |key| key.kind() == kind)
    }
}

struct Build {
    next: Snapshot,
    violations: Vec<Violation>,
}

impl Build {
    fn apply(&mut self, mut changes: Changes) {
        let moving = self.moving_rules(&changes);
        for rule in moving.iter().filter_map(|key| self.next.rules.get(key)) {
            self.next.table.detach(rule);
        }
        for key in &changes.removed {
            self.next.credentials.remove(key);
        }
        for credential in std::mem::take(&mut changes.credentials) {
            self.next.credentials.put(credential);
        }
        self.listeners(std::mem::take(&mut changes.listeners), &changes);
        self.backends(
            std::mem::take(&mut changes.backends),
            std::mem::take(&mut changes.endpoints),
            &changes,
        );
        let experiments = std::mem::take(&mut changes.experiments).into_iter();
        let splits = std::mem::take(&mut changes.splits).into_iter();
        self.targets(
            splits
                .map(Wanted::Split)
                .chain(experiments.map(Wanted::Experiment)),
            &changes,
        );
        for mut route in std::mem::take(&mut changes.routes) {
            self.next.table.share_keys(&mut route);
            self.next.routes.insert(route.key.clone(), Arc::new(route));
        }
        for key in changes.removed(Kind::Route) {
            self.next.routes.remove(key);
        }
        self.rules(std::mem::take(&mut changes.rules), &moving, &changes);
        self.settle();
    }

    /// Rules that are changed, or whose route is: they leave the table before anything else moves.
    fn moving_rules(&self, changes: &Changes) -> BTreeSet<Key> {
        let mut moving: BTreeSet<Key> = changes.removed(Kind::Rule).cloned().collect();
        moving.extend(changes.rules.iter().map(|rule| rule.key.clone()));
        let routes = changes
            .routes
            .iter()
            .map(|route| &route.key)
            .chain(changes.removed(Kind::Route));
        for route in routes {
            moving.extend(self.next.rules_of(route).cloned());
        }
        moving
    }

    fn listeners(&mut self, listeners: Vec<Listener>, changes: &Changes) {
        // All let go first: two listeners may change places.
        let mut ports = BTreeSet::new();
        for key in listeners
            .iter()
            .map(|listener| &listener.key)
            .chain(changes.removed(Kind::Listener))
        {
            if let Some(old) = self.next.table.get(key).cloned() {
                ports.insert(old.port);
                let references = old.tls.iter().flat_map(ListenerTls::references);
                self.next.credentials.release(references);
            }
            self.next.table.forget_port(key);
        }
        for key in changes.removed(Kind::Listener) {
            if self.next.table.remove_listener(key).is_err() {
                self.refuse(key, "", Code::InUse, "routes are still attached to this listener");
            }
        }
        for listener in listeners {
            let key = listener.key.clone();
            ports.insert(listener.port);
            let references = listener.tls.iter().flat_map(ListenerTls::references);
            self.next.credentials.acquire(references);
            if let Err(holder) = self.next.table.put_listener(listener) {
                let message = format!("{holder} has the same port and hostname");
                self.refuse(&key, "hostname", Code::Conflict, message);
            }
        }
        if let Err(plain) = self.next.table.settle_ports(&ports) {
            for key in plain {
                let message = "HTTP, while other listeners of the port are HTTPS";
                self.refuse(&key, "protocol", Code::Conflict, message);
            }
        }
    }

    fn backends(&mut self, backends: Vec<Backend>, endpoints: Vec<Endpoints>, changes: &Changes) {
        let mut touched: BTreeSet<Key> = BTreeSet::new();
        for key in changes.removed(Kind::Endpoints) {
            self.next.endpoints.remove(key);
            touched.extend(key.sibling(Kind::Backend));
        }
        for endpoints in endpoints {
            touched.extend(endpoints.key.sibling(Kind::Backend));
            self.next
                .endpoints
                .insert(endpoints.key.clone(), Arc::new(endpoints));
        }
        for key in changes.removed(Kind::Backend) {
            if let Some(old) = self.next.backends.unset(key) {
                self.next.credentials.release(references(&old.backend));
            }
            touched.insert(key.clone());
        }
        for backend in backends {
            touched.remove(&backend.key);
            self.backend(backend);
        }
        for key in touched {
            match self.next.backends.find(&key) {
                Some(state) => self.backend(state.backend.clone()),
                None => self.refuse_stray_endpoints(&key),
            }
        }
    }

    fn backend(&mut self, backend: Backend) {
        let key = backend.key.clone();
        let endpoints = key
            .sibling(Kind::Endpoints)
            .ok()
            .and_then(|key| self.next.endpoints.get(&key));
        let old = self.next.backends.find(&key);
        self.next.credentials.acquire(references(&backend));
        if let Some(old) = old {
            self.next.credentials.release(references(&old.backend));
        }
        let state = carry::succeed(
            backend,
            endpoints.map(Arc::as_ref),
            old.map(Arc::as_ref),
            &mut self.next.uids,
        );
        self.next.backends.set(&key, Arc::new(state));
    }

    fn refuse_stray_endpoints(&mut self, backend: &Key) {
        if let Some(key) = backend
            .sibling(Kind::Endpoints)
            .ok()
            .filter(|key| self.next.endpoints.contains_key(key))
        {
            self.refuse(&key, "", Code::Dangling, "these endpoints belong to no backend");
        }
    }

    fn targets(&mut self, wanted: impl Iterator<Item = Wanted>, changes: &Changes) {
        for wanted in wanted {
            let key = wanted.key().clone();
            let backends = &mut self.next.backends;
            let target = match wanted {
                Wanted::Split(split) => Target::from_split(&split, |key| backends.acquire(key)),
                Wanted::Experiment(experiment) => {
                    Target::from_experiment(experiment, |key| backends.acquire(key))
                }
            };
            self.release_backends(&key);
            self.next.targets.set(&key, Arc::new(target));
        }
        for kind in [Kind::Split, Kind::Experiment] {
            for key in changes.removed(kind) {
                self.release_backends(key);
                self.next.targets.unset(key);
            }
        }
    }

    /// Takes back the references of the target that stands under `key` now.
    fn release_backends(&mut self, key: &Key) {
        if let Some(old) = self.next.targets.find(key) {
            old.backends()
                .for_each(|backend| self.next.backends.release(backend));
        }
    }

    fn rules(&mut self, rules: Vec<Rule>, moving: &BTreeSet<Key>, changes: &Changes) {
        for mut rule in rules {
            let key = rule.key.clone();
            let target = rule.target.as_ref().map(|key| self.next.targets.acquire(key));
            rule.target = target.and_then(|idx| self.next.targets.key(idx)).cloned();
            let old = self.next.rules.get(&key);
            let uid = old.map_or_else(|| self.next.uids.next(), |old| old.uid);
            let mirrors = MirrorTarget::find(&rule.filters.mirrors, |key| self.next.backends.acquire(key));
            let old = old.cloned();
            self.release_rule(old.as_deref());
            let Some(route) = self.route_of(&key) else {
                continue;
            };
            self.next.rules.insert(
                key,
                Arc::new(CompiledRule {
                    rule,
                    route,
                    target,
                    mirrors,
                    uid,
                }),
            );
        }
        for key in changes.removed(Kind::Rule) {
            let old = self.next.rules.remove(key);
            self.release_rule(old.as_deref());
        }
        for key in moving {
            self.place(key);
        }
    }

    /// Takes back the references of a rule that is replaced or goes.
    fn release_rule(&mut self, old: Option<&CompiledRule>) {
        let Some(old) = old else { return };
        if let Some(target) = old.target {
            self.next.targets.release(target);
        }
        for backend in old.mirrors.iter().filter_map(|mirror| mirror.backend) {
            self.next.backends.release(backend);
        }
    }

    /// Puts a rule back into the table, with its route as it is now.
    fn place(&mut self, key: &Key) {
        let Some(rule) = self.next.rules.get(key).cloned() else {
            return;
        };
        let Some(route) = self.route_of(key) else { return };
        let rule = match Arc::ptr_eq(&rule.route, &route) {
            true => rule,
            false => {
                let moved = Arc::new(CompiledRule {
                    route,
                    ..(*rule).clone()
                });
                self.next.rules.insert(key.clone(), Arc::clone(&moved));
                moved
            }
        };
        if let Err(missing) = self.next.table.attach(&rule) {
            for listener in missing {
                let message = format!("{listener} does not exist");
                self.refuse(&rule.route.key, "attachments", Code::Dangling, message);
            }
        }
    }

    fn route_of(&mut self, rule: &Key) -> Option<Arc<Route>> {
        let key = rule.sibling(Kind::Route).ok();
        let route = key.and_then(|key| self.next.routes.get(&key)).cloned();
        if route.is_none() {
            self.refuse(rule, "", Code::Dangling, "the route of this rule does not exist");
        }
        route
    }

    fn settle(&mut self) {
        let backends = self.next.backends.settle();
        let targets = self.next.targets.settle();
        let credentials = self.next.credentials.settle().collect::<Vec<_>>();
        for key in backends.into_iter().chain(targets).chain(credentials) {
            self.refuse(&key, "", Code::Dangling, "does not exist and is referred to");
        }
    }

    fn refuse(&mut self, key: &Key, field: &str, code: Code, message: impl Into<String>) {
        self.violations
            .push(Violation::new(key.as_str(), field, code, message));
    }
}

fn references(backend: &Backend) -> impl Iterator<Item = &Key> {
    backend.tls.iter().flat_map(|tls| tls.references())
}

/// Either kind of target, as it was sent.
enum Wanted {
    Split(Split),
    Experiment(Experiment),
}

impl Wanted {
    fn key(&self) -> &Key {
        match self {
            Self::Split(split) => &split.key,
            Self::Experiment(experiment) => &experiment.key,
        }
    }
}
