//! `cargo run --release -p sluice-tests --bin swarm -- --help`

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    sluice_tests::swarm::run(sluice_tests::swarm::Options::parse()).await
}
