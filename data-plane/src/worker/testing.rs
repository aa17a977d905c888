//! A worker without a thread, for tests.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use sluice_core::Snapshot;
use sluice_model::{HistoryId, Limits};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_local,
    time::sleep,
};

use super::{Connection, Settings, Shared, TICK, Worker, accept::Port};
use crate::{
    clock::Clock,
    config::Timeouts,
    live::{Generation, Live, retirement},
    testing::snapshot::{Site, apply},
    transport::Transport,
};

/// The port that sites listen on.
const PORT: u16 = 80;

/// A worker that serves `site`, and whose deadlines run with the runtime's clock.
pub(crate) fn worker(site: &Site) -> Rc<Worker> {
    let snapshot = apply(&Snapshot::empty(HistoryId::default()), site);
    let settings = Settings {
        timeouts: Timeouts::default(),
        provenance: false,
        max_connections: u64::MAX,
    };
    let shared = Shared {
        clock: Clock::start(),
        live: Live::new(Generation::plain(snapshot)),
        // Nobody listens: snapshots are freed here, and nobody asks for counts.
        retired: retirement().0,
        deltas: mpsc::channel(1).0,
        settings,
        sampling: None,
        overload: Arc::default(),
        signers: watch::channel(None).1,
    };
    let worker = Rc::new(Worker::new(0, shared, None));
    let deadlines = Rc::downgrade(&worker.deadlines);
    spawn_local(async move {
        while let Some(deadlines) = deadlines.upgrade() {
            deadlines.tick();
            drop(deadlines);
            sleep(TICK).await;
        }
    });
    worker
}

/// A client's connection to `worker`, and what it may do.
pub(crate) fn connection(worker: &Rc<Worker>) -> (Rc<Connection>, Limits) {
    let limits = worker.view.pin().port_limits(PORT);
    let port = Port::new(PORT, Arc::default());
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let connection = Connection::new(Rc::clone(worker), port, peer, limits, None);
    (Rc::new(connection), limits)
}

/// Gives `worker` a connection to the site's only endpoint; the last given is used first.
pub(crate) fn keep(worker: &Worker, transport: Transport) {
    let snapshot = worker.view.pin();
    let backend = snapshot.backends().next().expect("a site has a backend");
    let endpoint = backend.endpoints.first().expect("the site has an endpoint");
    let upstream = worker.upstreams.of(backend, endpoint);
    upstream.keep(crate::http1::Client::new(transport));
}
