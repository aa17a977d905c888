//! A shop of many routes: each an HTTPRoute with one prefix, on one hostname.

use bytes::Bytes;
use http::{HeaderMap, Method};
use prost::Message;
use sluice_core::{Entry, Matched, RequestView, ResourceSet, Snapshot, Update};
use sluice_model::{Class, HistoryId, Key, Position, Revision};
use sluice_proto::v1;

pub(crate) const HISTORY: HistoryId = HistoryId([7; 16]);
pub(crate) const PORT: u16 = 80;
/// Of all routes.
pub(crate) const HOST: &str = "shop.example.com";

/// Who the routes send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backends {
    /// All to one, with one endpoint.
    Shared,
    /// Each to its own, with an endpoint each.
    Own,
}

/// Resources to be, and changes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shop {
    pub(crate) routes: usize,
    pub(crate) backends: Backends,
    /// Weight of the last route's backend.
    pub(crate) weight: u32,
    /// Path of the last route, if it is not that of its number.
    pub(crate) moved: Option<&'static str>,
}

impl Shop {
    pub(crate) fn new(routes: usize, backends: Backends) -> Self {
        Self {
            routes,
            backends,
            weight: 1,
            moved: None,
        }
    }

    /// All of it, as a set.
    pub(crate) fn resources(&self) -> ResourceSet {
        let mut upserts = vec![entry("listener/default/edge/http", &listener())];
        let backends = match self.backends {
            Backends::Shared => 1,
            Backends::Own => self.routes,
        };
        for at in 0..backends {
            upserts.push(entry(&format!("backend/default/web-{at}"), &backend()));
            upserts.push(entry(&format!("endpoints/default/web-{at}"), &endpoints(at)));
        }
        (0..self.routes).for_each(|at| upserts.extend(self.route(at)));
        ResourceSet::empty().apply(&sluice_core::Difference {
            upserts,
            removals: vec![],
        })
    }

    fn route(&self, at: usize) -> [Entry; 3] {
        let last = at + 1 == self.routes;
        let target = format!("split/default/service-{at}/main");
        let backend = match self.backends {
            Backends::Shared => "backend/default/web-0".into(),
            Backends::Own => format!("backend/default/web-{at}"),
        };
        let weight = if last { self.weight } else { 1 };
        let split = v1::Split {
            backends: vec![v1::WeightedBackend {
                backend,
                weight,
                filters: None,
            }],
        };
        let path = self.moved.filter(|_| last).map_or_else(|| prefix(at), Into::into);
        let path = v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: path,
        };
        let rule = v1::Rule {
            matches: vec![v1::Match {
                path: Some(path),
                ..Default::default()
            }],
            target: target.clone(),
            ..Default::default()
        };
        [
            entry(&format!("route/default/service-{at}"), &route()),
            entry(&target, &split),
            entry(&format!("rule/default/service-{at}/main"), &rule),
        ]
    }

    /// The snapshot of it, built at once from what came over the wire.
    pub(crate) fn open(&self) -> Snapshot {
        receive(&Snapshot::empty(HISTORY), self.full())
    }

    /// All of it, as it travels to a proxy that holds nothing.
    pub(crate) fn full(&self) -> Bytes {
        let resources = self.resources();
        Update::full(HISTORY, position(1, &resources), &resources)
            .to_wire()
            .encode_to_vec()
            .into()
    }

    /// The step here from what `snapshot` holds, as it travels.
    pub(crate) fn step_from(&self, snapshot: &Snapshot) -> Bytes {
        let resources = self.resources();
        let target = (
            position(snapshot.position().revision.0 + 1, &resources),
            &resources,
        );
        let update = Update::between(HISTORY, (snapshot.position(), snapshot.resources()), target);
        update.to_wire().encode_to_vec().into()
    }
}

/// What a proxy does with an update: decode, verify, build.
pub(crate) fn receive(snapshot: &Snapshot, wire: Bytes) -> Snapshot {
    let update = Update::from_wire(v1::Update::decode(wire).unwrap()).unwrap();
    snapshot.apply(&update).unwrap()
}

/// The route of a GET below the prefix at `at`; `no_headers` is a parameter since making one may cost.
pub(crate) fn visit<'a>(snapshot: &'a Snapshot, path: &str, no_headers: &HeaderMap) -> Option<Matched<'a>> {
    let request = RequestView {
        method: &Method::GET,
        host: HOST,
        path,
        query: None,
        headers: no_headers,
    };
    snapshot.route(PORT, &request)
}

/// The prefix of the route at `at`.
pub(crate) fn prefix(at: usize) -> String {
    format!("/api/service-{at}")
}

fn position(revision: u64, resources: &ResourceSet) -> Position {
    Position {
        revision: Revision(revision),
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    }
}

fn entry(key: &str, message: &impl Message) -> Entry {
    Entry::new(Key::parse(key).unwrap(), message)
}

fn listener() -> v1::Listener {
    let protocol = v1::listener::Protocol::Http.into();
    v1::Listener {
        port: PORT.into(),
        hostname: String::new(),
        protocol,
        ..Default::default()
    }
}

fn backend() -> v1::Backend {
    v1::Backend {
        protocol: v1::backend::Protocol::Http.into(),
        ..Default::default()
    }
}

fn endpoints(at: usize) -> v1::Endpoints {
    let address = format!("10.0.{}.{}", at / 256 % 256, at % 256);
    v1::Endpoints {
        endpoints: vec![v1::Endpoint {
            address,
            port: 8080,
            weight: 1,
        }],
    }
}

fn route() -> v1::Route {
    let listener = "listener/default/edge/http".into();
    v1::Route {
        creation_revision: 1,
        attachments: vec![v1::Attachment {
            listener,
            hostnames: vec![HOST.into()],
        }],
    }
}
