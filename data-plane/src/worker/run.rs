//! The thread of a worker, and the control thread's grip on all of them.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::TcpListener as StdListener,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc, watch},
    task::{LocalSet, spawn_local},
    time::{self, MissedTickBehavior},
};

use super::{
    Deadlines, Random, Settings, Stats, TICK, Worker,
    accept::{Port, accept_all},
    load::Load,
};
use crate::{
    access_log::LogQueue,
    clock::Clock,
    debug::{DebugGate, Signers},
    live::{Generation, Live, View},
    sampling::{Sampler, Sampling},
    telemetry::{Delta, Gauges},
    upstream::Upstreams,
};

/// Commands on their way to one worker.
const COMMANDS: usize = 64;
/// Ticks between two sweeps.
const SWEEP: u32 = (1000 / TICK.as_millis()) as u32;

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take connections for the port that a Gateway calls `port`.
    Listen {
        port: u16,
        socket: StdListener,
        load: Arc<Load>,
    },
    /// Take no more, and let those that are there end.
    Close { port: u16 },
    /// Say what was counted since the last time.
    Count { ticket: u64 },
    /// Close all ports, and end when nobody is left.
    Drain,
}

/// What every worker is given.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) live: Live,
    pub(crate) retired: mpsc::Sender<Arc<Generation>>,
    pub(crate) deltas: mpsc::Sender<Delta>,
    pub(crate) settings: Settings,
    pub(crate) sampling: Option<Arc<Sampling>>,
    pub(crate) overload: Arc<AtomicBool>,
    pub(crate) signers: watch::Receiver<Signers>,
}

/// The control thread's end of all workers.
#[derive(Clone, Debug)]
pub(crate) struct Fleet(Vec<mpsc::Sender<Command>>);

/// The threads of all workers.
#[derive(Debug, Default)]
pub(crate) struct Threads(Vec<JoinHandle<()>>);

impl Fleet {
    /// Starts a worker for each of `logs`.
    ///
    /// # Errors
    /// When no thread or no runtime can be had.
    pub(crate) fn start(shared: &Shared, logs: Vec<Option<LogQueue>>) -> io::Result<(Self, Threads)> {
        let (mut fleet, mut threads) = (Self(Vec::new()), Threads::default());
        for (index, log) in logs.into_iter().enumerate() {
            let (commands, received) = mpsc::channel(COMMANDS);
            let thread = spawn(index, shared.clone(), log, received)?;
            fleet.0.push(commands);
            threads.0.push(thread);
        }
        Ok((fleet, threads))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives one of `sockets` to each worker.
    pub(crate) async fn listen(&self, port: u16, sockets: Vec<StdListener>) {
        let load = Arc::new(Load::default());
        for (worker, socket) in self.0.iter().zip(sockets) {
            let load = Arc::clone(&load);
            // A worker that is gone needs no telling.
            let _ = worker.send(Command::Listen { port, socket, load }).await;
        }
    }

    pub(crate) async fn close(&self, port: u16) {
        for worker in &self.0 {
            let _ = worker.send(Command::Close { port }).await;
        }
    }

    /// Asks every worker what it has counted. Returns how many will answer.
    pub(crate) fn count(&self, ticket: u64) -> usize {
        let asked = self.0.iter().filter(|worker| {
            let command = Command::Count { ticket };
            worker.try_send(command).is_ok()
        });
        asked.count()
    }

    pub(crate) async fn drain(&self) {
        for worker in &self.0 {
            let _ = worker.send(Command::Drain).await;
        }
    }
}

impl Threads {
    /// Waits for all of them; [`Fleet::drain`] has told them to end. Blocks.
    pub(crate) fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

fn spawn(
    index: usize,
    shared: Shared,
    log: Option<LogQueue>,
    commands: mpsc::Receiver<Command>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let deltas = shared.deltas.clone();
                let worker = Rc::new(Worker::new(index, shared, log));
                run(worker, commands, deltas).await;
            });
        })
}

impl Worker {
    pub(super) fn new(index: usize, shared: Shared, log: Option<LogQueue>) -> Self {
        Self {
            index,
            clock: shared.clock,
            view: View::new(&shared.live, shared.retired),
            upstreams: Upstreams::default(),
            deadlines: Rc::new(Deadlines::default()),
            stats: Stats::new(),
            random: Random::seeded(),
            log,
            sampler: shared.sampling.map(Sampler::new),
            settings: shared.settings,
            overload: shared.overload,
            debug: DebugGate::new(shared.signers),
            date: RefCell::new(super::date_now()),
            copies: Cell::default(),
            deserted: Notify::new(),
        }
    }

    fn delta(&self, ticket: u64) -> Delta {
        let (traffic, counters) = self.stats.take();
        let gauges = Gauges {
            connections: self.stats.connections.get(),
            requests: self.stats.requests.get(),
            idle_upstream: self.upstreams.idle() as u64,
            upgraded: self.stats.upgraded.get(),
        };
        Delta {
            worker: self.index,
            ticket,
            traffic,
            counters,
            gauges,
            sampled: self.sampler.as_ref().map(Sampler::take).unwrap_or_default(),
        }
    }
}

async fn run(worker: Rc<Worker>, mut commands: mpsc::Receiver<Command>, deltas: mpsc::Sender<Delta>) {
    let mut ports: HashMap<u16, Rc<Port>> = HashMap::new();
    let mut ticks = time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut tick = 0;
    let mut leaving: Option<Instant> = None;
    loop {
        tokio::select! {
            command = commands.recv(), if leaving.is_none() => match command {
                Some(Command::Listen { port, socket, load }) => listen(&worker, &mut ports, Port::new(port, load), socket),
                Some(Command::Close { port }) => {
                    if let Some(port) = ports.remove(&port) {
                        port.close();
                        worker.deadlines.wake_all();
                    }
                }
                Some(Command::Count { ticket }) => drop(deltas.send(worker.delta(ticket)).await),
                Some(Command::Drain) | None => {
                    leaving = Some(Instant::now());
                    ports.drain().for_each(|(_, port)| port.close());
                    worker.deadlines.wake_all();
                }
            },
            _ = ticks.tick() => {
                worker.tick();
                tick += 1;
                if tick % SWEEP == 0 {
                    worker.sweep();
                }
            }
            () = worker.deserted.notified(), if leaving.is_some() => {}
        }
        let over = |since: Instant| since.elapsed() >= worker.settings.timeouts.drain;
        // A moment for connections that wait to be accepted.
        if leaving.is_some_and(|since| over(since) || worker.is_deserted() && since.elapsed() >= LINGER) {
            break;
        }
    }
    // The last counts, for whoever still listens.
    let _ = deltas.try_send(worker.delta(u64::MAX));
}

/// How long a worker that has closed its ports looks for connections that were already waiting.
const LINGER: Duration = Duration::from_millis(50);

fn listen(worker: &Rc<Worker>, ports: &mut HashMap<u16, Rc<Port>>, port: Rc<Port>, socket: StdListener) {
    let number = port.number;
    match TcpListener::from_std(socket) {
        Ok(listener) => {
            spawn_local(accept_all(Rc::clone(worker), Rc::clone(&port), listener));
            if let Some(old) = ports.insert(number, port) {
                old.close();
            }
        }
        Err(error) => tracing::error!(%error, port = number, "a bound socket cannot be used"),
    }
}
