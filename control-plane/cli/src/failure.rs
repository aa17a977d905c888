//! Why a command could not do its work, and what the reader may do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use crate::client::{Problem, Server};
use crate::dev::StartFailure;

/// Everything that ends a command with exit code 1 and a message on standard error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection to the control plane.
    #[error(
        "cannot reach the control plane at {server}: {}\n  \
         start one here with `sluice dev`, or name another with --server or SLUICE_ADMIN",
        innermost(.source)
    )]
    Unreachable {
        /// Which one.
        server: Server,
        /// Why not.
        source: reqwest::Error,
    },
    /// The connection was lost, or the answer did not come in time.
    #[error("no answer from the control plane at {server}: {}", innermost(.source))]
    Lost {
        /// Which one.
        server: Server,
        /// What happened.
        source: reqwest::Error,
    },
    /// The request carried no token, or one that is not accepted.
    #[error(
        "the control plane at {server} does not accept {}\n  \
         set SLUICE_TOKEN (or --token); `sluice dev` prints its token when it starts",
        if *.given { "this token" } else { "requests without a token" }
    )]
    Unauthorized {
        /// Which one.
        server: Server,
        /// Whether a token was sent.
        given: bool,
    },
    /// The control plane refused.
    #[error("{0}")]
    Refused(Problem),
    /// An answer that is not what this version expects.
    #[error("cannot read the answer of the control plane at {server}: {source}")]
    Answer {
        /// Which one.
        server: Server,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file or directory that was named cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An answer names a resource in a way that no resource is named.
    #[error("the control plane sent a manifest without a right kind, namespace and name")]
    Nameless,
    /// A directory that was named has no manifests.
    #[error("{}: no *.yaml, *.yml or *.json file in this directory", .0.display())]
    NoManifests(PathBuf),
    /// A directory to be read with all that lies below has a link to another one.
    #[error("{}: is a link to a directory, which is not followed: name what it leads to with -f, too, and put the link elsewhere", .0.display())]
    Link(PathBuf),
    /// A file named `.json` is not JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// Which one.
        path: PathBuf,
        /// Where and why not.
        source: serde_json::Error,
    },
    /// There is nothing to replay.
    #[error(
        "no requests were sampled: start proxies with `sluice-proxy --sample-requests N`, or name a log with --log"
    )]
    NoSamples,
    /// Standard output does not take what was to be printed.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The runtime, a signal handler or another part of the operating system is not to be had.
    #[error("{0}")]
    System(io::Error),
    /// `sluice dev` could not start.
    #[error("{0}")]
    Start(#[from] StartFailure),
}

/// The cause at the end of the chain: what the operating system said, without the layers between.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An error and its causes in one line, as far as they say something new.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
