//! `sluice-proxy`: one proxy in a process of its own.

mod args;

use std::io::Write as _;

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use sluice_proxy::{Proxy, raise_descriptor_limit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = args::Args::parse();
    let filter = EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();

    let config = args
        .into_config(raise_descriptor_limit())
        .unwrap_or_else(|error| {
            let mut command = args::Args::command();
            command.error(ErrorKind::InvalidValue, error).exit()
        });
    let mut stop = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut reopen = signal(SignalKind::user_defined1())?;
    let proxy = Proxy::start(config).context("the proxy cannot start")?;
    announce(&proxy)?;
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => proxy.reopen_access_log(),
            _ = reopen.recv() => proxy.reopen_access_log(),
        }
    }
    proxy.shutdown().await;
    Ok(())
}

/// One line on standard output, for whoever has started this.
fn announce(proxy: &Proxy) -> std::io::Result<()> {
    let line = serde_json::json!({"id": proxy.id(), "admin": proxy.admin()});
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
