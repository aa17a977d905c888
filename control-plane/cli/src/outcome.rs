//! How a command ended, as scripts see it.

use std::process::ExitCode;

/// The end of a command that could do its work. What could not is a
/// [`Failure`](crate::failure::Failure); wrong usage is clap's, with exit code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done: exit code 0.
    Done,
    /// Proxies refused it, so that the quorum cannot be met any more: exit code 1.
    Refused,
    /// What was compared differs: exit code 1.
    Different,
    /// The time to wait ran out before the quorum was met: exit code 3.
    TimedOut,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Refused | Outcome::Different => 1,
            Outcome::TimedOut => 3,
        })
    }
}
