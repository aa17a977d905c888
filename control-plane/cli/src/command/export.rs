//! `sluice export`: what is live, or was, as files that can be applied again.

mod directory;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sluice_intent::{Namespace, ResourceId};

use self::directory::{Directory, Written};
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::options::{Format, Scope};
use crate::outcome::Outcome;
use crate::print;

/// Longest time for everything to arrive.
const PATIENCE: Duration = Duration::from_secs(600);

/// What to export, and where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write DIR/NAMESPACE/KIND/NAME.yaml, a file for each resource; standard output when left out
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// From every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only what has these labels, e.g. team=shop,tier!=test
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// As of this revision instead of the newest one
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,
    /// Replace files that no export has written, too
    #[arg(long, requires = "directory")]
    force: bool,
}

/// Writes the manifests. Nothing is removed, and files of somebody else's stay: exit code 1 says so.
///
/// # Errors
/// When the control plane refuses or does not answer, or a file cannot be written.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    // `-` in the place of a namespace stands for all of them.
    let namespace = match options.all_namespaces {
        true => "-",
        false => scope.namespace.as_str(),
    };
    let path = ["v1", "export", namespace];
    let request = Request::get(&path)
        .query_if("labelSelector", options.selector.as_deref())
        .query_if("revision", options.revision)
        .patience(PATIENCE);
    match &options.directory {
        None => {
            let take = |manifest: Value| print::text(&document(scope.output, &manifest));
            let headers = client.lines(request, take).await?;
            notice(&headers);
            Ok(Outcome::Done)
        }
        Some(root) => {
            let mut directory = Directory::new(root, options.force);
            let headers = client
                .lines(request, |manifest| {
                    directory.write(&identity(&manifest)?, &print::yaml(&manifest))
                })
                .await?;
            notice(&headers);
            report(scope.output, &headers, &directory.finish()?)
        }
    }
}

/// One of many documents.
fn document(format: Format, manifest: &Value) -> String {
    match format {
        Format::Json => format!("{manifest:#}\n"),
        Format::Table | Format::Yaml | Format::Markdown => format!("---\n{}", print::yaml(manifest)),
    }
}

/// Says on standard error what an export never has.
fn notice(headers: &HeaderMap) {
    match number(headers, "x-sluice-secrets") {
        0 => {}
        1 => eprintln!("1 Secret is left out: what it holds is never shown"),
        more => eprintln!("{more} Secrets are left out: what they hold is never shown"),
    }
}

fn report(format: Format, headers: &HeaderMap, written: &Written) -> Result<Outcome, Failure> {
    let kept: Vec<_> = written
        .kept
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let answer = json!({
        "revision": number(headers, "x-sluice-revision"),
        "written": written.changed,
        "unchanged": written.unchanged,
        "kept": kept,
    });
    let line = |_: &Value| {
        let Written {
            changed, unchanged, ..
        } = written;
        Ok(format!(
            "revision {}: {changed} files written, {unchanged} were so already\n",
            answer["revision"]
        ))
    };
    print::result(format, &answer, line)?;
    for path in &kept {
        eprintln!("{path}: no export has written this file, so it stays as it is (see --force)");
    }
    match kept.is_empty() {
        true => Ok(Outcome::Done),
        false => Ok(Outcome::Refused),
    }
}

fn number(headers: &HeaderMap, name: &str) -> u64 {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Which resource it is. What names a file is read strictly, whoever sent it.
fn identity(manifest: &Value) -> Result<ResourceId, Failure> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    let parts = ["/kind", "/metadata/namespace", "/metadata/name"].map(text);
    let [Some(kind), Some(namespace), Some(name)] = parts else {
        return Err(Failure::Nameless);
    };
    let namespace: Namespace = namespace.parse().map_err(|_| Failure::Nameless)?;
    let id = format!("{kind}/{namespace}/{name}");
    id.parse().map_err(|_| Failure::Nameless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_file_is_a_name_and_no_path() {
        let manifest = |kind: &str, namespace: &str, name: &str| {
            identity(&json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}}))
        };
        let id = manifest("Backend", "default", "web.v1").unwrap();
        assert_eq!(id.to_string(), "Backend/default/web.v1");
        for (kind, namespace, name) in [
            ("Service", "default", "a"),
            ("Backend", "..", "a"),
            ("Backend", "default", ".."),
            ("Backend", "default", "../a"),
            ("Backend", "a/b", "c"),
            ("Backend", "", ""),
        ] {
            assert!(
                manifest(kind, namespace, name).is_err(),
                "{kind} {namespace} {name}"
            );
        }
    }
}
