//! `sluice token`: who may talk to the control plane.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::join_token;
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Scope, duration};
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
    /// Make a token and print it: this is the only time that it can be seen
    Create {
        /// What it is for; stands in the history as the author of its changes
        name: String,
        /// How long it is accepted, e.g. 90d; without, until it is revoked
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires: Option<Duration>,
    },
    /// Tokens that proxies join the fleet with
    #[command(subcommand)]
    Join(join_token::Action),
    /// List tokens, without their secrets
    List,
    /// Withdraw a token, at once
    Revoke {
        /// Id of the token, as `token list` shows it
        id: String,
    },
}

/// Does it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    match &options.action {
        Action::Create { name, expires } => {
            let body = match expires {
                Some(time) => json!({"name": name, "expiresInSeconds": time.as_secs()}),
                None => json!({"name": name}),
            };
            let request = Request::new(Method::POST, &["v1", "tokens"]).json(body);
            let answer = client.send(request).await?;
            print::result(scope.output, &answer, |answer| {
                Ok(format!("{}\n", Manifest(answer).text_or_none("/token")))
            })?;
        }
        Action::Join(action) => return join_token::run(client, scope, action).await,
        Action::List => {
            let answer = client.send(Request::get(&["v1", "tokens"])).await?;
            let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
            print::result(scope.output, &answer, table)?;
        }
        Action::Revoke { id } => {
            client
                .send(Request::new(Method::DELETE, &["v1", "tokens", id]))
                .await?;
            print::text(&format!("token {id} revoked\n"))?;
        }
    }
    Ok(Outcome::Done)
}

fn table(tokens: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["ID", "NAME", "STATE", "AGE"]);
    for token in tokens.items("/items") {
        let time = |pointer: &str| token.0.pointer(pointer).and_then(Value::as_u64);
        let state = match (time("/revokedAtMs"), time("/expiresAtMs")) {
            (Some(_), _) => "revoked".into(),
            (None, Some(end)) if end <= now_ms => "expired".into(),
            (None, Some(end)) => format!("expires in {}", time::age(now_ms, end)),
            (None, None) => "valid".into(),
        };
        table.row([
            token.text_or_none("/id"),
            token.text_or_none("/name"),
            state,
            listed(time("/createdAtMs").map(|created| time::age(created, now_ms))),
        ]);
    }
    table
}
