//! One worker: a thread with a runtime, sockets, connections and counters of its own.

mod accept;
mod ahead;
mod connection;
mod deadline;
mod http2;
mod io;
mod load;
mod pace;
mod patience;
mod random;
mod run;
mod stats;
#[cfg(test)]
pub(crate) mod testing;
mod uid;

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use hyper::rt::Executor;
use tokio::{sync::Notify, task::spawn_local};

pub(crate) use self::{
    connection::{Connection, Offer},
    deadline::{Deadline, Deadlines, Elapsed, TICK},
    load::{Full, Loads, Seat},
    pace::Pace,
    patience::Patience,
    random::Random,
    run::{Fleet, Shared, Threads},
    stats::{RouteStats, Stats},
    uid::UidHash,
};
use crate::{
    access_log::LogQueue,
    clock::{Clock, WallClock},
    config::Timeouts,
    debug::DebugGate,
    live::View,
    sampling::Sampler,
    upstream::Upstreams,
};

/// What all requests of one worker share. Only ever touched by its thread.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) clock: Clock,
    pub(crate) view: View,
    pub(crate) upstreams: Upstreams,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) stats: Stats,
    pub(crate) random: Random,
    pub(crate) log: Option<LogQueue>,
    /// Only when samples are asked for.
    pub(crate) sampler: Option<Sampler>,
    pub(crate) settings: Settings,
    /// Set while the process has no memory left for new work.
    pub(crate) overload: Arc<AtomicBool>,
    /// Which requests are told what became of them.
    pub(crate) debug: DebugGate,
    /// The time of day as `Date` has it.
    date: RefCell<Rc<[u8]>>,
    /// Copies of requests on their way to mirrors.
    pub(crate) copies: Cell<u32>,
    /// Told when the last client has gone.
    pub(crate) deserted: Notify,
}

/// Settings that requests look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) timeouts: Timeouts,
    pub(crate) provenance: bool,
    pub(crate) max_connections: u64,
}

impl Worker {
    /// Whether new requests are to be refused.
    #[inline]
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overload.load(Ordering::Relaxed)
    }

    /// The time of day as `Date` has it (RFC 9110 section 5.6.7), at most a tick old.
    #[inline]
    pub(crate) fn date(&self) -> Rc<[u8]> {
        Rc::clone(&self.date.borrow())
    }

    /// Every [`TICK`]: wakes who is due, and hands over what is gathered.
    fn tick(&self) {
        self.deadlines.tick();
        self.date.replace(date_now());
        self.flush_log();
    }

    /// Every second: lets go of an old snapshot and of old connections.
    fn sweep(&self) {
        self.upstreams.retain(&self.view.pin());
        self.upstreams.sweep(self.settings.timeouts.upstream_idle);
    }

    fn flush_log(&self) {
        let dropped = self.log.as_ref().map_or(0, LogQueue::flush);
        self.stats.count(|counters| counters.dropped_log_lines += dropped);
    }

    /// Whether nobody is connected.
    fn is_deserted(&self) -> bool {
        self.stats.connections.get() == 0 && self.stats.upgraded.get() == 0
    }

    /// A client's connection has ended.
    pub(crate) fn client_left(&self) {
        if self.is_deserted() {
            self.deserted.notify_one();
        }
    }

    /// Milliseconds on the clock that endpoint health uses.
    pub(crate) fn millis(&self, at: Instant) -> sluice_core::Millis {
        self.clock.millis(at)
    }
}

fn date_now() -> Rc<[u8]> {
    WallClock::read().date().into_bytes().into()
}

/// Spawns on the thread it is used on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalExecutor;

impl<F> Executor<F> for LocalExecutor
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        spawn_local(async move { drop(future.await) });
    }
}
