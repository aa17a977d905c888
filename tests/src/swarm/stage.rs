//! A control plane with a table of routes, and changes of one weight in it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::manifest::{backend, gateway, list};
use crate::rest::Rest;
use crate::servers::{self, ControlPlane};

/// The bootstrap token of the control plane.
const TOKEN: &str = "swarm-0123456789abcdef0123456789abcdef";
/// Routes per `apply`; bounds the body of one request.
const BATCH: usize = 1_000;
/// Distance of the routes changed one after the other: prime, so that changes are spread over the
/// whole table and no route is changed twice before all were.
const STRIDE: usize = 7_919;

/// Endpoints of the Backend that moves.
pub const MOVING: usize = 20;

/// A control plane of its own, on SQLite, and its table.
#[derive(Debug)]
pub struct Stage {
    /// Its process.
    pub control: ControlPlane,
    directory: TempDir,
    routes: usize,
    changes: usize,
    moves: usize,
}

impl Stage {
    /// Starts a control plane and gives it `routes` routes with two weighted backends each.
    ///
    /// # Errors
    /// When it does not start, or refuses the routes.
    pub async fn start(routes: usize) -> anyhow::Result<Self> {
        ensure!(routes > 0, "a table has at least one route");
        let directory = tempfile::Builder::new().prefix("sluice-swarm-").tempdir()?;
        let command = servers::command("sluice-control", None)?;
        let control = ControlPlane::start(command, &database(&directory), TOKEN).await?;
        let stage = Self {
            control,
            directory,
            routes,
            changes: 0,
            moves: 0,
        };
        stage.fill().await?;
        Ok(stage)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let endpoint = |port| [SocketAddr::from(([127, 0, 0, 1], port))];
        let base = list(&[
            gateway(),
            backend("stable", &endpoint(9001)),
            backend("canary", &endpoint(9002)),
            moving(0),
        ]);
        let routes: Vec<_> = self.table().collect();
        for document in std::iter::once(base).chain(routes.chunks(BATCH).map(list)) {
            let applied = self.rest().apply(&document, "").await;
            applied.with_context(|| self.control.process.log())?;
        }
        Ok(())
    }

    /// The routes as they are at first.
    pub fn table(&self) -> impl Iterator<Item = Value> {
        (0..self.routes).map(|number| route(number, 0))
    }

    /// Its REST interface.
    pub fn rest(&self) -> &Rest {
        &self.control.rest
    }

    /// The next change: other weights in one route.
    pub fn change(&mut self) -> Value {
        self.changes += 1;
        let number = self.changes.wrapping_mul(STRIDE) % self.routes;
        // Never what it was: a route has 0 at first, and comes again after all others have.
        route(number, 1 + self.changes % 99)
    }

    /// The next change of `count` routes at once, each of them once. There have to be as many.
    pub fn changes(&mut self, count: usize) -> Value {
        let routes: Vec<_> = (0..count).map(|_| self.change()).collect();
        list(&routes)
    }

    /// The next move: a Backend whose endpoints are all others than before. Each makes a revision, for those are what
    /// acknowledgements are told apart by; what proxies get of it is `runtime`.
    pub fn move_endpoints(&mut self) -> Value {
        self.moves += 1;
        moving(self.moves)
    }

    /// Endpoints that the control plane keeps of what members reported: all of them, and those that are ejected.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn ailing(&self) -> anyhow::Result<(usize, usize)> {
        let all = self.control.metric("sluice_fleet_endpoints_ailing", &[]).await?;
        let ejected = self.control.metric("sluice_fleet_endpoints_ejected", &[]).await?;
        Ok((all as usize, ejected as usize))
    }

    /// Kills the control plane and starts it anew, on the same database and the same address.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(self) -> anyhow::Result<Self> {
        let grpc = self.control.grpc;
        drop(self.control);
        let command = servers::command("sluice-control", None)?;
        let control = ControlPlane::start_at(command, &database(&self.directory), TOKEN, grpc).await?;
        Ok(Self { control, ..self })
    }

    /// From now on the peak of its memory is that of what follows.
    ///
    /// # Errors
    /// When it is gone.
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        crate::machine::forget_peak(self.control.process.pid())
    }

    /// The most resident memory since then, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn peak_resident_bytes(&self) -> anyhow::Result<u64> {
        crate::machine::peak_resident_bytes(self.control.process.pid())
    }

    /// User and system time of the control plane's process so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        crate::machine::cpu_time(self.control.process.pid())
    }

    /// Its resident memory, in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        crate::machine::resident_bytes(self.control.process.pid())
    }
}

fn database(directory: &TempDir) -> String {
    format!("sqlite://{}", directory.path().join("control.db").display())
}

/// The Backend that moves, after so many moves.
fn moving(moves: usize) -> Value {
    let [.., high, low] = moves.to_be_bytes();
    let endpoint = |port| SocketAddr::from(([10, 0, high, low], port));
    let endpoints: Vec<_> = (1..).take(MOVING).map(endpoint).collect();
    backend("moving", &endpoints)
}

/// The route of that number, of which `canary` percent go to the other backend.
fn route(number: usize, canary: usize) -> Value {
    let rules = json!([{
        "matches": [{"path": {"type": "PathPrefix", "value": format!("/r{number:06}")}}],
        "backendRefs": [
            {"name": "stable", "weight": 100 - canary},
            {"name": "canary", "weight": canary},
        ],
    }]);
    crate::manifest::route(&format!("r{number:06}"), crate::manifest::HOST, &rules)
}
