//! `sluice audit`: what was done and what was refused, newest first.

use clap::Args;
use serde_json::Value;

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};

/// Which lines of the trail.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// At most so many lines
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Only lines before this one
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
    /// Only what was done with tokens of this name
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Only what was done in this way, e.g. commit or refused
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
}

/// Prints the lines.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let request = Request::get(&["v1", "audit"])
        .query("limit", options.limit)
        .query_if("before", options.before)
        .query_if("author", options.author.as_deref())
        .query_if("action", options.action.as_deref());
    let answer = client.send(request).await?;
    let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
    print::result(scope.output, &answer, table)?;
    Ok(Outcome::Done)
}

fn table(lines: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["ID", "AGE", "AUTHOR", "ACTION", "REVISION", "DETAIL"]);
    for line in lines.items("/items") {
        let number = |pointer: &str| line.0.pointer(pointer).and_then(Value::as_u64);
        // One line each: a refusal names one place after the other.
        let detail = line.text_or_none("/detail").replace('\n', "; ");
        table.row([
            listed(number("/id")),
            listed(number("/atMs").map(|at| time::age(at, now_ms))),
            line.text_or_none("/author"),
            line.text_or_none("/action"),
            listed(number("/revision")),
            detail,
        ]);
    }
    table
}
