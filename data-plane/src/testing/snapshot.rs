//! Small snapshots, built the way real ones are.

use sluice_core::{Entry, ResourceSet, Snapshot, Update};
use sluice_model::{Class, Key, Position, Revision};
use sluice_proto::v1;

/// One listener on port 80, one route for every path, one backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Site {
    pub(crate) rule: v1::Rule,
    pub(crate) backend: v1::Backend,
    pub(crate) experiment: Option<v1::Experiment>,
    pub(crate) endpoints: Vec<v1::Endpoint>,
    /// The port that the listener names.
    pub(crate) port: u32,
    /// What clients may do there.
    pub(crate) limits: v1::Limits,
    /// The host that the listener takes; every one, when empty.
    pub(crate) hostname: String,
    /// How the listener ends TLS.
    pub(crate) tls: Option<v1::ListenerTls>,
    /// What the one backend's requests alone get.
    pub(crate) filters: Option<v1::BackendFilters>,
    /// What else there is.
    pub(crate) more: Vec<Entry>,
}

impl Site {
    /// A site whose backend has these endpoints.
    pub(crate) fn to(endpoints: &[&str]) -> Self {
        let endpoint = |address: &&str| {
            let address: std::net::SocketAddr = address.parse().unwrap();
            v1::Endpoint {
                address: address.ip().to_string(),
                port: address.port().into(),
                weight: 1,
            }
        };
        Self {
            backend: v1::Backend {
                protocol: v1::backend::Protocol::Http.into(),
                ..v1::Backend::default()
            },
            endpoints: endpoints.iter().map(endpoint).collect(),
            port: 80,
            ..Self::default()
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let key = |text: &str| Key::parse(text).unwrap();
        let backends = vec![v1::WeightedBackend {
            backend: "backend/default/web".into(),
            weight: 1,
            filters: self.filters.clone(),
        }];
        let mut rule = self.rule.clone();
        rule.target = "split/default/shop/0".into();
        let mut entries = Vec::new();
        if let Some(experiment) = &self.experiment {
            rule.target = "experiment/default/shop".into();
            let mut experiment = experiment.clone();
            for variant in &mut experiment.variants {
                variant.backends.clone_from(&backends);
            }
            entries.push(Entry::new(key("experiment/default/shop"), &experiment));
        }
        let listener = v1::Listener {
            port: self.port,
            hostname: self.hostname.clone(),
            protocol: match self.tls {
                Some(_) => v1::listener::Protocol::Https.into(),
                None => v1::listener::Protocol::Http.into(),
            },
            tls: self.tls.clone(),
            limits: Some(self.limits),
        };
        let attachment = v1::Attachment {
            listener: "listener/default/edge/http".into(),
            hostnames: vec![self.hostname.clone()],
        };
        let route = v1::Route {
            creation_revision: 1,
            attachments: vec![attachment],
        };
        let endpoints = v1::Endpoints {
            endpoints: self.endpoints.clone(),
        };
        entries.extend([
            Entry::new(key("listener/default/edge/http"), &listener),
            Entry::new(key("backend/default/web"), &self.backend),
            Entry::new(key("endpoints/default/web"), &endpoints),
            Entry::new(key("split/default/shop/0"), &v1::Split { backends }),
            Entry::new(key("route/default/shop"), &route),
            Entry::new(key("rule/default/shop/0"), &rule),
        ]);
        entries.extend(self.more.iter().cloned());
        entries
    }
}

/// The update that leads from `base` to `site`, one revision on.
pub(crate) fn update(base: &Snapshot, site: &Site) -> Update {
    let difference = sluice_core::Difference {
        upserts: site.entries(),
        removals: vec![],
    };
    let resources = ResourceSet::empty().apply(&difference);
    let target = Position {
        revision: Revision(base.position().revision.0 + 1),
        config: resources.digest(Class::Config),
        runtime: resources.digest(Class::Runtime),
    };
    Update::full(base.history(), target, &resources)
}

/// The snapshot of `site`, as it follows `base`.
pub(crate) fn apply(base: &Snapshot, site: &Site) -> Snapshot {
    base.apply(&update(base, site)).unwrap()
}
