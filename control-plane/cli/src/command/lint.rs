//! `sluice lint`: what is wrong with manifests, and what is probably not meant. Needs no control plane.

use clap::Args;
use serde_json::{Value, json};
use sluice_control::clock;
use sluice_control::lint::{Lint, Severity, lint};
use sluice_intent::{Format, parse};

use crate::client::{Problem, Violation};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Files, Prune, Scope};
use crate::outcome::Outcome;
use crate::print;
use crate::source::Sources;
use crate::table::Table;

/// What to look at.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    files: Files,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

/// Prints what is found: exit code 1 when the manifests would be refused, or with `--strict` when anything is
/// found at all.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn run(scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let sources = options.files.read(&Prune::default())?;
    let namespace = scope.namespace.as_str();
    let found = match parse(&sources.body(), Format::Yaml, namespace) {
        Ok(resources) => lint(resources, clock::since_1970()),
        Err(violations) => unreadable(&sources, &violations, scope),
    };
    let items = serde_json::to_value(&found).unwrap_or_default();
    print::result(scope.output, &json!({ "items": items }), |answer| {
        Ok(table(answer))
    })?;
    let is_refused = found.iter().any(|one| one.severity == Severity::Error);
    match is_refused || (options.strict && !found.is_empty()) {
        true => Ok(Outcome::Refused),
        false => Ok(Outcome::Done),
    }
}

/// What cannot be read as manifests, each with its file where it has no resource.
fn unreadable(sources: &Sources, violations: &[sluice_model::Violation], scope: &Scope) -> Vec<Lint> {
    let problem = Problem {
        violations: violations.iter().map(Violation::from).collect(),
        ..Problem::default()
    };
    let located = sources.locate(problem, &scope.namespace).violations.into_iter();
    let refused = |violation: Violation| Lint {
        severity: Severity::Error,
        resource: violation.resource,
        field: violation.field,
        code: violation.code,
        message: violation.message,
    };
    located.map(refused).collect()
}

fn table(answer: &Value) -> String {
    let found = Manifest(answer).items("/items");
    if found.len() == 0 {
        return "nothing found\n".to_owned();
    }
    let mut table = Table::new(["SEVERITY", "RESOURCE", "FIELD", "CODE", "MESSAGE"]);
    for one in found {
        table.row(
            ["/severity", "/resource", "/field", "/code", "/message"].map(|name| one.text_or_none(name)),
        );
    }
    table.to_string()
}
