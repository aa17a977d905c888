//! What `deploy/` says, run as it says it: every program in a network namespace of its own, with the
//! arguments, variables, files, user and read-only root that are written there.

mod compose;
mod document;
mod image;
mod kubernetes;
pub mod manifests;
mod network;
mod pod;
mod systemd;

use std::path::PathBuf;

pub use compose::{Service, compose};
pub use document::commands;
pub use kubernetes::{Kubernetes, Objects, kubernetes};
pub use network::{Host, Network};
pub use pod::{Files, Pod, Volume};
pub use systemd::{Unit, unit};

/// The directory `deploy/` of the repository.
pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// `$(NAME)`, `${NAME}` or whatever `open` and `close` are, replaced by what `value` has for it.
///
/// # Errors
/// When a name has no value, or is not closed.
fn expand(
    text: &str,
    (open, close): (&str, &str),
    value: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let (name, after) = after
            .split_once(close)
            .ok_or_else(|| anyhow::anyhow!("{text}: {open} is not closed"))?;
        let value = value(name).ok_or_else(|| anyhow::anyhow!("{text}: {name} has no value"))?;
        expanded.push_str(before);
        expanded.push_str(&value);
        rest = after;
    }
    Ok(expanded + rest)
}

/// Lines `NAME=VALUE`.
fn variables(text: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
}
