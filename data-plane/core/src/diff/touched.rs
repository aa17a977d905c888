//! Where outcomes may differ at all: found from the resources that do, so it costs what they cost.
//!
//! A request whose outcome changes was taken before, or is taken after, by a rule that changed itself,
//! or whose route, target or backends did; or another listener has it. (Two rules that are on both sides
//! as they were keep their order.) So only what those rules match has to be looked into.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;
use sluice_model::{Hostname, Key, Kind, PathMatch};

use crate::{BackendState, CompiledRule, Snapshot, Target, registry::Idx};

/// A set with a fixed seed: only configuration is ever put in.
pub(super) type Set<T> = HashSet<T, FixedState>;

/// Paths to look into.
#[derive(Clone, Debug, Default)]
pub(super) struct Region {
    /// All of them.
    pub(super) everything: bool,
    /// Prefixes, without a trailing slash.
    pub(super) prefixes: BTreeSet<Box<str>>,
    /// Whole paths.
    pub(super) exact: BTreeSet<Box<str>>,
}

/// What differs between two snapshots.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Rules of either side, by [`identity`], that do not decide as before.
    pub(super) rules: Set<usize>,
    /// By port and hostname.
    pub(super) regions: BTreeMap<u16, BTreeMap<Hostname, Region>>,
    /// Splits and experiments that are different, as keys.
    pub(super) targets: BTreeSet<Key>,
}

/// What tells a rule of a snapshot from all others of it and of the other snapshot.
pub(super) fn identity(rule: &CompiledRule) -> usize {
    std::ptr::from_ref(rule).addr()
}

impl Touched {
    /// Finds what differs.
    pub(super) fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let difference = before.resources().diff(after.resources());
        let changed = difference
            .upserts
            .iter()
            .map(|entry| &entry.key)
            .chain(&difference.removals);
        let mut keys: BTreeMap<Kind, Set<&Key>> = BTreeMap::new();
        for key in changed {
            keys.entry(key.kind()).or_default().insert(key);
        }
        let none = Set::default();
        let of = |kind| keys.get(&kind).unwrap_or(&none);
        let mut touched = Self::default();
        for snapshot in [before, after] {
            touched.mark_rules(snapshot, &of);
        }
        for kind in [Kind::Split, Kind::Experiment] {
            touched.targets.extend(of(kind).iter().map(|key| (*key).clone()));
        }
        touched.mark_ports(before, after);
        touched.mark_listeners(before, after, of(Kind::Listener));
        touched
    }

    fn mark_rules<'k>(&mut self, snapshot: &Snapshot, of: &impl Fn(Kind) -> &'k Set<&'k Key>) {
        let mut own: BTreeSet<&Key> = of(Kind::Rule).iter().copied().collect();
        for route in of(Kind::Route) {
            own.extend(snapshot.rules_of(route));
        }
        for rule in own.into_iter().filter_map(|key| snapshot.rules.get(key)) {
            self.mark(snapshot, rule);
        }
        let (splits, experiments, backends) = (of(Kind::Split), of(Kind::Experiment), of(Kind::Backend));
        if splits.is_empty() && experiments.is_empty() && backends.is_empty() {
            return;
        }
        let backends: Set<Idx<BackendState>> = backends
            .iter()
            .filter_map(|key| snapshot.backends.idx(key))
            .collect();
        let is_backend = |idx: Idx<BackendState>| backends.contains(&idx);
        let mut known: HashMap<Idx<Target>, bool, FixedState> = HashMap::default();
        for rule in snapshot.rules() {
            let through = |key: &Key, idx: Idx<Target>| {
                splits.contains(key)
                    || experiments.contains(key)
                    || (!backends.is_empty()
                        && snapshot
                            .target(idx)
                            .is_some_and(|target| target.backends().any(is_backend)))
            };
            let target = rule.rule.target.as_ref().zip(rule.target);
            let is_touched =
                target.is_some_and(|(key, idx)| *known.entry(idx).or_insert_with(|| through(key, idx)));
            if is_touched {
                self.mark(snapshot, rule);
            }
        }
    }

    fn mark(&mut self, snapshot: &Snapshot, rule: &CompiledRule) {
        if !self.rules.insert(identity(rule)) {
            return;
        }
        for attachment in &rule.route.attachments {
            let Some(listener) = snapshot.table.get(&attachment.listener) else {
                continue;
            };
            for hostname in &attachment.hostnames {
                let region = self.region(listener.port, hostname);
                for one in &rule.rule.matches {
                    region.add(&one.path);
                }
            }
        }
    }

    fn region(&mut self, port: u16, hostname: &Hostname) -> &mut Region {
        let port = self.regions.entry(port).or_default();
        port.entry(hostname.clone()).or_default()
    }

    /// Ports that only one of them listens on, or that are plain on one and not on the other.
    fn mark_ports(&mut self, before: &Snapshot, after: &Snapshot) {
        let kinds = |snapshot: &Snapshot| -> BTreeMap<u16, bool> {
            let listeners = snapshot.listeners();
            listeners.map(|one| (one.port, one.tls.is_some())).collect()
        };
        let (old, new) = (kinds(before), kinds(after));
        let ports: BTreeSet<u16> = old.keys().chain(new.keys()).copied().collect();
        for port in ports.into_iter().filter(|port| old.get(port) != new.get(port)) {
            self.region(port, &Hostname::Any).everything = true;
        }
    }

    /// Listeners that come, go, or take other requests than before.
    fn mark_listeners(&mut self, before: &Snapshot, after: &Snapshot, changed: &Set<&Key>) {
        for key in changed {
            let place = |snapshot: &Snapshot| {
                let listener = snapshot.table.get(key)?;
                Some((listener.port, listener.hostname.clone()))
            };
            let (old, new) = (place(before), place(after));
            if old == new {
                continue;
            }
            for (port, hostname) in old.into_iter().chain(new) {
                self.region(port, &hostname).everything = true;
            }
        }
    }
}

impl Region {
    fn add(&mut self, path: &PathMatch) {
        match path {
            PathMatch::Exact(path) => drop(self.exact.insert(path.clone())),
            PathMatch::Prefix(prefix) if prefix.is_empty() => self.everything = true,
            PathMatch::Prefix(prefix) => drop(self.prefixes.insert(prefix.clone())),
            PathMatch::Regex(_) => self.everything = true,
        }
    }

    /// How many paths are written in it.
    pub(super) fn size(&self) -> u64 {
        (1 + self.prefixes.len() + self.exact.len()) as u64
    }

    /// Everything of these; prefixes that lie in others, and paths that do, are left out.
    pub(super) fn union<'a>(regions: impl Iterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for region in regions {
            if region.everything {
                return Self {
                    everything: true,
                    ..Self::default()
                };
            }
            all.prefixes.extend(region.prefixes.iter().cloned());
            all.exact.extend(region.exact.iter().cloned());
        }
        let within = |prefixes: &BTreeSet<Box<str>>, path: &str, itself: bool| {
            let ends = memchr::memchr_iter(b'/', path.as_bytes()).skip(1);
            ends.map(|end| &path[..end])
                .chain(itself.then_some(path))
                .any(|prefix| prefixes.contains(prefix))
        };
        let all_prefixes = all.prefixes.clone();
        all.prefixes
            .retain(|prefix| !within(&all_prefixes, prefix, false));
        all.exact.retain(|path| !within(&all_prefixes, path, true));
        all
    }
}
