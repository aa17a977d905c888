//! `sluice token join`: who may join the fleet.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::token;
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Scope, duration};
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Make a token that lets one proxy join, and print it: this is the only time that it can be seen
    Create {
        /// The only proxy that may use it; any without
        #[arg(long, value_name = "ID")]
        proxy: Option<String>,
        /// A label that the proxy has from then on, whatever it says of itself; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
        label: Vec<(String, String)>,
        /// How long it is accepted, a week at most
        #[arg(long, value_parser = duration, value_name = "TIME", default_value = "1h")]
        expires: Duration,
    },
    /// List join tokens, without their secrets
    List,
    /// Withdraw a join token, at once; who used it keeps its certificate
    Revoke {
        /// Id of the token, as `token join list` shows it
        id: String,
    },
}

const PATH: [&str; 2] = ["v1", "join-tokens"];

/// Does it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, action: &Action) -> Result<Outcome, Failure> {
    match action {
        Action::Create {
            proxy,
            label,
            expires,
        } => {
            let labels = label
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()));
            let mut body = json!({
                "labels": labels.collect::<Map<String, Value>>(),
                "expiresInSeconds": expires.as_secs(),
            });
            if let Some(proxy) = proxy {
                body["proxy"] = proxy.as_str().into();
            }
            token::made(client, scope, &PATH, body).await?;
        }
        Action::List => {
            let answer = client.send(Request::get(&PATH)).await?;
            let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
            print::result(scope.output, &answer, table)?;
        }
        Action::Revoke { id } => {
            let [version, tokens] = PATH;
            let path = [version, tokens, id];
            client.send(Request::new(Method::DELETE, &path)).await?;
            print::text(&format!("join token {id} revoked\n"))?;
        }
    }
    Ok(Outcome::Done)
}

fn table(tokens: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["ID", "PROXY", "STATE", "AGE", "LABELS"]);
    for token in tokens.items("/items") {
        let time = |pointer: &str| token.0.pointer(pointer).and_then(Value::as_u64);
        let state = match (time("/usedAtMs"), time("/revokedAtMs"), time("/expiresAtMs")) {
            (Some(_), _, _) => format!("used by {}", token.text_or_none("/usedBy")),
            (None, Some(_), _) => "revoked".into(),
            (None, None, Some(end)) if end > now_ms => format!("expires in {}", time::age(now_ms, end)),
            (None, None, _) => "expired".into(),
        };
        let labels = token.pairs("/labels").into_iter();
        table.row([
            token.text_or_none("/id"),
            token.text_or_none("/proxy"),
            state,
            listed(time("/createdAtMs").map(|created| time::age(created, now_ms))),
            listed(labels.map(|(name, value)| format!("{name}={value}"))),
        ]);
    }
    table
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is KEY=VALUE"),
    }
}
