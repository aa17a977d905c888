//! `sluice get`: resources as a table, or as manifests.

use clap::Args;
use clap::error::ErrorKind;
use serde_json::Value;
use sluice_intent::Kind;

use crate::client::Client;
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{Scope, wrong_usage};
use crate::outcome::Outcome;
use crate::target::{Selection, Target};
use crate::{columns, listing, print};

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// From every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only what has these labels, e.g. team=shop,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

/// Prints what was asked for.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let kinds = match options.target.selection() {
        Err(error) => wrong_usage(ErrorKind::ValueValidation, &error.to_string()),
        Ok(Selection::One(kind, name)) => {
            let found = listing::resource(client, kind, &scope.namespace, &name).await?;
            let table = |found: &Value| Ok(columns::list(kind, &[Manifest(found)], false).to_string());
            print::result(scope.output, &found, table)?;
            return Ok(Outcome::Done);
        }
        Ok(Selection::Kinds(kinds)) => kinds,
        Ok(Selection::All) => Kind::ALL.to_vec(),
    };
    let namespace = (!options.all_namespaces).then_some(&scope.namespace);
    let mut found = Vec::new();
    for kind in kinds {
        let items = listing::resources(client, kind, namespace, options.selector.as_deref()).await?;
        if !items.is_empty() {
            found.push((kind, items));
        }
    }
    if scope.output.is_for_people() {
        print::text(&tables(&found, options.all_namespaces))?;
    } else {
        let items = found.into_iter().flat_map(|(_, items)| items).collect();
        print::result(
            scope.output,
            &listing::list_manifest(items),
            |_| Ok(String::new()),
        )?;
    }
    Ok(Outcome::Done)
}

fn tables(found: &[(Kind, Vec<Value>)], namespaces: bool) -> String {
    let several = found.len() > 1;
    let tables: Vec<_> = found
        .iter()
        .map(|(kind, items)| {
            let items: Vec<_> = items.iter().map(Manifest).collect();
            let table = columns::list(*kind, &items, namespaces).to_string();
            match several {
                true => format!("{}\n{table}", kind.plural()),
                false => table,
            }
        })
        .collect();
    match tables.is_empty() {
        true => "nothing found\n".into(),
        false => tables.join("\n"),
    }
}
