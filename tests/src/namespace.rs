//! A network namespace with one link to this one, which can be cut: packets are lost, and nobody is
//! told. Needs to be root, and `ip` of iproute2.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::process;

/// Which places this process has taken.
static TAKEN: Mutex<[bool; AT_A_TIME]> = Mutex::new([false; AT_A_TIME]);
/// Most of a process at a time.
const AT_A_TIME: usize = 4;

/// Removed with its owner.
#[derive(Debug)]
pub struct Namespace {
    place: usize,
    name: String,
    link: String,
    outside: Ipv4Addr,
    inside: Ipv4Addr,
}

impl Namespace {
    /// Makes one; a process has four at a time at most.
    ///
    /// # Errors
    /// When this process is not root or has four, or the system knows no namespaces.
    pub fn new() -> anyhow::Result<Self> {
        let process = std::process::id();
        let place = take_place()?;
        // A /30 of the benchmarking range (RFC 2544), by the id of the process.
        let index = (process % 0x1fff) * AT_A_TIME as u32 + place as u32;
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + index * 4;
        let namespace = Self {
            place,
            name: format!("sluice-{process}-{place}"),
            link: format!("sl{process:x}n{place}"),
            outside: Ipv4Addr::from(base + 1),
            inside: Ipv4Addr::from(base + 2),
        };
        let Self { name, link, .. } = &namespace;
        let peer = format!("{link}p");
        ip(&["netns", "add", name])?;
        ip(&[
            "link", "add", link, "type", "veth", "peer", "name", &peer, "netns", name,
        ])?;
        ip(&[
            "address",
            "add",
            &format!("{}/30", namespace.outside),
            "dev",
            link,
        ])?;
        ip(&["link", "set", link, "up"])?;
        ip(&[
            "-n",
            name,
            "address",
            "add",
            &format!("{}/30", namespace.inside),
            "dev",
            &peer,
        ])?;
        ip(&["-n", name, "link", "set", &peer, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Where those inside are reached from outside.
    pub fn inside(&self) -> IpAddr {
        self.inside.into()
    }

    /// A command that runs `program` inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = process::command("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs `work` on a thread of its own whose sockets are inside, where a cut does not reach.
    pub fn work<T, W>(&self, work: impl FnOnce() -> W + Send + 'static) -> JoinHandle<anyhow::Result<T>>
    where
        T: Send + 'static,
        W: Future<Output = anyhow::Result<T>>,
    {
        work_in(file(&self.name), work)
    }

    /// Cuts the link, or mends it.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn cut(&self, cut: bool) -> anyhow::Result<()> {
        ip(&["link", "set", &self.link, if cut { "down" } else { "up" }])
    }

    /// Carries connections from inside to `port` of this host's loopback, until dropped; where to
    /// connect.
    ///
    /// # Errors
    /// When there is no port left.
    pub async fn carry(&self, port: u16) -> anyhow::Result<(SocketAddr, AbortOnDropHandle<()>)> {
        let listener = TcpListener::bind((self.outside, 0)).await?;
        let address = listener.local_addr()?;
        let carrying = tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                        // Either end may break: that is what this is for.
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut server).await;
                    }
                });
            }
        });
        Ok((address, AbortOnDropHandle::new(carrying)))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.link]);
        let _ = ip(&["netns", "delete", &self.name]);
        places()[self.place] = false;
    }
}

/// A place that no namespace of this process has, until it is given back.
fn take_place() -> anyhow::Result<usize> {
    let mut places = places();
    let free = places.iter().position(|taken| !taken);
    let place = free.with_context(|| format!("{AT_A_TIME} namespaces are there already"))?;
    places[place] = true;
    Ok(place)
}

fn places() -> MutexGuard<'static, [bool; AT_A_TIME]> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file of the namespace `name`.
pub(crate) fn file(name: &str) -> String {
    format!("/run/netns/{name}")
}

/// Runs `work` on a thread of its own whose sockets are in the namespace of `file`.
pub(crate) fn work_in<T, W>(
    file: String,
    work: impl FnOnce() -> W + Send + 'static,
) -> JoinHandle<anyhow::Result<T>>
where
    T: Send + 'static,
    W: Future<Output = anyhow::Result<T>>,
{
    std::thread::spawn(move || {
        setns(File::open(file)?, CloneFlags::CLONE_NEWNET)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(work())
    })
}

/// Runs `ip`.
pub(crate) fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip of iproute2")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments:?}: {error}");
    Ok(())
}
