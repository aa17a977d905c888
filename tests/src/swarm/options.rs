use std::fmt::Write as _;
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
    /// What to measure, in this order.
    #[arg(long, value_delimiter = ',', default_values_t = [Case::Change, Case::Bulk, Case::Sustained, Case::Endpoints, Case::Herd, Case::Rude, Case::Restart])]
    pub cases: Vec<Case>,
    /// One-weight changes to measure, one after the other.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub changes: u32,
    /// How many routes get other weights in one apply, for each part of the bulk case. What is more than there are routes
    /// is left out.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000], value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub bulk: Vec<u32>,
    /// Changes a second of the sustained case.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub rate: u32,
    /// Seconds of the sustained case.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub sustain: u32,
    /// Newcomers of the herd case, which come all at once and hold nothing.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub herd: u32,
    /// Seconds before the first case in which it is measured what a fleet costs of which nothing is wanted; 0 to leave
    /// that out.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub idle: u32,
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

impl Options {
    /// The command of such a run, with what is not as it is by default.
    pub(super) fn command(&self) -> String {
        let usual = Self::parse_from(["swarm"]);
        let mut command = format!("swarm --streams {} --routes {}", self.streams, self.routes);
        let of_usual = usual.measured();
        for ((name, value), (_, usual)) in self.measured().into_iter().zip(of_usual) {
            if value != usual {
                let _ = write!(command, " --{name} {value}");
            }
        }
        command + " --write"
    }

    /// What else decides what is measured, by name.
    fn measured(&self) -> [(&'static str, String); 9] {
        [
            ("cases", listed(&self.cases)),
            ("changes", self.changes.to_string()),
            ("bulk", listed(&self.bulk)),
            ("rate", self.rate.to_string()),
            ("sustain", self.sustain.to_string()),
            ("herd", self.herd.to_string()),
            ("idle", self.idle.to_string()),
            ("ailing", self.ailing.to_string()),
            ("rude", self.rude.to_string()),
        ]
    }
}

fn listed(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    items.join(",")
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Changes of one weight, one after the other.
    Change,
    /// Changes of many weights in one apply, one after the other.
    Bulk,
    /// Many changes a second.
    Sustained,
    /// Changes of one weight while others are slow or deaf.
    Rude,
    /// All endpoints of a Backend are replaced 300 ms after they were before.
    Endpoints,
    /// Newcomers without anything, all at once.
    Herd,
    /// The control plane is killed and starts again.
    Restart,
}

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Change => "change",
            Self::Bulk => "bulk",
            Self::Sustained => "sustained",
            Self::Rude => "rude",
            Self::Endpoints => "endpoints",
            Self::Herd => "herd",
            Self::Restart => "restart",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_what_was_asked_for() {
        let command = |options: &str| Options::parse_from(options.split(' ')).command();
        assert_eq!(command("swarm"), "swarm --streams 1000 --routes 1000 --write");
        let asked = "swarm --streams 5 --routes 7 --cases herd,bulk --bulk 3,4 --sustain 60 --herd 2 --ailing 0 --write";
        assert_eq!(command(asked), asked);
        assert_eq!(command(&format!("{asked} --changes 20 --json x.json")), asked);
    }
}
