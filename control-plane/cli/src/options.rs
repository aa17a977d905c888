//! The command line: every command and option, with the help that people read.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use sluice_control::fleet::Quorum;
use sluice_intent::Namespace;

use crate::client::Server;
use crate::command;
use crate::dev;
use crate::failure::Failure;
use crate::source::{Depth, Sources};

/// Change routing all day, and see the whole fleet follow.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) scope: Scope,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which control plane, and as whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// REST address of the control plane
    #[arg(
        long,
        global = true,
        env = "SLUICE_ADMIN",
        help_heading = "Every command",
        default_value = "http://127.0.0.1:7400",
        value_name = "URL"
    )]
    pub(crate) server: Server,
    /// Bearer token; better given in the environment, where `ps` does not show it
    #[arg(
        long,
        global = true,
        env = "SLUICE_TOKEN",
        help_heading = "Every command",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    token: Option<Token>,
}

impl Connection {
    /// The secret to send, if one was given.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_ref().and_then(Token::secret)
    }
}

/// What every command that prints something has in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Scope {
    /// Namespace of resources that do not say theirs
    #[arg(
        short,
        long,
        global = true,
        env = "SLUICE_NAMESPACE",
        help_heading = "Every command",
        default_value = "default",
        value_name = "NS"
    )]
    pub(crate) namespace: Namespace,
    /// How the result is printed
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Every command",
        value_enum,
        default_value_t
    )]
    pub(crate) output: Format,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: aligned columns
    #[default]
    Table,
    /// The control plane's answer as it is
    Json,
    /// The same as YAML
    Yaml,
    /// For comments: a plan, or what lint finds, in Markdown; anything else as a table
    Markdown,
}

impl Format {
    /// Whether people read it, line by line.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Markdown)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run both planes in this process, with sample upstreams, to try things out
    Dev(dev::Options),
    #[command(flatten)]
    Client(ClientCommand),
}

impl Command {
    /// The exit code when it could not do its work.
    pub(crate) fn failed(&self) -> ExitCode {
        match self {
            // 1 says that there are differences, as with diff and git.
            Self::Client(ClientCommand::Diff(_)) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// What a control plane is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Apply manifests: one transaction, one revision
    Apply(command::apply::Options),
    /// Say what manifests would do: which requests get another outcome, with one that shows it
    Plan(command::plan::Options),
    /// Show how manifests differ from what is live: exit code 0 without a difference, 1 with one, 2 if it cannot be told
    Diff(command::diff::Options),
    /// Say what manifests would do to requests that were made: which part of them is answered by another
    Replay(command::replay::Options),
    /// Say what is wrong with manifests, or with what is live, and what is probably not meant
    Lint(command::lint::Options),
    /// Write everything that is live as manifests: files in a directory, or one stream
    Export(command::export::Options),
    /// List resources, or print one
    Get(command::get::Options),
    /// Delete one resource, or those with certain labels
    Delete(command::delete::Options),
    /// Show one resource in full: what it says, its conditions, and which proxies run it
    Describe(command::describe::Options),
    /// List revisions, newest first: who changed what, when and why
    History(command::history::Options),
    /// Show what was done and what was refused, and who asked for it
    Audit(command::audit::Options),
    /// Bring back the content of an older revision, as a new revision
    Rollback(command::rollback::Options),
    /// Show which proxies run a revision, and who refused it and why
    Receipt(command::receipt::Options),
    /// List the proxies and what they run
    Fleet(command::fleet::Options),
    /// Say where a request would go, and why not elsewhere
    Explain(command::explain::Options),
    /// Show and replace the certificate authority of the fleet
    Ca(command::ca::Options),
    /// Make, list and revoke bearer tokens, and tokens that proxies join with
    Token(command::token::Options),
    /// Print the version of this command, and of the control plane when it answers
    Version,
    /// Print a completion script, to be read by the shell
    Completion(command::completion::Options),
}

/// How long to wait for the fleet, and for how much of it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WaitOptions {
    /// Wait so long for proxies to acknowledge, e.g. 30s (exit code 3 when time runs out)
    #[arg(long, value_parser = duration, value_name = "TIME")]
    pub(crate) wait: Option<Duration>,
    /// Share of the live fleet to wait for: 1 is all of it
    #[arg(long, requires = "wait", default_value_t = Quorum::ALL, value_name = "SHARE")]
    pub(crate) quorum: Quorum,
}

/// Manifests to read.
#[derive(Clone, Debug, Args)]
pub(crate) struct Files {
    /// Manifest: a file, a directory (its *.yaml, *.yml and *.json, sorted), or - for standard input
    #[arg(short, long = "filename", required = true, value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    /// Read all that lies below directories, too, but for hidden ones
    #[arg(short = 'R', long)]
    recursive: bool,
}

impl Files {
    /// Reads them. What is deleted if it is not among them is not to be overlooked a directory deeper.
    ///
    /// # Errors
    /// When one of them cannot be read, or a directory holds no manifest.
    pub(crate) fn read(&self, prune: &Prune) -> Result<Sources, Failure> {
        read(&self.filenames, self.recursive, prune)
    }
}

/// Manifests to read, if there are any.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct MaybeFiles {
    /// As if these manifests were applied: a file, a directory (its *.yaml, *.yml and *.json, sorted), or - for
    /// standard input
    #[arg(short, long = "filename", value_name = "FILE|DIR|-")]
    filenames: Vec<PathBuf>,
    /// Read all that lies below directories, too, but for hidden ones
    #[arg(short = 'R', long, requires = "filenames")]
    recursive: bool,
}

