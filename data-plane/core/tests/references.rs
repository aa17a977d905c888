//! References between resources, against a look at all of them: certificates, trusts, mirrors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sluice_core::{Difference, Entry, ResourceSet, Snapshot, Update};
use sluice_model::Code;
use sluice_proto::v1;
use world::{HISTORY, full, key, position};

/// Things that may be there, and who refers to which of them.
#[derive(Clone, Debug, Default)]
struct Graph {
    present: BTreeSet<&'static str>,
    /// By port: certificate, and trust of its clients.
    listeners: BTreeMap<u8, (&'static str, Option<&'static str>)>,
    /// By name: trusts, client certificate.
    backends: BTreeMap<&'static str, (Vec<&'static str>, Option<&'static str>)>,
    /// By rule: its mirrors, and those of the backend it sends to.
    rules: BTreeMap<u8, (Vec<&'static str>, Vec<&'static str>)>,
}

const CERTIFICATES: [&str; 2] = ["certificate/default/a", "certificate/default/b"];
const TRUSTS: [&str; 2] = ["trust/default/a", "trust/default/b"];
const BACKENDS: [&str; 2] = ["backend/default/a", "backend/default/b"];

impl Graph {
    fn resources(&self) -> ResourceSet {
        let credentials = self.present.iter().map(|name| match name.starts_with("trust") {
            true => Entry::new(
                key(name),
                &v1::Trust {
                    roots: vec![vec![1]],
                    crls: vec![],
                },
            ),
            false => {
                let (chain, private_key) = (vec![vec![1]], vec![1]);
                Entry::new(
                    key(name),
                    &v1::Certificate {
                        chain,
                        private_key,
                        ocsp: vec![],
                    },
                )
            }
        });
        let listeners = self.listeners.iter().map(|(port, (certificate, trust))| {
            let client = trust.map(|trust| v1::ClientValidation {
                trust: vec![trust.into()],
                ..Default::default()
            });
            let tls = v1::ListenerTls {
                certificates: vec![(*certificate).into()],
                client,
                min_version: 0,
            };
            let wire = v1::Listener {
                port: u32::from(*port) + 1,
                protocol: v1::listener::Protocol::Https.into(),
                tls: Some(tls),
                ..Default::default()
            };
            Entry::new(key(&format!("listener/default/edge/{port}")), &wire)
        });
        let backends = self.backends.iter().map(|(name, (trust, client))| {
            let tls = v1::BackendTls {
                sni: "a.x.com".into(),
                trust: trust.iter().map(|one| (*one).into()).collect(),
                client_certificate: client.unwrap_or_default().into(),
                ..Default::default()
            };
            let wire = v1::Backend {
                protocol: v1::backend::Protocol::Http.into(),
                tls: Some(tls),
                ..Default::default()
            };
            Entry::new(key(name), &wire)
        });
        let mut upserts: Vec<_> = credentials.chain(listeners).chain(backends).collect();
        upserts.push(Entry::new(key("route/default/r"), &v1::Route::default()));
        for (rule, (of_rule, of_backend)) in &self.rules {
            upserts.extend(rule_entries(*rule, of_rule, of_backend));
        }
        ResourceSet::empty().apply(&Difference {
            upserts,
            removals: vec![],
        })
    }

    /// Whatever is referred to and not there.
    fn missing(&self) -> BTreeSet<String> {
        let of_listeners = self
            .listeners
            .values()
            .flat_map(|(one, trust)| [Some(*one), *trust]);
        let of_backends = self
            .backends
            .values()
            .flat_map(|(trust, client)| trust.iter().copied().map(Some).chain([*client]));
        let mirrors = self
            .rules
            .values()
            .flat_map(|(rule, backend)| rule.iter().chain(backend));
        let all = of_listeners
            .chain(of_backends)
            .chain(mirrors.map(|one| Some(*one)));
        all.flatten()
            .filter(|name| !self.present.contains(name) && !self.backends.contains_key(name))
            .map(Into::into)
            .collect()
    }
}

fn rule_entries(rule: u8, of_rule: &[&str], of_backend: &[&str]) -> [Entry; 2] {
    let mirror = |backend: &&str| v1::Mirror {
        backend: (*backend).into(),
        numerator: 1,
        denominator: 2,
    };
    let filters = v1::BackendFilters {
        mirrors: of_backend.iter().map(mirror).collect(),
        ..Default::default()
    };
    let split = v1::Split {
        backends: vec![v1::WeightedBackend {
            backend: String::new(),
            weight: 1,
            filters: Some(filters),
        }],
    };
    let target = format!("split/default/r/{rule}");
    let wire = v1::Rule {
        target: target.clone(),
        mirrors: of_rule.iter().map(mirror).collect(),
        ..Default::default()
    };
    [
        Entry::new(key(&target), &split),
        Entry::new(key(&format!("rule/default/r/{rule}")), &wire),
    ]
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(of), 0..3)
}

fn graph() -> impl Strategy<Value = Graph> {
    let certificate = || prop::sample::select(&CERTIFICATES);
    let trust = || prop::option::of(prop::sample::select(&TRUSTS));
    let credentials = prop::sample::subsequence([CERTIFICATES, TRUSTS].concat(), 2..=4);
    let backend = (some(&TRUSTS), prop::option::of(certificate()));
    (
        credentials,
        prop::collection::btree_map(0..3u8, (certificate(), trust()), 0..2),
        prop::collection::btree_map(prop::sample::select(&BACKENDS), backend, 0..3),
        prop::collection::btree_map(0..3u8, (some(&BACKENDS), some(&BACKENDS)), 0..2),
    )
        .prop_map(|(present, listeners, backends, rules)| Graph {
            present: present.into_iter().collect(),
            listeners,
            backends,
            rules,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_step_is_refused_for_exactly_what_is_missing_after_it(graphs in prop::collection::vec(graph(), 1..8)) {
        let mut held = full(&ResourceSet::empty(), 1);
        for (revision, graph) in (2..).zip(graphs) {
            let resources = graph.resources();
            let target = (position(revision, &resources), &resources);
            let update = Update::between(HISTORY, (held.position(), held.resources()), target);
            match held.apply(&update) {
                Ok(next) => {
                    prop_assert_eq!(graph.missing(), BTreeSet::new());
                    let there = next.certificates().map(|one| &one.key).chain(next.trusts().map(|one| &one.key));
                    let there: BTreeSet<&str> = there.map(|key| key.as_str()).collect();
                    prop_assert_eq!(there, graph.present);
                    held = next;
                }
                Err(violations) => {
                    prop_assert!(violations.iter().all(|one| one.code == Code::Dangling));
                    let told = violations.into_iter().map(|one| one.resource).collect();
                    prop_assert_eq!(graph.missing(), told);
                }
            }
        }
    }
}

#[test]
fn tickets_change_without_a_revision() {
    let keys = |byte: u8| {
        let wire = v1::Tickets {
            keys: vec![vec![byte; 32]],
        };
        ResourceSet::empty().apply(&Difference {
            upserts: vec![Entry::new(key("tickets/default/fleet"), &wire)],
            removals: vec![],
        })
    };
    let first = |snapshot: &Snapshot| *snapshot.tickets().next().unwrap().keys[0].expose();
    let before = full(&keys(1), 1);
    let rotated = keys(2);
    let target = (position(1, &rotated), &rotated);
    let update = Update::between(HISTORY, (before.position(), before.resources()), target);
    let after = before.apply(&update).unwrap();
    assert_eq!((first(&before), first(&after)), ([1; 32], [2; 32]));
    assert_eq!(before.position().config, after.position().config);
}
