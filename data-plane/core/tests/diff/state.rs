//! Small random configurations that collide everywhere, and one that differs from another in parts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sluice_core::{Difference, Entry, ResourceSet};
use sluice_proto::v1;

use crate::world::{key, wanted};

/// Port and hostname of each listener there may be.
pub(crate) const LISTENERS: [(u32, &str); 5] = [
    (80, ""),
    (80, "*.x.com"),
    (80, "a.x.com"),
    (81, ""),
    (81, "*.b.x.com"),
];
const HOSTNAMES: [&str; 5] = ["a.x.com", "*.x.com", "*.b.x.com", "", "x.com"];
/// Number of different things that rules do; see [`act`].
const ACTIONS: usize = 15;

/// What is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Of [`LISTENERS`].
    pub(crate) listeners: BTreeSet<usize>,
    /// Whether port 81 speaks TLS.
    pub(crate) is_secure: bool,
    /// Revision of creation, and hostnames by listener.
    pub(crate) routes: BTreeMap<u8, (u64, BTreeMap<usize, Vec<&'static str>>)>,
    pub(crate) rules: BTreeMap<(u8, u8), (Vec<v1::Match>, usize)>,
    /// Slots of the experiment's first variant.
    pub(crate) slots: u32,
    /// Milliseconds that connections to `web` may take.
    pub(crate) connect: u64,
}

impl State {
    pub(crate) fn resources(&self) -> ResourceSet {
        let certificate = v1::Certificate {
            chain: vec![b"der".to_vec()],
            private_key: b"der".to_vec(),
            ocsp: vec![],
        };
        let mut upserts = vec![Entry::new(key("certificate/default/web"), &certificate)];
        upserts.extend(self.listeners.iter().map(|at| self.listener(*at)));
        for name in ["web", "api"] {
            let backend = v1::Backend {
                protocol: v1::backend::Protocol::Http as i32,
                connect_timeout_ms: if name == "web" { self.connect } else { 0 },
                ..Default::default()
            };
            upserts.push(Entry::new(key(&format!("backend/default/{name}")), &backend));
        }
        upserts.push(self.experiment());
        for (route, (creation_revision, attachments)) in &self.routes {
            let there = attachments.iter().filter(|(at, _)| self.listeners.contains(at));
            let attachments = there.map(|(at, hostnames)| v1::Attachment {
                listener: listener_key(*at),
                hostnames: hostnames.iter().map(|name| (*name).into()).collect(),
            });
            let wire = v1::Route {
                creation_revision: *creation_revision,
                attachments: attachments.collect(),
            };
            upserts.push(Entry::new(key(&format!("route/default/r{route}")), &wire));
        }
        for ((route, rule), (matches, action)) in &self.rules {
            if self.routes.contains_key(route) {
                upserts.extend(rule_entries(*route, *rule, matches, *action));
            }
        }
        ResourceSet::empty().apply(&Difference {
            upserts,
            removals: vec![],
        })
    }

    fn listener(&self, at: usize) -> Entry {
        let (port, hostname) = LISTENERS[at];
        let is_secure = self.is_secure && port == 81;
        let tls = v1::ListenerTls {
            certificates: vec!["certificate/default/web".into()],
            ..Default::default()
        };
        let wire = v1::Listener {
            port,
            hostname: hostname.into(),
            protocol: if is_secure { 2 } else { 1 },
            tls: is_secure.then_some(tls),
            limits: None,
        };
        Entry::new(key(&listener_key(at)), &wire)
    }

    fn experiment(&self) -> Entry {
        let variant = |name: &str, backend: &str| v1::Variant {
            name: name.into(),
            backends: vec![weighted(backend, 1)],
        };
        let wire = v1::Experiment {
            unit: Some(v1::Unit {
                source: Some(v1::unit::Source::Cookie("sid".into())),
            }),
            salt: "salt".into(),
            variants: vec![variant("a", "web"), variant("b", "api")],
            slot_runs: vec![self.slots, 0, 10_000 - self.slots, 1],
            ..Default::default()
        };
        Entry::new(key("experiment/default/e"), &wire)
    }
}

fn listener_key(at: usize) -> String {
    format!("listener/default/edge/l{at}")
}

pub(crate) fn weighted(backend: &str, weight: u32) -> v1::WeightedBackend {
    let backend = match backend {
        "" => String::new(),
        name => format!("backend/default/{name}"),
    };
    v1::WeightedBackend {
        backend,
        weight,
        filters: None,
    }
}

fn rule_entries(route: u8, rule: u8, matches: &[v1::Match], action: usize) -> Vec<Entry> {
    let mut wire = v1::Rule {
        index: rule.into(),
        matches: matches.to_vec(),
        ..Default::default()
    };
    let backends = act(&mut wire, action);
    let mut entries = Vec::new();
    if !backends.is_empty() {
        wire.target = format!("split/default/r{route}/{rule}");
        entries.push(Entry::new(key(&wire.target), &v1::Split { backends }));
    }
    entries.push(Entry::new(key(&format!("rule/default/r{route}/{rule}")), &wire));
    entries
}

