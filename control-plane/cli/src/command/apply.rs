//! `sluice apply`: manifests in, one revision out.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::Value;
use sluice_intent::Namespace;

use crate::client::{Client, Request};
use crate::command::written;
use crate::failure::Failure;
use crate::options::{Files, Prune, Scope, WaitOptions};
use crate::outcome::Outcome;
use crate::source::Sources;

/// Where manifests are applied.
const PATH: [&str; 2] = ["v1", "apply"];

/// What to apply, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    files: Files,
    /// Check everything and say what would change, but write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitOptions,
    #[command(flatten)]
    prune: Prune,
    /// Fail if a touched resource has changed after this revision
    #[arg(long, value_name = "REVISION")]
    base_revision: Option<u64>,
    /// What to do about references to what does not exist
    #[arg(long, value_enum, default_value_t)]
    dangling_refs: DanglingRefs,
    /// Why; kept in the history
    #[arg(short, long)]
    message: Option<String>,
}

/// What to do about references to what does not exist.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum DanglingRefs {
    /// They are violations
    #[default]
    Refuse,
    /// They are warnings, and their share of requests is answered 500
    Warn,
}

/// Applies the manifests, and waits for the fleet if asked to.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let sources = options.files.read(&options.prune)?;
    let request = Request::new(Method::POST, &PATH)
        .query_if("dryRun", options.dry_run.then_some(true))
        .query_if("prune", options.prune.parameter())
        .query_if("baseRevision", options.base_revision)
        .query_if("message", options.message.as_deref())
        .query_if("danglingRefs", options.dangling_refs.parameter());
    let answer = send(client, request.idempotent(), &sources, &scope.namespace).await?;
    written::report(client, scope.output, answer, options.wait, options.dry_run).await
}

/// Applies `sources` with everything else at its default.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn plain(
    client: &Client,
    sources: &Sources,
    namespace: &Namespace,
    message: &str,
) -> Result<Value, Failure> {
    let request = Request::new(Method::POST, &PATH).query("message", message);
    send(client, request.idempotent(), sources, namespace).await
}

impl DanglingRefs {
    /// The parameter, unless it is what the control plane does anyway.
    pub(crate) const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Refuse => None,
            Self::Warn => Some("warn"),
        }
    }
}

/// Sends manifests. What is wrong with them is said of the files.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn send(
    client: &Client,
    request: Request<'_>,
    sources: &Sources,
    namespace: &Namespace,
) -> Result<Value, Failure> {
    let request = request.query("namespace", namespace).yaml(sources.body());
    let sent = client.send(request).await;
    sent.map_err(|failure| in_files(failure, sources, namespace))
}

/// The same failure, said of the files that manifests came from.
pub(crate) fn in_files(failure: Failure, sources: &Sources, namespace: &Namespace) -> Failure {
    match failure {
        Failure::Refused(problem) => Failure::Refused(sources.locate(problem, namespace)),
        other => other,
    }
}
