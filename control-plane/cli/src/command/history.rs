//! `sluice history`: revisions, newest first.

use crate::answer::Revision;
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};
use clap::Args;

/// How much of the history.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// At most so many revisions
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Only revisions before this one
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
}

/// Prints the list.
///
/// # Errors
/// When the control plane does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let request = Request::get(&["v1", "revisions"])
        .query("limit", options.limit)
        .query_if("before", options.before);
    let answer = client.send(request).await?;
    print::result(scope.output, &answer, |answer| {
        let revisions: Vec<Revision> = client.read(answer["items"].clone())?;
        Ok(table(&revisions, time::now_ms()).to_string())
    })?;
    Ok(Outcome::Done)
}

fn table(revisions: &[Revision], now_ms: u64) -> Table {
    let mut table = Table::new(["REVISION", "AGE", "AUTHOR", "CHANGES", "RECEIPT", "MESSAGE"]);
    for revision in revisions {
        table.row([
            revision.revision.to_string(),
            time::age(revision.created_at_ms, now_ms),
            revision.author.clone(),
            revision
                .changes_count
                .unwrap_or(revision.changes.len())
                .to_string(),
            listed(revision.receipt.as_ref()),
            revision.message.clone(),
        ]);
    }
    table
}
