use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Measures CPU microseconds of the proxy process per request, requests per second, memory per
/// route, and the time a change takes to be live.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Which proxies to measure, in the order of a round.
    #[arg(long, value_delimiter = ',', default_values_t = [Proxy::Sluice, Proxy::Nginx, Proxy::Haproxy, Proxy::Envoy])]
    pub proxies: Vec<Proxy>,
    /// Rounds; medians are over these.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Seconds of load per proxy, case and round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
    pub seconds: u32,
    /// Connections the load generator keeps open.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Routes in the large table.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub routes: u32,
    /// One-route changes to measure; 0 leaves them out.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub changes: u32,
    /// The core of the proxies.
    #[arg(long, default_value_t = 1)]
    pub proxy_core: usize,
    /// The core of everything else.
    #[arg(long, default_value_t = 0)]
    pub load_core: usize,
    /// The envoy binary.
    #[arg(long, env = "ENVOY", default_value = "envoy")]
    pub envoy: PathBuf,
    /// Also write all numbers to this file, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Also replace the part of tests/bench/RESULTS.md that is the benchmark's.
    #[arg(long)]
    pub write: bool,
    /// Something else than the benchmark.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else the binary does.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Counts the instructions that a proxy spends on one request, with callgrind.
    Instructions(Instructions),
    /// Measures how long endpoints take from a real etcd to the traffic of two proxies.
    Discovery(Discovery),
    /// Measures what a change of one route costs the control plane, by how many views there are.
    Views(Views),
    /// Measures how long a plan takes over REST, and what memory it takes.
    Plans(Plans),
    /// Answers every request with the same 122 bytes, and says where it listens.
    #[command(hide = true)]
    Upstream {
        /// Value of the `x-upstream` response header.
        name: String,
    },
}

/// How changes of endpoints are measured.
#[derive(Debug, Clone, Args)]
pub struct Discovery {
    /// Changes of one service's endpoint to measure, one after the other.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub changes: u32,
    /// Changes of other endpoints of the service that go on meanwhile, each second.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=2_000))]
    pub churn: u32,
    /// Also replace the section of tests/bench/RESULTS.md for this churn.
    #[arg(long)]
    pub write: bool,
}

/// How changes are measured with many views.
#[derive(Debug, Clone, Args)]
pub struct Views {
    /// Routes in the table; all but one are for everybody.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub routes: u32,
    /// How many views, that of no selector included; from few to many.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64],
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub views: Vec<u32>,
    /// Changes to measure in each case, one after the other.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub changes: u32,
    /// Also replace the section of tests/bench/RESULTS.md.
    #[arg(long)]
    pub write: bool,
}

/// How plans are measured.
#[derive(Debug, Clone, Args)]
pub struct Plans {
    /// Routes in the table; from few to many.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000],
          value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub routes: Vec<u32>,
    /// How many of them the planned manifests change.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub changes: u32,
    /// Plans to measure in each case, one after the other.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rounds: u32,
    /// Also replace the section of tests/bench/RESULTS.md.
    #[arg(long)]
    pub write: bool,
}

/// How instructions are counted. Beside each proxy lies the `sluice-control` that feeds it.
#[derive(Debug, Clone, Args)]
pub struct Instructions {
    /// The `sluice-proxy` to measure; by default the one beside this binary.
    #[arg(long)]
    pub proxy: Option<PathBuf>,
    /// Another `sluice-proxy`, to print the ratio to.
    #[arg(long)]
    pub baseline: Option<PathBuf>,
    /// Requests of the short run, which has all of the start-up.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub few: u32,
    /// Requests of the long run.
    #[arg(long, default_value_t = 12_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub many: u32,
    /// Fail when the proxy's whole process takes more than this share of the baseline's instructions.
    #[arg(long, requires = "baseline")]
    pub at_most: Option<f64>,
}

/// A proxy under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// `sluice-proxy`, fed by a `sluice-control`.
    Sluice,
    /// nginx
    Nginx,
    /// HAProxy
    Haproxy,
    /// Envoy
    Envoy,
}

impl std::fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Sluice => "sluice",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        })
    }
}
