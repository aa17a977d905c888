//! `sluice delete`: one resource, or all of a kind that have certain labels.

use clap::Args;
use clap::error::ErrorKind;
use reqwest::Method;
use serde_json::Value;
use sluice_intent::Kind;

use crate::client::{Client, Request};
use crate::command::written;
use crate::failure::Failure;
use crate::listing;
use crate::manifest::Manifest;
use crate::options::{Scope, WaitOptions, wrong_usage};
use crate::outcome::Outcome;
use crate::target::{Selection, Target};

/// What to delete.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Everything of the kind that has these labels; each is a revision of its own
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Check everything and say what would be deleted, but write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Deletes, and waits for the fleet if asked to.
///
/// # Errors
/// When there is no such resource, or it is still referred to, or the control plane does not
/// answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let selected = match (options.target.selection(), &options.selector) {
        (Ok(Selection::One(kind, name)), None) => vec![(kind, name.to_string())],
        (Ok(Selection::Kinds(kinds)), Some(selector)) => {
            let mut selected = Vec::new();
            for kind in kinds {
                let found = listing::resources(client, kind, Some(&scope.namespace), Some(selector)).await?;
                selected.extend(found.iter().filter_map(name).map(|name| (kind, name)));
            }
            selected
        }
        (Err(error), _) => wrong_usage(ErrorKind::ValueValidation, &error.to_string()),
        _ => wrong_usage(
            ErrorKind::MissingRequiredArgument,
            "name one resource, or a kind and labels with -l",
        ),
    };
    let mut outcome = Outcome::Done;
    for (kind, name) in selected {
        outcome = delete(client, scope, options, kind, &name).await?;
        if outcome != Outcome::Done {
            break;
        }
    }
    Ok(outcome)
}

fn name(resource: &Value) -> Option<String> {
    Manifest(resource).text("/metadata/name")
}

async fn delete(
    client: &Client,
    scope: &Scope,
    options: &Options,
    kind: Kind,
    name: &str,
) -> Result<Outcome, Failure> {
    let path = ["v1", "namespaces", scope.namespace.as_str(), kind.plural(), name];
    let request = Request::new(Method::DELETE, &path).query_if("dryRun", options.dry_run.then_some(true));
    let answer = client.send(request).await?;
    written::report(client, scope.output, answer, options.wait, options.dry_run).await
}
