//! A simulated fleet: thousands of real gRPC streams to a real control plane.
//!
//! Each [`Crowd`] member is the proxy's end of one stream over a connection of its own. It decodes
//! and verifies every update with the proxies' code, in good or in bad manners ([`Manner`]); only the
//! snapshots that come of it are shared, since ten thousand of them would not fit into memory. A
//! [`Stage`] is the control plane, a process of its own, so that its memory and time can be told.

mod board;
mod builds;
mod crowd;
mod health;
mod link;
mod measure;
mod member;
mod options;
mod report;
mod stage;

pub use crowd::{Crowd, Traffic};
pub use member::Manner;
pub use options::{Case, Options};
pub use stage::{MOVING, Stage};

use anyhow::{Context as _, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::results;

/// Files that are open beside those of the streams.
const OTHER_FILES: u32 = 100;

/// Runs what `options` ask for.
///
/// # Errors
/// When the control plane fails, a member gets what it cannot verify, or too few files may be open.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let needed = u64::from(options.streams + options.herd + 2 * options.rude + OTHER_FILES);
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
    ensure!(
        files >= needed,
        "{needed} files have to be open at once in each of two processes, and {files} may be: see `ulimit -Hn`"
    );
    let report = measure::measure(&options).await?;
    println!("{}", report.markdown());
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&report)?;
        std::fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    if options.write {
        results::write(&report.markdown())?;
    }
    Ok(())
}
