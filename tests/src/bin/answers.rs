//! Runs a file of malformed answers through `sluice-proxy`:
//! `cargo run -p sluice-tests --bin answers -- tests/cases/answers.jsonl`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sluice_tests::answers::{self, Failure};
use sluice_tests::cases;

/// Lets a scripted upstream answer each case through a proxy and says which ones fail.
#[derive(Debug, Parser)]
struct Options {
    /// Lines of JSON with `id`, `raw`, `why`, `expect` (refuse, break, pass or either) and, with
    /// `pass`, `status` and `body`.
    file: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let cases = cases::read(&Options::parse().file)?;
    let count = cases.len();
    let failures = answers::run(cases).await?;
    for Failure { case, got, faults } in &failures {
        println!("{} ({:?}): {}", case.id, case.expect, case.why);
        for fault in faults {
            println!("  {fault}");
        }
        println!("  upstream: {:.300}", case.raw.escape_ascii().to_string());
        println!("  client: {:.300}", got.bytes.escape_ascii().to_string());
        println!("  HTTP/2: {:?}", got.http2);
    }
    println!("{count} cases, {} failures", failures.len());
    Ok(match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
