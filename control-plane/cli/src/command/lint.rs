//! `sluice lint`: what is wrong with manifests, and what is probably not meant. Needs no control plane, but can
//! be asked of one.

mod comment;

use std::path::PathBuf;

use clap::Args;
use clap::error::ErrorKind;
use reqwest::Method;
use serde_json::{Value, json};
use sluice_control::clock;
use sluice_control::lint::{Report, lint, rules};
use sluice_intent::{Format, parse};
use sluice_model::Violation;

use crate::client::{self, Client, Problem, Request};
use crate::command::apply;
use crate::command::plan::outcome::witness;
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{self, Prune, Scope};
use crate::outcome::Outcome;
use crate::print;
use crate::source::{Depth, Sources};
use crate::table::Table;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Manifest: a file, a directory (its *.yaml, *.yml and *.json, sorted), or - for standard input
    #[arg(short, long = "filename", value_name = "FILE|DIR|-", required_unless_present_any = ["live", "rules"])]
    filenames: Vec<PathBuf>,
    /// Read all that lies below directories, too, but for hidden ones
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Ask the control plane: what is live, or with -f the manifests as if they were applied to it
    #[arg(long)]
    live: bool,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    prune: Prune,
    /// List the rules, with what becomes of what they find
    #[arg(long, conflicts_with_all = ["filenames", "live", "strict", "prune"])]
    rules: bool,
}

/// Prints what is found: exit code 1 when the manifests would be refused, or with `--strict` when anything is
/// found at all.
///
/// # Errors
/// When a file cannot be read; with `--live`, when the control plane refuses the manifests or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    if options.rules {
        return list(scope);
    }
    let is_pruned = options.prune.parameter().is_some();
    if is_pruned && (!options.live || options.filenames.is_empty()) {
        let message = "--prune goes with --live and -f: offline the manifests are all there is";
        options::wrong_usage(ErrorKind::MissingRequiredArgument, message);
    }
    let depth = match options.recursive || is_pruned {
        true => Depth::Tree,
        false => Depth::Directory,
    };
    let sources = Sources::read(&options.filenames, depth)?;
    let report = match options.live {
        true => live(client, scope, options, &sources).await?,
        false => serde_json::to_value(offline(&sources, scope)).unwrap_or_default(),
    };
    match scope.output {
        options::Format::Markdown => print::text(&comment::of(&report))?,
        other => print::result(other, &report, |report| Ok(table(report)))?,
    }
    let mut found = Manifest(&report).items("/items");
    let is_any = found.len() > 0;
    let is_refused = found.any(|one| one.text_or_none("/severity") == "error");
    match is_refused || (options.strict && is_any) {
        true => Ok(Outcome::Refused),
        false => Ok(Outcome::Done),
    }
}

/// Which rules there are.
fn list(scope: &Scope) -> Result<Outcome, Failure> {
    let all = rules();
    let answer = json!({ "items": all });
    print::result(scope.output, &answer, |_| {
        let mut table = Table::new(["CODE", "SEVERITY", "FINDS"]);
        for rule in &all {
            table.row([rule.code, rule.severity, rule.summary].map(String::from));
        }
        Ok(table.to_string())
    })?;
    Ok(Outcome::Done)
}

async fn live(
    client: &Client,
    scope: &Scope,
    options: &Options,
    sources: &Sources,
) -> Result<Value, Failure> {
    let request = Request::new(Method::POST, &["v1", "lint"]).query_if("prune", options.prune.parameter());
    match options.filenames.is_empty() {
        true => client.send(request).await,
        false => apply::send(client, request, sources, &scope.namespace).await,
    }
}

/// As if the manifests were all there is.
fn offline(sources: &Sources, scope: &Scope) -> Report {
    match parse(&sources.body(), Format::Yaml, scope.namespace.as_str()) {
        Ok(resources) => lint(resources, clock::since_1970()),
        Err(violations) => unreadable(sources, violations, scope),
    }
}

/// What cannot be read as manifests, each with its file where it has no resource.
fn unreadable(sources: &Sources, violations: Vec<Violation>, scope: &Scope) -> Report {
    let problem = Problem {
        violations: violations.iter().map(client::Violation::from).collect(),
        ..Problem::default()
    };
    let located = sources.locate(problem, &scope.namespace).violations;
    let mut report = Report::refused(violations);
    if let Some(pattern) = report.items.first().cloned() {
        let item = |one: client::Violation| sluice_control::lint::Lint {
            resource: one.resource,
            field: one.field,
            code: one.code,
            message: one.message,
            ..pattern.clone()
        };
        report.items = located.into_iter().map(item).collect();
    }
    report
}

fn table(report: &Value) -> String {
    let report = Manifest(report);
    let found = report.items("/items");
    let mut text = String::new();
    if found.len() == 0 {
        text.push_str("nothing found\n");
    } else {
        let mut table = Table::new(["SEVERITY", "RESOURCE", "FIELD", "CODE", "MESSAGE"]);
        for one in found {
            let word = |name: &str| one.text_or_none(name);
            let [severity, resource, field, code] = ["/severity", "/resource", "/field", "/code"].map(word);
            table.row([severity, resource, field, code, message(one)]);
        }
        text.push_str(&table.to_string());
    }
    for note in notes(report) {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// What a finding says, with the request that shows it.
fn message(found: Manifest<'_>) -> String {
    let message = found.text_or_none("/message");
    match found.0.get("witness") {
        Some(request) => format!("{message} ({})", witness(Manifest(request))),
        None => message,
    }
}

fn notes(report: Manifest<'_>) -> impl Iterator<Item = &str> {
    report.items("/notes").filter_map(|note| note.0.as_str())
}
