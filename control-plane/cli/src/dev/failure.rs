//! Why `sluice dev` could not start.

use std::io;
use std::path::PathBuf;

use crate::client::{Aligned, ServerError, Violation};
use crate::failure::chain;

/// Everything that keeps `sluice dev` from serving.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartFailure {
    /// Neither `XDG_STATE_HOME` nor `HOME` is set.
    #[error("there is no home directory; say where to keep data with --data-dir")]
    NoHome,
    /// The data directory cannot be made, read or written.
    #[error("data directory {}: {source}", path.display())]
    DataDir {
        /// Which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has locked it.
    #[error("another sluice dev is using {}; name another with --data-dir", .0.display())]
    DataDirInUse(PathBuf),
    /// A sample upstream cannot listen.
    #[error("sample upstream {name}: {source}")]
    Sample {
        /// Which one.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The control plane did not start.
    #[error("{}", chain(.0))]
    Control(#[from] sluice_control::StartError),
    /// The control plane listens where no client can find it.
    #[error("{0}")]
    Server(#[from] ServerError),
    /// A proxy did not start.
    #[error("proxy {id}: {}", chain(source))]
    Proxy {
        /// Which one.
        id: String,
        /// Why not.
        source: sluice_proxy::StartError,
    },
    /// A proxy cannot serve what is applied; most often a port is in use.
    #[error("proxy {proxy} cannot serve:\n{}", Aligned(violations))]
    Refused {
        /// Which one.
        proxy: String,
        /// Why.
        violations: Vec<Violation>,
    },
    /// Proxies do not acknowledge, without saying why.
    #[error("the proxies did not take over the configuration within {seconds} s")]
    Slow {
        /// How long was waited.
        seconds: u64,
    },
}
