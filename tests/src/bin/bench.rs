//! `cargo run --release -p sluice-tests --bin bench -- --help`

use clap::Parser as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    sluice_tests::bench::run(sluice_tests::bench::Options::parse()).await
}
