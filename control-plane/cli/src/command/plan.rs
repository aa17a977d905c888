//! `sluice plan`: what manifests would do, before they do it.

mod markdown;
pub(in crate::command) mod outcome;
mod report;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, Request};
use crate::command::apply::{self, DanglingRefs};
use crate::failure::Failure;
use crate::options::{Files, Format, Prune, Scope};
use crate::outcome::Outcome;
use crate::print;

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    files: Files,
    /// Compare with this revision instead of the newest one
    #[arg(long, value_name = "REVISION")]
    against: Option<u64>,
    #[command(flatten)]
    prune: Prune,
    /// What to do about references to what does not exist
    #[arg(long, value_enum, default_value_t)]
    dangling_refs: DanglingRefs,
}

/// Prints what would change: for people, as a comment on a pull request, or as the control plane has it.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses the manifests or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let sources = options.files.read(&options.prune)?;
    let request = Request::new(Method::POST, &["v1", "plan"])
        .query_if("against", options.against)
        .query_if("prune", options.prune.parameter())
        .query_if("danglingRefs", options.dangling_refs.parameter());
    let answer = apply::send(client, request, &sources, &scope.namespace).await?;
    match scope.output {
        Format::Markdown => print::text(&markdown::of(&answer))?,
        other => print::result(other, &answer, |answer: &Value| Ok(report::of(answer)))?,
    }
    Ok(Outcome::Done)
}
