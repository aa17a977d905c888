//! `sluice fleet`: the proxies, and what they run.

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

/// Nothing for the list, or what to do to it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Forget a proxy that is lost and will not come back
    Forget {
        /// Id of the proxy
        #[arg(value_name = "ID")]
        proxy: String,
    },
}

/// Prints the list, or forgets a proxy.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    match &options.action {
        None => {
            let answer = client.send(Request::get(&["v1", "fleet"])).await?;
            let table = |answer: &Value| Ok(table(Manifest(answer), time::now_ms()).to_string());
            print::result(scope.output, &answer, table)?;
        }
        Some(Action::Forget { proxy }) => {
            client
                .send(Request::new(Method::DELETE, &["v1", "fleet", proxy]))
                .await?;
            print::text(&format!("proxy {proxy} forgotten\n"))?;
        }
    }
    Ok(Outcome::Done)
}

fn table(fleet: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new([
        "ID",
        "STATE",
        "REVISION",
        "BEHIND",
        "VERSION",
        "SINCE",
        "LISTENERS",
        "LABELS",
    ]);
    for proxy in fleet.items("/proxies") {
        let labels = proxy.pairs("/labels").into_iter();
        let since = proxy.0.pointer("/sinceMs").and_then(Value::as_u64);
        table.row([
            proxy.text_or_none("/id"),
            proxy.text_or_none("/state"),
            proxy.text_or_none("/revision"),
            proxy.text_or_none("/behind"),
            proxy.text_or_none("/version"),
            listed(since.map(|since| time::age(since, now_ms))),
            listed(proxy.items("/listeners").map(listener)),
            listed(labels.map(|(name, value)| format!("{name}={value}"))),
        ]);
    }
    table
}

/// `http=127.0.0.1:7480`.
fn listener(listener: Manifest<'_>) -> String {
    format!(
        "{}={}",
        listener.text_or_none("/name"),
        listener.text_or_none("/address")
    )
}