/// Makes `rule` do one of [`ACTIONS`] things; the backends of its split, if that has any.
fn act(rule: &mut v1::Rule, action: usize) -> Vec<v1::WeightedBackend> {
    use v1::path_edit::Edit;
    let edit = |edit| Some(v1::PathEdit { edit: Some(edit) });
    let prefix = |text: &str| edit(Edit::Prefix(text.into()));
    let full = |text: &str| edit(Edit::Full(text.into()));
    let redirect = |hostname: &str, path, status| {
        Some(v1::Redirect {
            hostname: hostname.into(),
            path,
            status,
            ..Default::default()
        })
    };
    let rewrite = |path| {
        Some(v1::Rewrite {
            path,
            ..Default::default()
        })
    };
    let web = || vec![weighted("web", 1)];
    match action {
        0 => vec![],
        1 => vec![weighted("web", 1), weighted("api", 1)],
        2 => vec![weighted("web", 3), weighted("api", 1)],
        3 => vec![weighted("api", 2), weighted("web", 1), weighted("web", 1)],
        4 => vec![weighted("web", 1), weighted("", 1)],
        5 => vec![weighted("web", 0)],
        6 => {
            rule.target = "experiment/default/e".into();
            vec![]
        }
        7..=9 => {
            rule.redirect = match action {
                7 => redirect("b.x.com", None, 302),
                8 => redirect("", prefix("/b"), 301),
                _ => redirect("", full("/a"), 301),
            };
            vec![]
        }
        10..=12 => {
            rule.rewrite = match action {
                10 => rewrite(prefix("/b")),
                11 => rewrite(prefix("/")),
                _ => rewrite(full("/a/b")),
            };
            web()
        }
        13 => {
            let header = v1::Header {
                name: "x-by".into(),
                value: "rule".into(),
            };
            rule.request_headers = Some(v1::HeaderEdit {
                set: vec![header],
                ..Default::default()
            });
            web()
        }
        _ => web(),
    }
}

fn one_match() -> impl Strategy<Value = v1::Match> {
    use v1::path_match::Kind;
    let path = prop_oneof![
        3 => "(/(a|b)){0,2}/?".prop_map(|path| (Kind::Prefix, if path.is_empty() { "/".into() } else { path })),
        2 => "(/(a|b|)){1,2}".prop_map(|path| (Kind::Exact, path)),
        1 => prop::sample::select(&["/a.*", "/(a|b)/?", "/.*b", "/a/[^/]+", "/b|/a/a"])
            .prop_map(|path| (Kind::Regex, path.into())),
    ];
    let value = |names: &'static [&'static str]| {
        let value = prop::sample::select(&[
            ("1", false),
            ("2", false),
            ("[12]", true),
            (".*", true),
            ("1+|z", true),
        ]);
        (prop::sample::select(names), value).prop_map(|(name, (value, regex))| v1::ValueMatch {
            name: name.into(),
            value: value.into(),
            regex,
        })
    };
    let rarely = |strategy| prop::option::weighted(0.3, strategy);
    (
        prop::option::weighted(0.8, path),
        prop::sample::select(&["", "", "GET", "POST"]),
        rarely(value(&["x-a", "x-a", "x-b"])),
        rarely(value(&["q"])),
    )
        .prop_map(|(path, method, header, query)| wanted(path, method, header, query))
}

pub(crate) fn state() -> impl Strategy<Value = State> {
    let hostnames = prop::sample::subsequence(HOSTNAMES.to_vec(), 1..3);
    let attachments = prop::collection::btree_map(0..LISTENERS.len(), hostnames, 1..4);
    let rule = (prop::collection::vec(one_match(), 0..3), 0..ACTIONS);
    (
        prop::collection::btree_set(0..LISTENERS.len(), 1..5),
        any::<bool>(),
        prop::collection::btree_map(0..4u8, (1..4u64, attachments), 1..4),
        prop::collection::btree_map((0..4u8, 0..3u8), rule, 1..8),
        prop::sample::select(&[5_000, 2_500, 10_000]),
        prop::sample::select(&[1_000, 1_000, 2_000]),
    )
        .prop_map(|(listeners, is_secure, routes, rules, slots, connect)| State {
            listeners,
            is_secure,
            routes,
            rules,
            slots,
            connect,
        })
}

/// Mostly the second, and here and there the first.
fn merge<K: Ord + Clone, V: Clone>(
    from: &BTreeMap<K, V>,
    into: &BTreeMap<K, V>,
    picks: &mut impl Iterator<Item = bool>,
) -> BTreeMap<K, V> {
    let keys: BTreeSet<&K> = from.keys().chain(into.keys()).collect();
    let pick = |key: &K| match picks.next().unwrap_or(false) {
        true => from.get(key),
        false => into.get(key),
    };
    let mut pick = pick;
    keys.into_iter()
        .filter_map(|key| Some((key.clone(), pick(key)?.clone())))
        .collect()
}

/// A state, and one that a change of some of its parts leads to.
pub(crate) fn change() -> impl Strategy<Value = (State, State)> {
    let picks = prop::collection::vec(prop::bool::weighted(0.25), 40);
    (state(), state(), picks).prop_map(|(before, other, picks)| {
        let mut picks = picks.into_iter();
        let mut pick = |yes: bool| picks.next().unwrap_or(false) && yes;
        let mut after = before.clone();
        if pick(true) {
            after.listeners.clone_from(&other.listeners);
        }
        if pick(true) {
            after.is_secure = other.is_secure;
        }
        if pick(true) {
            after.slots = other.slots;
        }
        if pick(true) {
            after.connect = other.connect;
        }
        after.routes = merge(&other.routes, &before.routes, &mut picks);
        after.rules = merge(&other.rules, &before.rules, &mut picks);
        (before, after)
    })
}
