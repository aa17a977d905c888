//! What a proxy is started with, apart from the snapshot it is sent.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use crate::{
    access_log::{Format, Sink},
    memory::MemoryLimit,
    sampling::Sampling,
};

/// Settings of one proxy.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name in the fleet.
    pub id: String,
    /// Labels in the fleet, by name.
    pub labels: BTreeMap<String, String>,
    /// Control planes (`HOST:PORT`), tried in turn. Never empty when the proxy is to learn anything.
    pub control: Vec<String>,
    /// Where the last good snapshot is kept; nowhere when absent.
    pub state_dir: Option<PathBuf>,
    /// File of the token that the proxy joins the fleet with when it has no certificate.
    pub join_token_file: Option<PathBuf>,
    /// Keys that the snapshot is sealed under; a file of the state directory's own when absent.
    pub key_file: Option<PathBuf>,
    /// Where `/ready /live /metrics /config` are served.
    pub admin: SocketAddr,
    /// Address that listeners are bound to.
    pub bind: IpAddr,
    /// Ports that listeners are moved to.
    pub port_map: PortMap,
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Most client connections of one worker; further ones are closed at once, and counted.
    pub max_connections: usize,
    /// How much memory the process may have; past it new requests get 503.
    pub memory: MemoryLimit,
    /// Where the access log goes.
    pub access_log: Sink,
    /// What a line of it looks like.
    pub access_log_format: Format,
    /// Whether responses say which revision, route and variant they come from.
    pub provenance: bool,
    /// What is kept of requests, for replays; nothing when absent.
    pub sampling: Option<Sampling>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl Config {
    /// A proxy called `id` that listens on loopback, with every other setting at its default.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            labels: BTreeMap::new(),
            control: Vec::new(),
            state_dir: None,
            join_token_file: None,
            key_file: None,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            bind: Ipv4Addr::LOCALHOST.into(),
            port_map: PortMap::default(),
            workers: NonZeroUsize::MIN,
            max_connections: 65_536,
            memory: MemoryLimit::default(),
            access_log: Sink::Off,
            access_log_format: Format::Json,
            provenance: false,
            sampling: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// Limits in time that no route overrides, except `response_head`.
///
/// Those over a second are checked every quarter of a second. What a route or a backend sets for
/// itself is kept to the millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From a request sent to the head of the response, for rules without timeouts of their own.
    pub response_head: Duration,
    /// An upstream connection kept for the next request.
    pub upstream_idle: Duration,
    /// An upgraded connection (WebSocket) on which neither side says anything.
    pub upgraded_idle: Duration,
    /// What is under way when the proxy stops, or when its port goes.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response_head: Duration::from_secs(60),
            upstream_idle: Duration::from_secs(60),
            upgraded_idle: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
        }
    }
}

/// Which ports of Gateways are bound elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMap(BTreeMap<u16, u16>);

/// Why a text is no `FROM=TO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortMapError {
    /// No `=` between two ports.
    #[error("a port mapping is FROM=TO, as in 80=8080")]
    Shape,
    /// FROM is 0.
    #[error("0 is no port of a Gateway")]
    From,
}

/// One `FROM=TO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// The port a Gateway names.
    pub from: u16,
    /// The port that is bound; 0 is any free one.
    pub to: u16,
}

impl PortMap {
    /// The port to bind for `port` of a Gateway; 0 is any free one.
    pub fn bound(&self, port: u16) -> u16 {
        self.0.get(&port).copied().unwrap_or(port)
    }
}

impl FromIterator<PortMapping> for PortMap {
    fn from_iter<I: IntoIterator<Item = PortMapping>>(mappings: I) -> Self {
        Self(mappings.into_iter().map(|one| (one.from, one.to)).collect())
    }
}

impl FromStr for PortMapping {
    type Err = PortMapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once('=').ok_or(PortMapError::Shape)?;
        let port = |text: &str| text.parse().map_err(|_| PortMapError::Shape);
        match port(from)? {
            0 => Err(PortMapError::From),
            from => Ok(Self { from, to: port(to)? }),
        }
    }
}

impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.from, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_not_mapped_stays() {
        let map: PortMap = ["80=8080", "443=0"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!((map.bound(80), map.bound(443), map.bound(81)), (8080, 0, 81));
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        assert_eq!("80".parse::<PortMapping>(), Err(PortMapError::Shape));
        assert_eq!("80=70000".parse::<PortMapping>(), Err(PortMapError::Shape));
        assert_eq!("0=80".parse::<PortMapping>(), Err(PortMapError::From));
    }
}
