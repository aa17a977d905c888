//! What the control plane counts, in the text format of OpenMetrics.

use std::sync::Arc;

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::discovery::SourceCollector;
use crate::fleet::{Fleet, FleetCollector};
use crate::live::Live;
use crate::measures::MeasuresCollector;
use crate::trust::{Trust, TrustCollector};

/// Requests are counted here; the fleet and the sources tell of themselves at each scrape.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
}

/// A request, by the operation and not by its path, so that labels stay few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    path: &'static str,
    status: u16,
}

impl Metrics {
    pub(super) fn new(fleet: Arc<Fleet>, live: &Live, trust: Trust) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(FleetCollector::new(fleet, live.watch())));
        registry.register_collector(Box::new(SourceCollector::new(live.sources().clone())));
        registry.register_collector(Box::new(MeasuresCollector::new(live.measures().clone())));
        registry.register_collector(Box::new(TrustCollector::new(trust)));
        let requests = Family::default();
        let help = "REST requests by operation and status";
        registry.register("sluice_control_requests", help, requests.clone());
        Self { registry, requests }
    }

    /// Counts a request.
    pub(super) fn answered(&self, method: &'static str, path: &'static str, status: StatusCode) {
        let request = Request {
            method,
            path,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&request).inc();
    }

    /// Everything as text.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
