//! File descriptors: every stream of a proxy needs one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the number of files this process may open to what the system allows it; that number.
pub fn raise_descriptor_limit() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    usize::try_from(raised.map_or(soft, |()| hard)).unwrap_or(usize::MAX)
}
