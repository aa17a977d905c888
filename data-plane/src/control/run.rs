//! The control thread from start to end.

use std::{
    cell::RefCell,
    net::TcpListener as StdListener,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
};

use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
    task::{JoinSet, spawn_blocking, spawn_local},
};
use tokio_util::sync::CancellationToken;

use super::{
    StateDir,
    admin::{self, Admin},
    collect::{Collector, Sums},
    publish::Publisher,
    report::Reporter,
    save::save_all,
};
use crate::{
    access_log::AccessLog,
    clock::Clock,
    config::Config,
    debug::Signers,
    identity::{Credentials, renew},
    listen::Ports,
    live::{Generation, Live},
    memory,
    status::Status,
    stream::{self, Channels, Identity, Order},
    telemetry::{Delta, Totals},
    tls::Builder,
    worker::{Fleet, Random, Threads},
};

/// Updates that wait to be built: the saved one and one from the stream.
const UPDATES: usize = 2;
/// Outcomes and reports that wait to be sent.
const PENDING: usize = 4;

/// Everything that the control thread is given.
pub(crate) struct Control {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) live: Live,
    pub(crate) admin: StdListener,
    pub(crate) state: Option<Arc<StateDir>>,
    pub(crate) credentials: Credentials,
    pub(crate) fleet: Fleet,
    pub(crate) threads: Threads,
    pub(crate) log: Option<AccessLog>,
    pub(crate) deltas: mpsc::Receiver<Delta>,
    pub(crate) retired: mpsc::Receiver<Arc<Generation>>,
    pub(crate) tls: Builder,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) instance: [u8; 16],
    pub(crate) overload: Arc<AtomicBool>,
    pub(crate) signers: watch::Sender<Signers>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) reopen: Arc<Notify>,
}

/// Runs a proxy until it is told to stop, then to the end of its last request.
pub(crate) async fn run(control: Control) {
    let Control {
        config,
        clock,
        live,
        admin,
        state,
        credentials,
        fleet,
        threads,
        log,
        deltas,
        retired,
        tls,
        status,
        instance,
        overload,
        signers,
        shutdown,
        reopen,
    } = control;
    let identity = identity(&config, &admin, instance);
    let sampling = config.sampling.clone().map(Arc::new);
    let sums = Sums::new(RefCell::new(Totals::sampling(sampling)));
    let (collector, collecting) = Collector::new(fleet.clone(), deltas, Rc::clone(&sums));
    let (updates, to_build) = mpsc::channel(UPDATES);
    let (outcomes, built) = mpsc::channel(PENDING);
    let (reports, to_send) = mpsc::channel(PENDING);

    let mut tasks = JoinSet::new();
    tasks.spawn_local(collecting);
    tasks.spawn_local(free(retired));
    let ceiling = config.memory.bytes();
    tasks.spawn_local(memory::watch(ceiling, overload));
    let restoring = restore(state, &live, &status, &updates, &mut tasks);
    let publisher = Publisher {
        live: live.clone(),
        ports: Ports::new(config.bind, config.port_map, fleet.len()),
        fleet: fleet.clone(),
        status: status.clone(),
        outcomes,
        random: Random::seeded(),
        tls: Arc::new(tls),
    };
    tasks.spawn_local(publisher.run(to_build));
    let reporter = Reporter {
        clock,
        live: live.clone(),
        sums: Rc::clone(&sums),
        collector: collector.clone(),
        status: status.subscribe(),
        reports,
        random: Random::seeded(),
    };
    tasks.spawn_local(reporter.run());
    let endpoint = Admin {
        id: config.id,
        workers: fleet.len(),
        clock,
        ceiling,
        live,
        sums,
        collector,
        credentials: credentials.clone(),
        status: status.subscribe(),
    };
    match TcpListener::from_std(admin) {
        Ok(listener) => drop(tasks.spawn_local(admin::serve(listener, Rc::new(endpoint)))),
        Err(error) => tracing::error!(%error, "the admin endpoint cannot be served"),
    }
    tasks.spawn_local(renew(credentials.clone(), config.control.clone()));
    let leave = CancellationToken::new();
    let channels = Channels {
        updates,
        outcomes: built,
        reports: to_send,
        status: status.clone(),
        credentials: credentials.clone(),
        signers,
    };
    let end = leave.clone();
    let stream = stream::run(identity, config.control, restoring, clock, channels, end);
    let stream = spawn_local(stream);

    until_shutdown(&shutdown, &reopen, log.as_ref()).await;

    tracing::info!("draining");
    status.send_modify(|status| status.draining = true);
    fleet.drain().await;
    let _ = spawn_blocking(move || threads.join()).await;
    leave.cancel();
    let _ = stream.await;
    tasks.shutdown().await;
    if let Some(log) = log {
        let _ = spawn_blocking(move || log.finish()).await;
    }
}

fn identity(config: &Config, admin: &StdListener, instance: [u8; 16]) -> Identity {
    let labels = config.labels.iter();
    Identity {
        id: config.id.clone(),
        labels: labels
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        admin: admin
            .local_addr()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        instance,
    }
}

/// Has what was saved built before anything else, and saves what goes live from then on. Returns
/// whether there was anything.
fn restore(
    state: Option<Arc<StateDir>>,
    live: &Live,
    status: &watch::Sender<Status>,
    updates: &mpsc::Sender<Order>,
    tasks: &mut JoinSet<()>,
) -> bool {
    let Some(state) = state else {
        return false;
    };
    let saved = state.load().map(|update| Order::of_own(update.to_wire()));
    tasks.spawn_local(save_all(state, live.clone(), status.subscribe()));
    // There is room: nothing has been sent before.
    saved.is_some_and(|saved| updates.try_send(saved).is_ok())
}

async fn until_shutdown(shutdown: &CancellationToken, reopen: &Notify, log: Option<&AccessLog>) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = reopen.notified() => {
                if let Some(log) = log {
                    log.reopen();
                }
            }
        }
    }
}

/// Frees the snapshots that workers are done with.
async fn free(mut retired: mpsc::Receiver<Arc<Generation>>) {
    while let Some(snapshot) = retired.recv().await {
        drop(snapshot);
    }
}
