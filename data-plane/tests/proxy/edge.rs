//! A running proxy with a control plane that has sent it one site.

use std::{net::SocketAddr, time::Duration};

use sluice_core::Snapshot;
use sluice_model::HistoryId;
use sluice_proto::v1;
use sluice_proxy::{Config, Proxy};

use crate::{
    client::{Answer, Client},
    control::Control,
    snapshot::{Site, apply, update},
};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const HISTORY: HistoryId = HistoryId([5; 16]);

/// A proxy under test.
pub(crate) struct Edge {
    pub(crate) control: Control,
    pub(crate) proxy: Proxy,
    /// What the control plane has sent last.
    pub(crate) snapshot: Snapshot,
    /// Where the listener on port 80 is bound.
    pub(crate) address: SocketAddr,
}

/// Settings of a proxy that knows `control` and binds any free port.
pub(crate) fn config(control: &Control) -> Config {
    let mapped = ["80=0", "81=0"].map(|text| text.parse().unwrap());
    Config {
        control: vec![control.address.to_string()],
        port_map: mapped.into_iter().collect(),
        ..Config::new("edge-1")
    }
}

impl Edge {
    pub(crate) async fn start(site: &Site) -> Self {
        Self::start_with(site, |_| {}).await
    }

    /// Starts a proxy whose settings `change` has changed.
    pub(crate) async fn start_with(site: &Site, change: impl FnOnce(&mut Config)) -> Self {
        let mut control = Control::start().await;
        let mut config = config(&control);
        change(&mut config);
        let proxy = Proxy::start(config).unwrap();
        control.hello().await;
        let mut edge = Self {
            control,
            proxy,
            snapshot: Snapshot::empty(HISTORY),
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let ack = edge.apply(site).await;
        edge.address = ack.listeners[0].address.parse().unwrap();
        edge
    }

    /// Sends `site` and waits until it is live.
    pub(crate) async fn apply(&mut self, site: &Site) -> v1::Ack {
        self.send(site).await;
        self.control.ack().await
    }

    pub(crate) async fn send(&mut self, site: &Site) {
        let update = update(&self.snapshot, site);
        self.snapshot = apply(&self.snapshot, site);
        self.control.send(&update).await;
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// The answer to a GET of `path` on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// What the admin endpoint says.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        Client::connect(self.proxy.admin()).await.get(path).await
    }

    /// The metrics, once they have `line`.
    pub(crate) async fn metrics_with(&self, line: &str) -> String {
        let line = format!("\n{line}\n");
        let start = tokio::time::Instant::now();
        loop {
            let metrics = self.admin("/metrics").await.body;
            if metrics.contains(&line) {
                return metrics;
            }
            assert!(start.elapsed() < PATIENCE, "{line}{metrics}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn config(&self) -> serde_json::Value {
        serde_json::from_str(&self.admin("/config").await.body).unwrap()
    }
}
