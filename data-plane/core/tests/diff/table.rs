//! Tables by hand, of routes with one rule each.

use sluice_core::{Difference, Entry, ResourceSet, Snapshot};
use sluice_proto::v1;

use crate::{
    state::weighted,
    world::{full, key},
};

pub(crate) const LISTENER: &str = "listener/default/edge/http";

/// Resources by hand.
#[derive(Default)]
pub(crate) struct Table(Vec<Entry>);

pub(crate) fn listener(port: u32, hostname: &str) -> v1::Listener {
    v1::Listener {
        port,
        hostname: hostname.into(),
        protocol: v1::listener::Protocol::Http as i32,
        ..Default::default()
    }
}

pub(crate) fn prefix(path: &str) -> v1::Match {
    let path = v1::PathMatch {
        kind: v1::path_match::Kind::Prefix.into(),
        value: path.into(),
    };
    v1::Match {
        path: Some(path),
        ..Default::default()
    }
}

/// A rule for the paths that match, which does nothing.
pub(crate) fn expression(pattern: &str) -> v1::Rule {
    let path = v1::PathMatch {
        kind: v1::path_match::Kind::Regex.into(),
        value: pattern.into(),
    };
    v1::Rule {
        matches: vec![v1::Match {
            path: Some(path),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub(crate) fn redirect(hostname: &str) -> v1::Rule {
    v1::Rule {
        redirect: Some(v1::Redirect {
            hostname: hostname.into(),
            status: 302,
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl Table {
    pub(crate) fn new() -> Self {
        let mut table = Self::default().put(LISTENER, &listener(80, ""));
        for name in ["web", "api"] {
            let backend = v1::Backend {
                protocol: v1::backend::Protocol::Http as i32,
                ..Default::default()
            };
            table = table.put(&format!("backend/default/{name}"), &backend);
        }
        table
    }

    pub(crate) fn put(mut self, name: &str, message: &impl prost::Message) -> Self {
        self.0.retain(|entry| entry.key != key(name));
        self.0.push(Entry::new(key(name), message));
        self
    }

    /// A route of one rule on `hostname`.
    pub(crate) fn route(self, name: &str, hostname: &str, rule: &v1::Rule) -> Self {
        self.aged(1, &format!("default/{name}"), hostname, rule)
    }

    /// A route `NAMESPACE/NAME` of one rule, created at revision `age`.
    pub(crate) fn aged(self, age: u64, name: &str, hostname: &str, rule: &v1::Rule) -> Self {
        let route = v1::Route {
            creation_revision: age,
            attachments: vec![v1::Attachment {
                listener: LISTENER.into(),
                hostnames: vec![hostname.into()],
            }],
        };
        self.put(&format!("route/{name}"), &route)
            .put(&format!("rule/{name}/main"), rule)
    }

    /// The same, with a split.
    pub(crate) fn split(self, name: &str, hostname: &str, rule: v1::Rule, weights: &[(&str, u32)]) -> Self {
        let target = format!("split/default/{name}/main");
        let backends = weights.iter().map(|(backend, weight)| weighted(backend, *weight));
        let split = v1::Split {
            backends: backends.collect(),
        };
        let rule = v1::Rule {
            target: target.clone(),
            ..rule
        };
        self.put(&target, &split).route(name, hostname, &rule)
    }

    pub(crate) fn open(self) -> Snapshot {
        full(
            &ResourceSet::empty().apply(&Difference {
                upserts: self.0,
                removals: vec![],
            }),
            1,
        )
    }
}

pub(crate) fn on(path: &str) -> v1::Rule {
    v1::Rule {
        matches: vec![prefix(path)],
        ..Default::default()
    }
}
