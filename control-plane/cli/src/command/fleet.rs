//! `sluice fleet`: the proxies, and what they run.

use std::str::FromStr;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::table::{Table, listed};
use crate::{print, time};

mod list;

/// Nothing for the list, or what to do to it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(flatten)]
    listed: list::Listed,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the control planes
    Replicas,
    /// Forget a proxy that is lost and will not come back
    Forget {
        /// Id of the proxy
        #[arg(value_name = "ID")]
        proxy: String,
    },
    /// Set labels of a proxy, or take them away; they count at once
    Label {
        /// Id of the proxy
        #[arg(value_name = "ID")]
        proxy: String,
        /// NAME=VALUE sets a label, NAME- takes it away
        #[arg(value_name = "NAME=VALUE|NAME-", required = true)]
        changes: Vec<Change>,
    },
    /// Take the certificate of a proxy back and cut it off, at once and for good
    Revoke {
        /// Id of the proxy
        #[arg(value_name = "ID")]
        proxy: String,
    },
}

/// A label to set, or to take away.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    name: String,
    value: Option<String>,
}

/// The text is no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write NAME=VALUE to set a label, NAME- to take it away")]
struct ChangeError;

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let (name, value) = match (text.split_once('='), text.strip_suffix('-')) {
            (Some((name, value)), _) => (name, Some(value.to_owned())),
            (None, Some(name)) => (name, None),
            (None, None) => return Err(ChangeError),
        };
        match name.is_empty() {
            true => Err(ChangeError),
            false => Ok(Self {
                name: name.to_owned(),
                value,
            }),
        }
    }
}

/// Prints the list of proxies or of control planes, or does what is asked with one proxy.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    match &options.action {
        None => {
            list::print(client, scope, &options.listed).await?;
        }
        Some(Action::Replicas) => {
            let answer = client.send(Request::get(&["v1", "replicas"])).await?;
            let table = |answer: &Value| Ok(replicas(Manifest(answer), time::now_ms()).to_string());
            print::result(scope.output, &answer, table)?;
        }
        Some(Action::Forget { proxy }) => {
            client
                .send(Request::new(Method::DELETE, &["v1", "fleet", proxy]))
                .await?;
            print::text(&format!("proxy {proxy} forgotten\n"))?;
        }
        Some(Action::Label { proxy, changes }) => {
            let changes = changes.iter().map(|one| (one.name.clone(), json!(one.value)));
            let path = ["v1", "fleet", proxy, "labels"];
            let request = Request::new(Method::PATCH, &path).json(Value::Object(changes.collect()));
            let answer = client.send(request).await?;
            print::result(scope.output, &answer, |answer| {
                let labels = Manifest(answer).pairs("/labels").into_iter();
                let labels = listed(labels.map(|(name, value)| format!("{name}={value}")));
                Ok(format!("proxy {proxy} labelled by operators: {labels}\n"))
            })?;
        }
        Some(Action::Revoke { proxy }) => {
            let path = ["v1", "fleet", proxy, "certificate"];
            client.send(Request::new(Method::DELETE, &path)).await?;
            print::text(&format!("certificate of proxy {proxy} revoked\n"))?;
        }
    }
    Ok(Outcome::Done)
}

fn replicas(answer: Manifest<'_>, now_ms: u64) -> Table {
    let mut table = Table::new(["ID", "ROLE", "PROXIES", "GRPC", "ADMIN", "VERSION", "STARTED"]);
    for replica in answer.items("/replicas") {
        let leads = replica.0.pointer("/leader").and_then(Value::as_bool) == Some(true);
        let started = replica.0.pointer("/startedMs").and_then(Value::as_u64);
        table.row([
            replica.text_or_none("/id"),
            if leads { "leader" } else { "replica" }.to_owned(),
            replica.text_or_none("/proxies"),
            replica.text_or_none("/grpc"),
            replica.text_or_none("/admin"),
            replica.text_or_none("/version"),
            listed(started.map(|started| time::age(started, now_ms))),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_set_or_taken_away() {
        let change = |text: &str| text.parse::<Change>().map(|one| (one.name, one.value));
        let (name, value) = ("zone".to_owned(), "eu".to_owned());
        assert_eq!(change("zone=eu"), Ok((name.clone(), Some(value))));
        assert_eq!(change("zone="), Ok((name.clone(), Some(String::new()))));
        assert_eq!(change("zone-"), Ok((name, None)));
        for wrong in ["zone", "-", "=eu", ""] {
            assert_eq!(change(wrong), Err(ChangeError), "{wrong}");
        }
    }
}
