//! Small random worlds: few names, so that everything collides.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "test code; each test file uses its own part"
)]

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use sluice_core::{Difference, Entry, RequestView, ResourceSet, Snapshot, Update};
use sluice_model::{Class, HistoryId, Key, Position, Revision};
use sluice_proto::v1;

pub const HISTORY: HistoryId = HistoryId([7; 16]);
pub const LISTENERS: [(&str, u32, &str); 4] = [
    ("listener/default/edge/any", 80, ""),
    ("listener/default/edge/wild", 80, "*.x.com"),
    ("listener/default/edge/shop", 80, "a.x.com"),
    ("listener/default/edge/alt", 81, ""),
];

/// What may be in a world: listeners and backends always, routes and rules by chance.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub routes: BTreeMap<u8, (u64, Vec<(usize, Vec<&'static str>)>)>,
    pub rules: BTreeMap<(u8, u8), v1::Rule>,
    pub weights: BTreeMap<u8, u32>,
}

pub fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

impl World {
    pub fn resources(&self) -> ResourceSet {
        let mut upserts = Vec::new();
        for (name, port, hostname) in LISTENERS {
            let protocol = v1::listener::Protocol::Http as i32;
            let listener = v1::Listener {
                port,
                hostname: hostname.into(),
                protocol,
                ..Default::default()
            };
            upserts.push(Entry::new(key(name), &listener));
        }
        let backend = v1::Backend {
            protocol: v1::backend::Protocol::Http as i32,
            ..Default::default()
        };
        upserts.push(Entry::new(key("backend/default/web"), &backend));
        for (route, (creation_revision, attachments)) in &self.routes {
            let attachments = attachments.iter().map(|(listener, hostnames)| v1::Attachment {
                listener: LISTENERS[*listener].0.into(),
                hostnames: hostnames.iter().map(|name| (*name).into()).collect(),
            });
            let wire = v1::Route {
                creation_revision: *creation_revision,
                attachments: attachments.collect(),
            };
            upserts.push(Entry::new(key(&format!("route/default/r{route}")), &wire));
        }
        for ((route, rule), wire) in self
            .rules
            .iter()
            .filter(|((route, _), _)| self.routes.contains_key(route))
        {
            let mut wire = wire.clone();
            wire.index = u32::from(*rule);
            let target = format!("split/default/r{route}/{rule}");
            let weight = self.weights.get(rule).copied().unwrap_or(1);
            let backends = vec![v1::WeightedBackend {
                backend: "backend/default/web".into(),
                weight,
                filters: None,
            }];
            upserts.push(Entry::new(key(&target), &v1::Split { backends }));
            wire.target = target;
            upserts.push(Entry::new(key(&format!("rule/default/r{route}/{rule}")), &wire));
        }
        ResourceSet::empty().apply(&Difference {
            upserts,
            removals: vec![],
        })
    }
}

pub fn position(revision: u64, resources: &ResourceSet) -> Position {
    Position {
        revision: Revision(revision),
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    }
}

/// Built in one step from nothing.
pub fn full(resources: &ResourceSet, revision: u64) -> Snapshot {
    let update = Update::full(HISTORY, position(revision, resources), resources);
    Snapshot::empty(HISTORY).apply(&update).unwrap()
}

/// Built in one step from `base`.
pub fn step(base: &Snapshot, resources: &ResourceSet, revision: u64) -> Snapshot {
    let target = (position(revision, resources), resources);
    let update = Update::between(HISTORY, (base.position(), base.resources()), target);
    // Over the wire and back, as it happens.
    base.apply(&Update::from_wire(update.to_wire()).unwrap()).unwrap()
}

/// A request as a test writes it down.
#[derive(Clone, Debug)]
pub struct Request {
    pub port: u16,
    pub method: Method,
    pub host: &'static str,
    pub path: String,
    pub query: Option<&'static str>,
    pub headers: HeaderMap,
}

impl Request {
    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            host: self.host,
            path: &self.path,
            query: self.query,
            headers: &self.headers,
        }
    }
}

pub fn request() -> impl Strategy<Value = Request> {
    let headers = prop::collection::vec((prop::sample::select(&["x-a", "x-b"]), "[01]"), 0..3);
    (
        prop::sample::select(&[80u16, 81, 82]),
        prop::sample::select(&[Method::GET, Method::POST, Method::HEAD]),
        prop::sample::select(&["a.x.com", "b.x.com", "c.b.x.com", "x.com", "other.org", ""]),
        "(/(a|b|)){1,4}",
        prop::sample::select(&[None, Some("q=1"), Some("q=0&q=1"), Some("p=1&q=1")]),
        headers,
    )
        .prop_map(|(port, method, host, path, query, pairs)| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(
                    HeaderName::from_static(name),
                    HeaderValue::from_str(&value).unwrap(),
                );
            }
            Request {
                port,
                method,
                host,
                path,
                query,
                headers,
            }
        })
}

/// A match that asks for these, each only if it is there; an empty method is any.
pub fn wanted(
    path: Option<(v1::path_match::Kind, String)>,
    method: &str,
    header: Option<v1::ValueMatch>,
    query: Option<v1::ValueMatch>,
) -> v1::Match {
    v1::Match {
        path: path.map(|(kind, value)| v1::PathMatch {
            kind: kind.into(),
            value,
        }),
        method: method.into(),
        headers: header.into_iter().collect(),
        query: query.into_iter().collect(),
    }
}

fn one_match() -> impl Strategy<Value = v1::Match> {
    use v1::path_match::Kind;
    let path = prop_oneof![
        3 => "(/(a|b)){0,3}/?".prop_map(|path| (Kind::Prefix, if path.is_empty() { "/".into() } else { path })),
        2 => "(/(a|b|)){1,3}".prop_map(|path| (Kind::Exact, path)),
        1 => prop::sample::select(&["/a.*", "/(a|b)/?", "/.*b"]).prop_map(|path| (Kind::Regex, path.into())),
    ];
    let value = |names: &'static [&'static str]| {
        (prop::sample::select(names), "[01]", any::<bool>()).prop_map(|(name, value, regex)| v1::ValueMatch {
            name: name.into(),
            value: if regex { format!("[{value}5]") } else { value },
            regex,
        })
    };
    let method = prop::sample::select(&["", "", "GET", "POST"]);
    let headers = prop::option::of(value(&["x-a", "x-b"]));
    (
        prop::option::of(path),
        method,
        headers,
        prop::option::of(value(&["q", "p"])),
    )
        .prop_map(|(path, method, header, query)| wanted(path, method, header, query))
}

pub fn world() -> impl Strategy<Value = World> {
    let hostnames = prop::sample::subsequence(vec!["a.x.com", "*.x.com", "*.b.x.com", "", "x.com"], 1..3);
    let attachments = prop::collection::btree_map(0..LISTENERS.len(), hostnames, 0..3);
    let route = (1..4u64, attachments).prop_map(|(age, map)| (age, map.into_iter().collect()));
    let rule = prop::collection::vec(one_match(), 0..3).prop_map(|matches| v1::Rule {
        matches,
        ..Default::default()
    });
    (
        prop::collection::btree_map(0..5u8, route, 0..5),
        prop::collection::btree_map((0..5u8, 0..4u8), rule, 0..16),
        prop::collection::btree_map(0..4u8, 0..3u32, 0..3),
    )
        .prop_map(|(routes, rules, weights)| World {
            routes,
            rules,
            weights,
        })
}
