//! File descriptors: every connection needs one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the number of files this process may open to what the system allows it. Returns that
/// number; connections must stay below it.
pub fn raise_descriptor_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "the limit of open files cannot be raised");
            soft
        }
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}
