//! Sluice as it is run for real: a control plane on SQLite, proxies that subscribe to it, and
//! routes that come over REST.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::options::Options;
use super::table::{HOST, RouteIndex, Table};
use super::upstream::{Upstream, Upstreams};
use crate::rest::{Receipt, Rest};
use crate::servers::{self, ControlPlane, DataPlane};

/// The bootstrap token of the private control plane.
pub(super) const TOKEN: &str = "bench-0123456789abcdef0123456789abcdef";

/// Key of the one listener.
const LISTENER: &str = "listener/default/edge/http";

/// Resources per `apply`; bounds the body of one request.
const BATCH: usize = 1_000;

/// Longest time in which a whole table has to be live.
const LIVE: Duration = Duration::from_secs(30);

/// A control plane with a table, and the proxy that serves it.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) control: ControlPlane,
    pub(super) table: Table,
    pub(super) edge: Edge,
}

/// A proxy, and where it takes traffic.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) proxy: DataPlane,
    pub(super) address: SocketAddr,
}

impl Site {
    /// Applies `table` to a new control plane, then starts a proxy that takes it over whole.
    pub(super) async fn start(
        options: &Options,
        table: Table,
        upstreams: &Upstreams,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let command = servers::command("sluice-control", Some(options.load_core))?;
        let database = format!("sqlite://{}", directory.join("control.db").display());
        let control = ControlPlane::start(command, &database, TOKEN).await?;
        let revision = apply(&control, table, upstreams).await?;
        let edge = Edge::start(options, &control, 1, directory).await?;
        whole_fleet(&control.rest, revision, 1).await?;
        Ok(Self { control, table, edge })
    }
}

impl Edge {
    /// Starts the proxy of that number, on a loopback address of its own, and waits for its
    /// listener.
    pub(super) async fn start(
        options: &Options,
        control: &ControlPlane,
        number: u8,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let command = servers::command("sluice-proxy", Some(options.proxy_core))?;
        Self::start_with(command, control, number, directory).await
    }

    /// As [`Edge::start`], run by `command`.
    pub(super) async fn start_with(
        mut command: Command,
        control: &ControlPlane,
        number: u8,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        command.args([
            "--bind",
            &format!("127.0.0.{number}"),
            "--port-map",
            "80=0",
            "--workers",
            "1",
        ]);
        command.args(["--access-log", "off"]);
        let id = format!("bench-{number}");
        let proxy = DataPlane::start(command, &id, control.grpc, directory).await?;
        let address = proxy.listening(LISTENER, 1, LIVE).await?;
        Ok(Self { proxy, address })
    }
}

/// Applies a whole table; the revision that has all of it.
pub(super) async fn apply(
    control: &ControlPlane,
    table: Table,
    upstreams: &Upstreams,
) -> anyhow::Result<u64> {
    let mut revision = 0;
    for document in documents(table, upstreams) {
        let applied = control.rest.apply(&document, "").await;
        revision = applied.with_context(|| control.process.log())?.revision;
    }
    Ok(revision)
}

/// The receipt of `revision`, once all `proxies` run it.
pub(super) async fn whole_fleet(rest: &Rest, revision: u64, proxies: u64) -> anyhow::Result<Receipt> {
    let receipt = rest.receipt(revision, LIVE).await?;
    let applied = receipt.applied;
    anyhow::ensure!(
        applied == proxies,
        "{applied} of {proxies} proxies run revision {revision}: {receipt:?}"
    );
    Ok(receipt)
}

/// The table as documents to apply one after the other: first what routes refer to.
fn documents(table: Table, upstreams: &Upstreams) -> Vec<Value> {
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "edge"},
        "spec": {
            "gatewayClassName": "sluice",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    });
    let mut documents = vec![list(&[
        gateway,
        backend(&upstreams.stable),
        backend(&upstreams.canary),
    ])];
    let routes: Vec<_> = table
        .routes()
        .map(|index| route(index, upstreams.stable.name))
        .collect();
    documents.extend(routes.chunks(BATCH).map(list));
    documents
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn backend(upstream: &Upstream) -> Value {
    let endpoint = json!({"address": upstream.address.ip(), "port": upstream.address.port()});
    json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Backend",
        "metadata": {"name": upstream.name},
        "spec": {"endpoints": [endpoint]},
    })
}

/// The route at `index`, to the backend of that name.
pub(super) fn route(index: RouteIndex, backend: &str) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": index.name()},
        "spec": {
            "parentRefs": [{"name": "edge"}],
            "hostnames": [HOST],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": index.prefix()}}],
                "backendRefs": [{"name": backend}],
            }],
        },
    })
}
