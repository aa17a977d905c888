//! `sluice plan`: what manifests would do, before they do it.

mod markdown;
pub(in crate::command) mod outcome;
mod reading;
mod report;

use clap::Args;

use crate::client::Client;
use crate::command::proposal::Proposal;
use crate::failure::Failure;
use crate::options::{Format, Scope};
use crate::outcome::Outcome;
use crate::print;
use reading::Reading;

/// What to plan.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    proposal: Proposal,
}

/// Prints what would change: for people, as a comment on a pull request, or as the control plane has it.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses the manifests or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let asked = options.proposal.ask(client, &["v1", "plan"], &scope.namespace);
    let answer = asked.await?;
    let reading = Reading::of(&answer);
    match scope.output {
        Format::Markdown => print::text(&markdown::of(&reading))?,
        other => print::result(other, &answer, |_| Ok(report::of(&reading)))?,
    }
    Ok(Outcome::Done)
}
