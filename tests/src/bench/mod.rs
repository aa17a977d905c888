//! The benchmark: what one request, one route and one change cost Sluice, and the first two also
//! nginx, HAProxy and Envoy, doing the same proxying in the same run.
//!
//! All proxies run at the same time, each confined to the one proxy core; everything else (load
//! generator, upstreams, control plane, this process) shares the load core. Load is given to one
//! proxy at a time, in rounds: A B C D, A B C D, ... so that a drift of the machine meets all of
//! them alike. CPU time is read from the process's own clock, which counts all its threads.

mod callgrind;
mod change;
mod discovery;
mod instructions;
mod load;
mod markdown;
mod options;
mod plans;
mod report;
mod rivals;
mod rounds;
mod sluice;
mod subject;
mod table;
mod upstream;
mod versions;
mod views;

pub use options::{Command, Discovery, Instructions, Options, Plans, Proxy, Views};

use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

use self::report::Report;
use self::subject::Fleet;
use self::upstream::Upstreams;
use crate::machine;

/// Runs the benchmark, or the helper that `options` names, until it is done or SIGINT or SIGTERM
/// asks it to stop. Every child is gone afterwards.
///
/// # Errors
/// When a program is missing or fails, an answer is wrong, or on a signal.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let work = async {
        match &options.command {
            Some(Command::Upstream { name }) => upstream::serve(name).await,
            Some(Command::Instructions(options)) => instructions::measure(options).await,
            Some(Command::Discovery(options)) => discovery::measure(options).await,
            Some(Command::Views(options)) => views::measure(options).await,
            Some(Command::Plans(options)) => plans::measure(options).await,
            None => measure(&options).await,
        }
    };
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

/// What was built: numbers of a build without optimisation say how costs relate, and no more.
const PROFILE: &str = match cfg!(debug_assertions) {
    true => "without optimisation",
    false => "with optimisation",
};

/// Start everything, measure requests, then memory, then changes, and report.
async fn measure(options: &Options) -> anyhow::Result<()> {
    machine::stay_on_core(options.load_core)?;
    let directory = tempfile::tempdir()?;
    let upstreams = Upstreams::start().await?;
    let fleet = Fleet::start(options, &upstreams, directory.path()).await?;
    let requests = rounds::measure(options, &fleet, directory.path()).await?;
    let memory = fleet.resident()?;
    let change = match fleet.sluice_with_most_routes() {
        Some(site) if options.changes > 0 => Some(change::measure(options, site, directory.path()).await?),
        _ => None,
    };
    let report = Report::new(options, requests, &memory, change)?;
    println!("{}", report.markdown());
    report.save(options)
}
