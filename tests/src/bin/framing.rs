//! Runs a file of hostile requests against `sluice-proxy`:
//! `cargo run -p sluice-tests --bin framing -- tests/cases/framing.jsonl`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sluice_tests::cases;
use sluice_tests::framing::{self, Case, Failure};

/// Sends each request of a file through a proxy to a recording upstream and says which ones fail.
#[derive(Debug, Parser)]
struct Options {
    /// Lines of JSON with `id`, `raw`, and `expect` (reject, forward or either) or `tier`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Cases that run at the same time, each with a listener and an upstream of its own.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    lanes: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let mut cases = Vec::new();
    for file in &options.files {
        cases.extend(cases::read::<Case>(file)?);
    }
    let count = cases.len();
    let failures = framing::run(cases, options.lanes).await?;
    for failure in &failures {
        print(failure);
    }
    println!("{count} cases, {} failures", failures.len());
    Ok(match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn print(failure: &Failure) {
    let Failure {
        case,
        outcome,
        faults,
    } = failure;
    println!("{} ({:?}): {}", case.id, case.expected(), case.why);
    for fault in faults {
        println!("  {fault}");
    }
    println!("  sent: {}", case.raw.escape_ascii());
    for arrival in &outcome.arrivals {
        println!("  upstream: {}", arrival.raw.escape_ascii());
    }
    println!("  client: {}", outcome.answer.escape_ascii());
}
