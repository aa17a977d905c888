//! User-space instructions of one plain HTTP/1.1 request on a connection that is kept alive.
//!
//! One proxy with one worker and one route, one client that sends one request after the other: the
//! count is nearly the same in every run, on a busy machine, too. What start-up, handshakes and
//! the end cost is in the short run and in the long one, so the difference of the two is free of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::callgrind::{self, Count};
use super::options::Instructions;
use super::sluice::{self, Edge, TOKEN};
use super::table::{HOST, RouteIndex, Table};
use super::upstream::{BODY_BYTES, Upstreams};
use crate::process;
use crate::servers::{self, ControlPlane};

/// Longest end of a process that callgrind slows down.
const END: Duration = Duration::from_secs(60);

/// Instructions of one request.
#[derive(Debug, Clone, Copy)]
struct PerRequest {
    worker: f64,
    process: f64,
}

/// Measures what `options` say and prints a table.
///
/// # Errors
/// When a program is missing, an answer is wrong, or the ratio is above what is allowed.
pub(super) async fn measure(options: &Instructions) -> anyhow::Result<()> {
    ensure!(options.few < options.many, "--few must be less than --many");
    let upstreams = Upstreams::start().await?;
    let proxy = match &options.proxy {
        Some(proxy) => proxy.clone(),
        None => servers::binary("sluice-proxy")?,
    };
    let baseline = match &options.baseline {
        Some(baseline) => Some(per_request(options, &upstreams, baseline).await?),
        None => None,
    };
    let now = per_request(options, &upstreams, &proxy).await?;
    print!("{}", table(baseline, now));
    if let (Some(baseline), Some(most)) = (baseline, options.at_most) {
        let ratio = now.process / baseline.process;
        ensure!(ratio <= most, "{ratio:.3} of the baseline is more than {most}");
    }
    Ok(())
}

/// The difference of a long run and a short one, by request.
async fn per_request(
    options: &Instructions,
    upstreams: &Upstreams,
    proxy: &Path,
) -> anyhow::Result<PerRequest> {
    let few = count(upstreams, proxy, options.few).await?;
    let many = count(upstreams, proxy, options.many).await?;
    let requests = f64::from(options.many - options.few);
    let (worker, process) = few.until(&many);
    Ok(PerRequest {
        worker: worker as f64 / requests,
        process: process as f64 / requests,
    })
}

/// Runs the proxy for that many requests.
async fn count(upstreams: &Upstreams, proxy: &Path, requests: u32) -> anyhow::Result<Count> {
    eprintln!("counting {requests} requests of {}", proxy.display());
    let directory = tempfile::tempdir()?;
    let directory = directory.path();
    let database = format!("sqlite://{}", directory.join("control.db").display());
    let control = process::command(beside(proxy)?);
    let control = ControlPlane::start(control, &database, TOKEN).await?;
    sluice::apply(&control, Table(1), upstreams).await?;

    let command = callgrind::command(proxy, directory);
    let mut edge = Edge::start_with(command, &control, 1, directory).await?;
    let sent = send(edge.address, requests).await;
    sent.with_context(|| edge.proxy.process.log())?;
    edge.proxy.process.signal(Signal::SIGTERM)?;
    edge.proxy.process.exit(END).await?;
    callgrind::read(directory)
}

/// The control plane of the same build: an older proxy may not understand a newer one's snapshots.
fn beside(proxy: &Path) -> anyhow::Result<PathBuf> {
    let path = proxy.with_file_name("sluice-control");
    ensure!(path.is_file(), "{} is missing", path.display());
    Ok(path)
}

/// Sends the requests one after the other on one connection.
async fn send(address: SocketAddr, requests: u32) -> anyhow::Result<()> {
    let path = RouteIndex::FIRST.request_path();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n");
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    for number in 0..requests {
        stream.write_all(request.as_bytes()).await?;
        read_answer(&mut stream, &mut buffer)
            .await
            .with_context(|| format!("request {number}"))?;
    }
    Ok(())
}

/// Reads one answer, whose body is known to be [`BODY_BYTES`] long.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the connection ended");
        filled += read;
        let answer = &buffer[..filled];
        if let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") {
            ensure!(
                answer.starts_with(b"HTTP/1.1 200 "),
                "{}",
                String::from_utf8_lossy(answer)
            );
            if filled == head + 4 + BODY_BYTES {
                return Ok(());
            }
        }
    }
}

fn table(baseline: Option<PerRequest>, now: PerRequest) -> String {
    let mut text = String::from("| instructions per request | worker | whole process |\n|---|---|---|\n");
    let mut row = |name: &str, count: PerRequest| {
        text += &format!("| {name} | {:.0} | {:.0} |\n", count.worker, count.process);
    };
    if let Some(baseline) = baseline {
        row("baseline", baseline);
    }
    row("sluice-proxy", now);
    if let Some(baseline) = baseline {
        text += &format!(
            "| ratio | {:.3} | {:.3} |\n",
            now.worker / baseline.worker,
            now.process / baseline.process
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_ratio_only_with_a_baseline() {
        let now = PerRequest {
            worker: 90.0,
            process: 95.0,
        };
        let before = PerRequest {
            worker: 100.0,
            process: 100.0,
        };
        assert!(!table(None, now).contains("ratio"));
        assert!(table(Some(before), now).ends_with("| ratio | 0.900 | 0.950 |\n"));
    }
}
