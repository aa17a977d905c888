//! `sluice replay`: what manifests would do to requests that were made.

mod markdown;
mod reading;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;
use reqwest::header::HeaderName;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::command::apply;
use crate::command::explain::Label;
use crate::command::proposal::Proposal;
use crate::failure::Failure;
use crate::log::{self, Defaults, Key, Log};
use crate::options::{Format, Scope, duration, wrong_usage};
use crate::outcome::Outcome;
use crate::print;
use crate::source::Sources;
use reading::Reading;

/// What to replay, and against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    proposal: Proposal,
    /// Access log with the requests, as often as needed; - for standard input. Without one, the requests that
    /// proxies sampled
    #[arg(long = "log", value_name = "FILE|-")]
    logs: Vec<PathBuf>,
    /// How far back samples go
    #[arg(long, value_parser = duration, value_name = "TIME", default_value = "24h", conflicts_with = "logs")]
    since: Duration,
    /// How its lines are written
    #[arg(long, value_enum, default_value_t, requires = "logs")]
    format: log::Format,
    /// Host of lines that have none
    #[arg(long, requires = "logs", value_name = "HOST")]
    host: Option<String>,
    /// The Gateway's port that they came in on; else the first that fits and where a rule takes them
    #[arg(long, requires = "logs", value_name = "PORT")]
    port: Option<u16>,
    /// Whether they came over TLS
    #[arg(long, requires = "logs", value_name = "http|https", value_parser = ["http", "https"])]
    scheme: Option<String>,
    /// Tell requests apart by the User-Agent that nginx and Envoy write, for rules that ask for it
    #[arg(long, requires = "logs")]
    user_agent: bool,
    /// A header that lines would have had if the request had had it, as often as needed; * for all
    #[arg(long, requires = "logs", value_name = "HEADER", value_parser = recorded)]
    recorded: Vec<String>,
    /// On proxies with this label, as often as needed; without any, a log on one that has none, and samples each on
    /// its own
    #[arg(long = "label", value_name = "NAME=VALUE", conflicts_with = "proxy")]
    labels: Vec<Label>,
    /// On this proxy
    #[arg(long, value_name = "ID")]
    proxy: Option<String>,
}

/// The name of a header, or `*`.
fn recorded(text: &str) -> Result<String, &'static str> {
    match text == "*" || text.parse::<HeaderName>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err("write the name of a header, or *"),
    }
}

/// What is sent.
#[derive(Debug, Serialize)]
struct Brought<'a> {
    manifests: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Counted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    recorded: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<BTreeMap<&'a str, &'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<&'a str>,
}

/// A kind of request, and how often it was made.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    key: Key,
    weight: u64,
}

/// Prints what would become of the requests in the logs, or of those that proxies sampled. Exit code 2 when no line
/// can be read, and 1 when nothing was sampled or no request can be judged.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses the manifests or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let sources = options.proposal.read()?;
    let log = (!options.logs.is_empty()).then(|| read(options)).transpose()?;
    let told = log.as_ref().map(told);
    let request = options
        .proposal
        .request(&["v1", "replay"])
        .query("namespace", &scope.namespace)
        .json_text(body(&sources, log, options));
    let sent = client.send(request).await;
    let mut answer = sent.map_err(|failure| apply::in_files(failure, &sources, &scope.namespace))?;
    match told {
        Some(told) => answer["log"] = told,
        None if answer.pointer("/traffic/requests").and_then(Value::as_u64) == Some(0) => {
            return Err(Failure::NoSamples);
        }
        None => {}
    }
    match scope.output {
        Format::Markdown => print::text(&markdown::of(&Reading::of(&answer)))?,
        other => print::result(other, &answer, |answer: &Value| {
            Ok(report::of(&Reading::of(answer)))
        })?,
    }
    match answer.pointer("/traffic/judged").and_then(Value::as_u64) {
        Some(0) => Ok(Outcome::Refused),
        _ => Ok(Outcome::Done),
    }
}

fn read(options: &Options) -> Result<Log, Failure> {
    let defaults = Defaults {
        host: options.host.clone(),
        port: options.port,
        scheme: options.scheme.clone(),
        with_user_agent: options.user_agent,
    };
    let mut log = Log::default();
    for path in &options.logs {
        log.read(path, options.format, &defaults)?;
    }
    if log.unread == log.lines {
        let mut message = "no line of the log can be read".to_owned();
        for line in &log.shown {
            message.push_str("\n  ");
            message.push_str(line);
        }
        wrong_usage(ErrorKind::InvalidValue, &message);
    }
    Ok(log)
}

/// What is said of the log beside the answer.
fn told(log: &Log) -> Value {
    json!({
        "lines": log.lines,
        "unread": log.unread,
        "unreadExamples": log.shown,
        "requests": log.tally.all(),
        "sampled": log.tally.sampled(),
        "errorPercent": log.tally.error_percent(),
    })
}

fn body(sources: &Sources, log: Option<Log>, options: &Options) -> Vec<u8> {
    let since = log.is_none().then(|| {
        let seconds = options.since.as_secs();
        format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60)
    });
    let kinds = log.into_iter().flat_map(|log| log.tally.into_kinds());
    let keys = kinds.map(|(key, weight)| Counted { key, weight }).collect();
    let labels = options.labels.iter();
    let labels: BTreeMap<_, _> = labels
        .map(|label| (label.name.as_str(), label.value.as_str()))
        .collect();
    let brought = Brought {
        manifests: String::from_utf8_lossy(&sources.body()).into_owned(),
        keys,
        since,
        recorded: &options.recorded,
        labels: (!labels.is_empty()).then_some(labels),
        proxy: options.proxy.as_deref(),
    };
    // Neither a vector nor these values can fail.
    serde_json::to_vec(&brought).unwrap_or_default()
}
