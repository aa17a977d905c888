//! Options of `sluice dev`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use sluice_proxy::PortMapping;

/// Most proxies that one process runs: each needs a loopback address and threads of its own.
const MAX_PROXIES: i64 = 16;

/// What to run, and where.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Where everything is kept [default: $XDG_STATE_HOME/sluice/dev or ~/.local/state/sluice/dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the REST interface listens; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:7400", value_name = "ADDR")]
    pub(crate) admin: SocketAddr,
    /// Where proxies connect; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:7401", value_name = "ADDR")]
    pub(crate) grpc: SocketAddr,
    /// How many proxies: dev-1 on 127.0.0.1, dev-2 on 127.0.0.2, and so on
    #[arg(long, default_value_t = 2, value_name = "N",
          value_parser = clap::value_parser!(u8).range(1..=MAX_PROXIES))]
    pub(crate) proxies: u8,
    /// Bind a Gateway's port FROM at TO instead; 0 is any free port
    #[arg(long, default_value = "80=7480", value_name = "FROM=TO")]
    pub(crate) port_map: Vec<PortMapping>,
    /// Start without sample upstreams and without the example
    #[arg(long)]
    pub(crate) no_sample: bool,
    /// Manifests to apply at the start: files, directories, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    pub(crate) filenames: Vec<PathBuf>,
}
