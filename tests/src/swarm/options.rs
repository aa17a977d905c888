use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Opens many gRPC streams to a control plane of its own and measures how fast changes reach them,
/// and what they cost. Needs `sluice-control` of the same profile.
#[derive(Debug, Clone, Parser)]
#[command(name = "swarm")]
pub struct Options {
    /// Streams, each over a connection of its own.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub streams: u32,
    /// Routes in the table.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub routes: u32,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [Case::Change, Case::Sustained, Case::Endpoints, Case::Rude, Case::Restart])]
    pub cases: Vec<Case>,
    /// One-weight changes to measure, one after the other.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub changes: u32,
    /// Changes a second of the sustained case.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rate: u32,
    /// Seconds of the sustained case.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Of a hundred streams so many report that their endpoints are ejected and healthy again, turn by turn.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub ailing: u32,
    /// Members of the rude case that are slow, and as many that are deaf.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rude: u32,
    /// Also write all numbers to this file, as JSON.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Also replace the section of tests/bench/RESULTS.md for this many streams and routes.
    #[arg(long)]
    pub write: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Changes of one weight, one after the other.
    Change,
    /// Many changes a second.
    Sustained,
    /// Changes of one weight while others are slow or deaf.
    Rude,
    /// All endpoints of a Backend are replaced 300 ms after they were before.
    Endpoints,
    /// The control plane is killed and starts again.
    Restart,
}

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Change => "change",
            Self::Sustained => "sustained",
            Self::Rude => "rude",
            Self::Endpoints => "endpoints",
            Self::Restart => "restart",
        })
    }
}