impl MaybeFiles {
    /// Reads them; `None` when there are none.
    ///
    /// # Errors
    /// When one of them cannot be read, or a directory holds no manifest.
    pub(crate) fn read(&self, prune: &Prune) -> Result<Option<Sources>, Failure> {
        match self.filenames.is_empty() {
            true => Ok(None),
            false => read(&self.filenames, self.recursive, prune).map(Some),
        }
    }
}

fn read(filenames: &[PathBuf], recursive: bool, prune: &Prune) -> Result<Sources, Failure> {
    let depth = match recursive || prune.parameter().is_some() {
        true => Depth::Tree,
        false => Depth::Directory,
    };
    Sources::read(filenames, depth)
}

/// What is deleted if it is not among the manifests.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Prune {
    /// Delete what is not among the manifests: with SELECTOR what has these labels, wherever it is, else everything
    /// in the namespaces of the manifests; never Secrets. Directories are then read with all that lies below
    #[arg(long, value_name = "SELECTOR", num_args = 0..=1, default_missing_value = Self::NAMESPACES)]
    prune: Option<String>,
    /// With --prune and no SELECTOR: in every namespace
    #[arg(short = 'A', long, requires = "prune")]
    all_namespaces: bool,
}

impl Prune {
    /// Everything in the namespaces of the manifests.
    const NAMESPACES: &str = "*";
    /// Everything.
    const EVERYTHING: &str = "*/*";

    /// The parameter.
    pub(crate) fn parameter(&self) -> Option<&str> {
        match self.prune.as_deref() {
            Some(Self::NAMESPACES) if self.all_namespaces => Some(Self::EVERYTHING),
            other => other,
        }
    }
}

/// Reads a time such as `500ms`, `30s`, `5m`, `1h30m` or `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationError> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit_on) = rest.split_at(digits);
        let letters = unit_on.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = unit_on.split_at(letters);
        let number: u32 = number.parse().map_err(|_| DurationError)?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(60 * 60),
            "d" => Duration::from_secs(24 * 60 * 60),
            _ => return Err(DurationError),
        };
        let part = unit.checked_mul(number).ok_or(DurationError)?;
        total = total.checked_add(part).ok_or(DurationError)?;
        rest = next;
    }
    match text.is_empty() {
        true => Err(DurationError),
        false => Ok(total),
    }
}

/// The text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a number and a unit (ms, s, m, h or d), e.g. 30s")]
pub(crate) struct DurationError;

/// A secret that is sent as a bearer token. Printing it for debugging shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// The secret; nothing when it is empty, as an empty variable counts as none.
    fn secret(&self) -> Option<&str> {
        Some(self.0.as_str()).filter(|secret| !secret.is_empty())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    /// A token travels in a header, so it must be visible ASCII.
    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(text.to_owned())),
            false => Err(TokenError),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The text cannot be a token. It is not repeated, since it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is visible ASCII without spaces")]
pub(crate) struct TokenError;

/// Ends the process as clap does for what it finds wrong itself: with exit code 2.
pub(crate) fn wrong_usage(kind: ErrorKind, message: &str) -> ! {
    Cli::command().error(kind, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_is_visible_ascii_and_never_shown() {
        let token: Token = "secret".parse().unwrap();
        assert_eq!(
            (token.secret(), format!("{token:?}").as_str()),
            (Some("secret"), "Token(..)")
        );
        assert_eq!("".parse::<Token>().unwrap().secret(), None);
        assert_eq!("two words".parse::<Token>(), Err(TokenError));
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "30 s", "1w", "99999999999s"] {
            assert_eq!(duration(wrong), Err(DurationError), "{wrong}");
        }
    }
}
