//! `sluice dev`: a control plane on embedded SQLite, proxies with streams of their own and sample
//! upstreams, all in this process.

mod announce;
mod data;
mod example;
mod failure;
mod options;
mod sample;
mod site;

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

pub(crate) use failure::StartFailure;
pub(crate) use options::Options;

use crate::failure::Failure;
use crate::options::Cli;
use crate::outcome::Outcome;
use crate::print;
use site::Site;

/// Longest time from the signal to the end of the process.
const STOP: Duration = Duration::from_secs(5);
/// What of it is left to threads that still hold on to something.
const LEFTOVER: Duration = Duration::from_millis(200);

/// Runs until SIGTERM or ctrl-c.
///
/// # Errors
/// When something cannot start: a port in use, a manifest that is refused.
pub(crate) fn run(cli: &Cli, options: &Options) -> Result<Outcome, Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::System)?;
    let outcome = runtime.block_on(serve(cli, options));
    runtime.shutdown_timeout(LEFTOVER);
    outcome
}

async fn serve(cli: &Cli, options: &Options) -> Result<Outcome, Failure> {
    let mut signals = Signals::listen().map_err(Failure::System)?;
    let mut site = Site::new();
    let outcome = tokio::select! {
        outcome = serve_until_ended(cli, options, &mut site) => outcome,
        () = signals.next() => Ok(Outcome::Done),
    };
    let stopping = tokio::time::timeout(STOP - LEFTOVER, site.stop());
    tokio::select! {
        // Past its time, or asked a second time: what still runs ends with the process.
        _ = stopping => {}
        () = signals.next() => {}
    }
    outcome
}

/// Starts everything and announces it; from then on there is nothing to do.
async fn serve_until_ended(cli: &Cli, options: &Options, site: &mut Site) -> Result<Outcome, Failure> {
    let addresses = site.start(cli, options).await?;
    eprint!("{}", announce::guide(&addresses));
    print::text(&format!("{}\n", announce::line(&addresses)))?;
    std::future::pending().await
}

/// What asks the process to end. Listened for from the start, so that none is lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
