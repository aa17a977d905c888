//! `sluice describe`: one resource in full.

mod sections;
mod security;
mod text;

use clap::Args;
use clap::error::ErrorKind;

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Scope, wrong_usage};
use crate::outcome::Outcome;
use crate::target::{Selection, Target};
use crate::{listing, print};

/// What to describe.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
}

/// Prints the resources that were named, one after the other.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let resources = match options.target.selection() {
        Err(error) => wrong_usage(ErrorKind::ValueValidation, &error.to_string()),
        Ok(Selection::All) => wrong_usage(ErrorKind::ValueValidation, "name a kind to describe"),
        Ok(Selection::Kinds(kinds)) => {
            let mut found = Vec::new();
            for kind in kinds {
                found.extend(listing::resources(client, kind, Some(&scope.namespace), None).await?);
            }
            found
        }
        Ok(Selection::One(kind, name)) => {
            vec![listing::resource(client, kind, &scope.namespace, &name).await?]
        }
    };
    if !scope.output.is_for_people() {
        let answer = match <[_; 1]>::try_from(resources) {
            Ok([one]) => one,
            Err(several) => listing::list_manifest(several),
        };
        print::result(scope.output, &answer, |_| Ok(String::new()))?;
        return Ok(Outcome::Done);
    }
    let fleet = client.send(Request::get(&["v1", "fleet"])).await?;
    let described: Vec<_> = resources
        .iter()
        .map(|resource| sections::describe(Manifest(resource), Manifest(&fleet)))
        .collect();
    print::text(&described.join("\n\n"))?;
    Ok(Outcome::Done)
}
