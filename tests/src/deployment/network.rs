//! Hosts on a network of their own: network namespaces on one bridge, which nothing outside reaches.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use anyhow::Context as _;

use crate::namespace::{self, ip, work_in};

/// The network of the bridge, in a namespace of its own.
const NETWORK: [u8; 3] = [10, 77, 0];

/// Namespaces of this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A bridge and the hosts on it. Dropping it takes them all away.
#[derive(Debug)]
pub struct Network {
    bridge: String,
    hosts: Vec<Host>,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    /// Its address on the network.
    pub address: Ipv4Addr,
}

impl Network {
    /// A network without hosts.
    ///
    /// # Errors
    /// Without root, or without network namespaces.
    pub fn new() -> anyhow::Result<Self> {
        let network = Self {
            bridge: namespace()?,
            hosts: Vec::new(),
        };
        network.on_bridge(&["link", "add", "br0", "type", "bridge"])?;
        network.on_bridge(&["link", "set", "br0", "up"])?;
        Ok(network)
    }

    /// One more host.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn host(&mut self) -> anyhow::Result<Host> {
        let number = u8::try_from(self.hosts.len() + 1).context("too many hosts")?;
        let [a, b, c] = NETWORK;
        let host = Host {
            namespace: namespace()?,
            address: Ipv4Addr::new(a, b, c, number),
        };
        self.hosts.push(host.clone());
        let (port, namespace) = (format!("p{number}"), host.namespace.as_str());
        let pair = [
            "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", namespace,
        ];
        self.on_bridge(&pair)?;
        self.on_bridge(&["link", "set", &port, "master", "br0", "up"])?;
        let address = format!("{}/24", host.address);
        ip(&["-n", namespace, "address", "add", &address, "dev", "eth0"])?;
        for device in ["lo", "eth0"] {
            ip(&["-n", namespace, "link", "set", device, "up"])?;
        }
        Ok(host)
    }

    fn on_bridge(&self, arguments: &[&str]) -> anyhow::Result<()> {
        ip(&[&["-n", self.bridge.as_str()], arguments].concat())
    }
}

impl Host {
    fn file(&self) -> String {
        namespace::file(&self.namespace)
    }

    /// A command on this host, with the files of this machine.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = crate::process::command("nsenter");
        command.arg(format!("--net={}", self.file())).arg(program);
        command
    }

    /// Runs `work` on a thread of its own whose sockets are this host's.
    pub fn work<T, W>(&self, work: impl FnOnce() -> W + Send + 'static) -> JoinHandle<anyhow::Result<T>>
    where
        T: Send + 'static,
        W: Future<Output = anyhow::Result<T>>,
    {
        work_in(self.file(), work)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let names = self.hosts.iter().map(|host| &host.namespace);
        for name in names.chain([&self.bridge]) {
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

/// A new namespace; its name.
fn namespace() -> anyhow::Result<String> {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("sluice-net-{}-{number}", std::process::id());
    ip(&["netns", "add", &name])?;
    Ok(name)
}
