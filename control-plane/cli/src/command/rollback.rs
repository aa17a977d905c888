//! `sluice rollback`: an older revision's content, as a new revision.

use clap::Args;
use reqwest::Method;

use crate::client::{Client, Request};
use crate::command::written;
use crate::failure::Failure;
use crate::options::{Scope, WaitOptions};
use crate::outcome::Outcome;

/// What to bring back.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The revision whose content is brought back
    #[arg(value_name = "REVISION")]
    revision: u64,
    #[command(flatten)]
    wait: WaitOptions,
    /// Fail if anything that it would change has changed after this revision
    #[arg(long, value_name = "REVISION")]
    base_revision: Option<u64>,
    /// Why; kept in the history
    #[arg(short, long)]
    message: Option<String>,
}

/// Rolls back, and waits for the fleet if asked to.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let revision = options.revision.to_string();
    let path = ["v1", "revisions", &revision, "rollback"];
    let request = Request::new(Method::POST, &path)
        .query_if("baseRevision", options.base_revision)
        .query_if("message", options.message.as_deref())
        .idempotent();
    let answer = client.send(request).await?;
    written::report(client, scope.output, answer, options.wait, false).await
}
