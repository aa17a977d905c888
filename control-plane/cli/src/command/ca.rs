//! `sluice ca`: the certificate authorities of the fleet.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the authorities that are trusted
    Show,
    /// Make a new authority, which takes over by itself and without a break
    Rotate,
}

/// Does it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let request = match options.action {
        Action::Show => Request::get(&["v1", "ca"]),
        Action::Rotate => Request::new(Method::POST, &["v1", "ca", "rotate"]),
    };
    let answer = client.send(request).await?;
    let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
    print::result(scope.output, &answer, table)?;
    Ok(Outcome::Done)
}

fn table(authorities: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["NUMBER", "STAGE", "FOR", "AGE", "EXPIRES IN", "PIN"]);
    for authority in authorities.items("/items") {
        let ms = |pointer: &str| authority.0.pointer(pointer).and_then(Value::as_u64);
        let left = |pointer: &str| listed(ms(pointer).map(|end| time::age(now_ms, end)));
        table.row([
            authority.text_or_none("/number"),
            authority.text_or_none("/stage"),
            left("/stageEndsAtMs"),
            listed(ms("/madeAtMs").map(|made| time::age(made, now_ms))),
            left("/expiresAtMs"),
            authority.text_or_none("/pin"),
        ]);
    }
    table
}
