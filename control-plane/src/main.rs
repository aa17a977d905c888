//! `sluice-control`: the control plane as a process of its own.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use sluice_control::{
    CERTIFICATE_LIFETIME, Config, Control, KEEP_SAMPLES, MAX_STREAMS, Running, TICKET_ROTATION, discovery,
    raise_descriptor_limit,
};
use sluice_intent::{Kind, ResourceId, ResourceIdError};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Seconds.
const HOUR: u64 = 3600;

/// Keeps routes and experiments in a database and streams them to the proxies.
///
/// When it serves, it prints one line of JSON on standard output: where REST listens ("admin"),
/// where proxies connect ("grpc") and, if the database had no token, the one it made ("token").
/// Logs go to standard error; RUST_LOG selects them.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Database: postgres://USER@HOST/NAME or sqlite://PATH. Several postgres URLs are a failover list.
    #[arg(long = "database-url", required = true, value_name = "URL")]
    database_urls: Vec<String>,
    /// Where REST listens; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDR")]
    admin: SocketAddr,
    /// Where proxies connect: with certificates, or without from loopback to loopback addresses; port 0
    /// is any free one
    #[arg(long, default_value = "127.0.0.1:7401", value_name = "ADDR")]
    grpc: SocketAddr,
    /// Envelope keys that seal secrets at rest: a file with 32 bytes in base64 per line, newest first
    /// (`openssl rand -base64 32`). Without it SQLite has the file `key` beside it, and Postgres stores
    /// no secrets
    #[arg(long, env = "SLUICE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Secret that is left out if it does not open, so that the rest can be served: what needs it is not, until it
    /// is written anew. May be repeated
    #[arg(long = "leave-out", value_name = "NAMESPACE/NAME", value_parser = secret)]
    leave_out: Vec<ResourceId>,
    /// How often proxies get a new key for TLS session tickets: 1 to 24 hours. Three keys are kept, so a
    /// ticket opens for at most three times as long
    #[arg(long, default_value_t = TICKET_ROTATION.as_secs() / HOUR, value_name = "HOURS",
          value_parser = ticket_hours)]
    ticket_rotation: u64,
    /// DNS server that names of endpoints are asked of, IP:PORT; those of /etc/resolv.conf without
    #[arg(long, value_name = "ADDR")]
    resolver: Option<SocketAddr>,
    /// How long the certificates of proxies are good, in seconds; they are renewed after two thirds of
    /// it. The same for all control planes
    #[arg(long, default_value_t = CERTIFICATE_LIFETIME.as_secs(), value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(5..=30 * 24 * HOUR))]
    certificate_lifetime: u64,
    /// Streams of proxies at a time; each takes a file descriptor
    #[arg(long, default_value_t = MAX_STREAMS, value_name = "NUMBER")]
    max_streams: usize,
    /// For how long requests that proxies sample (`sluice-proxy --sample-requests`) are kept, in hours; of all
    /// control planes 32 MiB at most
    #[arg(long, default_value_t = KEEP_SAMPLES.as_secs() / HOUR, value_name = "HOURS",
          value_parser = clap::value_parser!(u64).range(1..=30 * 24))]
    keep_samples: u64,
    /// Secret of a token that is accepted from the start; stored as a hash
    #[arg(long, env = "SLUICE_TOKEN", hide_env_values = true, value_name = "SECRET")]
    token: Option<String>,
}

/// The Secret of a namespace and a name.
fn secret(text: &str) -> Result<ResourceId, ResourceIdError> {
    format!("{}/{text}", Kind::Secret).parse()
}

/// Whoever gets hold of a ticket key can read the sessions that were resumed by it, so it does not live long.
fn ticket_hours(text: &str) -> Result<u64, &'static str> {
    match text.parse() {
        Ok(hours @ 1..=24) => Ok(hours),
        Ok(_) | Err(_) => Err("must be 1 to 24 hours"),
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let descriptors = raise_descriptor_limit();
    if descriptors < options.max_streams {
        tracing::warn!(
            descriptors,
            "fewer files may be open than --max-streams allows streams"
        );
    }
    // Listened for from the start, so that a signal during start-up is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let config = Config {
        database_urls: options.database_urls,
        admin: options.admin,
        grpc: options.grpc,
        key_file: options.key_file.filter(|file| !file.as_os_str().is_empty()),
        leave_out: options.leave_out,
        ticket_rotation: Duration::from_secs(options.ticket_rotation * HOUR),
        discovery: discovery::Config {
            resolver: options.resolver,
        },
        certificate_lifetime: Duration::from_secs(options.certificate_lifetime),
        max_streams: options.max_streams,
        keep_samples: Duration::from_secs(options.keep_samples * HOUR),
        token: options.token.filter(|secret| !secret.is_empty()),
    };
    let running = tokio::select! {
        running = Control::start(config) => running?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    announce(&running).context("standard output is closed")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

/// The one line on standard output.
fn announce(running: &Running) -> std::io::Result<()> {
    let mut line = json!({
        "admin": format!("http://{}", running.admin),
        "grpc": running.grpc.to_string(),
    });
    if let Some(token) = &running.token {
        line["token"] = token.as_str().into();
    }
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_secret_is_left_out_by_namespace_and_name() {
        let read = |text: &str| {
            let line = [
                "sluice-control",
                "--database-url",
                "sqlite::memory:",
                "--leave-out",
                text,
            ];
            Options::try_parse_from(line).map(|options| options.leave_out[0].to_string())
        };
        assert_eq!(read("shop/web").unwrap(), "Secret/shop/web");
        for wrong in ["web", "a/b/c", "Shop/web", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ticket_keys_live_from_one_hour_to_a_day() {
        let rotation = |hours: &str| {
            let line = [
                "sluice-control",
                "--database-url",
                "sqlite::memory:",
                "--ticket-rotation",
                hours,
            ];
            Options::try_parse_from(line).map(|options| options.ticket_rotation)
        };
        assert_eq!((rotation("1").unwrap(), rotation("24").unwrap()), (1, 24));
        for wrong in ["0", "25", "1.5", "1h", ""] {
            let told = rotation(wrong).unwrap_err().to_string();
            assert!(told.contains("must be 1 to 24 hours"), "{told}");
        }
    }
}
