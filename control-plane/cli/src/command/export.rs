//! `sluice export`: what is live, or was, as files that can be applied again.

mod directory;
mod stale;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sluice_intent::{Kind, Namespace, ResourceId};

use self::directory::{Directory, Written};
use self::stale::{Extent, Stale};
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::options::{Format, Scope};
use crate::outcome::Outcome;
use crate::print;

/// Longest time for everything to arrive.
const PATIENCE: Duration = Duration::from_secs(600);
/// Files that are named on standard error, of each sort.
const NAMED: usize = 10;

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
    /// Remove files of exports whose resources are no longer there; never what somebody has edited or added
    #[arg(long, requires = "directory", conflicts_with = "selector")]
    prune: bool,
}

/// Writes the manifests. Files of somebody else's stay, and without `--prune` those of what is no longer there.
/// Exit code 1 when something that was to be replaced or removed is left.
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
    let Some(root) = &options.directory else {
        let take = |manifest: Value| print::text(&document(scope.output, &manifest));
        let headers = client.lines(request, take).await?;
        LeftOut::of(&headers).tell();
        return Ok(Outcome::Done);
    };
    let mut directory = Directory::new(root, options.force);
    let headers = client
        .lines(request, |manifest| {
            directory.write(&identity(&manifest)?, &print::yaml(&manifest))
        })
        .await?;
    let left_out = LeftOut::of(&headers);
    left_out.tell();
    let (written, places) = directory.finish()?;
    let extent = Extent {
        namespace: (!options.all_namespaces).then_some(&scope.namespace),
        left_out: left_out.kinds(),
    };
    // Of a selection nobody can tell by the files what of it is gone.
    let stale = match options.selector {
        None => Stale::find(root, &extent, &places)?,
        Some(_) => Stale::default(),
    };
    // Nothing at all is rather the wrong control plane, or namespace, than the end of everything.
    let is_pruned = options.prune && !places.is_empty();
    if is_pruned {
        stale::remove(&stale.plain)?;
    }
    let ended = Ended {
        revision: number(&headers, "x-sluice-revision"),
        written,
        left_out,
        stale,
        is_pruned,
    };
    ended.report(scope.output, options.prune)
}

/// One of many documents.
fn document(format: Format, manifest: &Value) -> String {
    match format {
        Format::Json => format!("{manifest:#}\n"),
        Format::Table | Format::Yaml | Format::Markdown => format!("---\n{}", print::yaml(manifest)),
    }
}

/// What an export does not have.
#[derive(Debug)]
struct LeftOut {
    secrets: u64,
    /// How much of which kind the token may not get; `None` when the control plane does not say.
    forbidden: Option<BTreeMap<Kind, u64>>,
}

impl LeftOut {
    fn of(headers: &HeaderMap) -> Self {
        let text = headers.get("x-sluice-left-out");
        let text = text.and_then(|value| value.to_str().ok());
        Self {
            secrets: number(headers, "x-sluice-secrets"),
            forbidden: text.and_then(counts),
        }
    }

    /// Says it on standard error.
    fn tell(&self) {
        match self.secrets {
            0 => {}
            1 => eprintln!("1 Secret is left out: what it holds is never shown"),
            more => eprintln!("{more} Secrets are left out: what they hold is never shown"),
        }
        let forbidden = self.forbidden.iter().flatten();
        let told: Vec<_> = forbidden
            .map(|(kind, count)| format!("{kind} ({count})"))
            .collect();
        if !told.is_empty() {
            eprintln!("left out, for the token may not get them: {}", told.join(", "));
        }
    }

    /// Kinds of which something may be live that did not come.
    fn kinds(&self) -> BTreeSet<Kind> {
        match &self.forbidden {
            Some(counts) => counts.keys().copied().collect(),
            None => Kind::ALL.into(),
        }
    }
}

/// Reads `backends=2, gateways=1`. What is not understood counts as not said.
fn counts(text: &str) -> Option<BTreeMap<Kind, u64>> {
    let members = text.split(',').map(str::trim).filter(|member| !member.is_empty());
    let count = |member: &str| {
        let (plural, count) = member.split_once('=')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.plural() == plural)?;
        Some((kind, count.parse().ok()?))
    };
    members.map(count).collect()
}

/// An export into a directory, when all of it is done.
#[derive(Debug)]
struct Ended {
    revision: u64,
    written: Written,
    left_out: LeftOut,
    stale: Stale,
    /// Whether files that are stale were removed.
    is_pruned: bool,
}

impl Ended {
    fn report(&self, format: Format, prune: bool) -> Result<Outcome, Failure> {
        print::result(format, &self.answer(), |_| Ok(self.line()))?;
        for path in paths(&self.written.kept) {
            eprintln!("{path}: no export has written this file, so it stays as it is (see --force)");
        }
        let Stale {
            plain,
            edited,
            unknown,
        } = &self.stale;
        for path in paths(edited) {
            eprintln!("{path}: is not live any more, but was edited since its export, so it stays");
        }
        if !plain.is_empty() && !self.is_pruned {
            let why = if prune {
                "nothing came at all"
            } else {
                "see --prune"
            };
            say(&format!("not live any more, and kept ({why})"), plain);
        }
        if !unknown.is_empty() {
            say(
                "perhaps not live any more, and kept, for the token may not see it",
                unknown,
            );
        }
        let is_left = prune && (!self.is_pruned || !edited.is_empty() || !unknown.is_empty());
        match self.written.kept.is_empty() && !is_left {
            true => Ok(Outcome::Done),
            false => Ok(Outcome::Refused),
        }
    }

    fn answer(&self) -> Value {
        let Stale {
            plain,
            edited,
            unknown,
        } = &self.stale;
        let stale = if self.is_pruned { &[][..] } else { plain };
        let stale: Vec<_> = paths(stale).chain(paths(edited)).chain(paths(unknown)).collect();
        let left_out = self.left_out.forbidden.as_ref();
        let left_out = left_out.map(|counts| {
            let counts = counts.iter().map(|(kind, count)| (kind.plural(), *count));
            counts.collect::<BTreeMap<_, _>>()
        });
        json!({
            "revision": self.revision,
            "written": self.written.changed,
            "unchanged": self.written.unchanged,
            "kept": paths(&self.written.kept).collect::<Vec<_>>(),
            "removed": self.removed(),
            "stale": stale,
            "secrets": self.left_out.secrets,
            "leftOut": left_out,
        })
    }

    fn removed(&self) -> usize {
        if self.is_pruned { self.stale.plain.len() } else { 0 }
    }

    fn line(&self) -> String {
        let Written {
            changed, unchanged, ..
        } = &self.written;
        let removed = match self.removed() {
            0 => String::new(),
            removed => format!(", {removed} removed"),
        };
        let revision = self.revision;
        format!("revision {revision}: {changed} files written, {unchanged} were so already{removed}\n")
    }
}

fn paths(files: &[PathBuf]) -> impl Iterator<Item = String> {
    files.iter().map(|path| path.display().to_string())
}

/// Says something of many files on standard error.
fn say(what: &str, files: &[PathBuf]) {
    eprintln!("{what}:");
    for path in paths(files).take(NAMED) {
        eprintln!("  {path}");
    }
    if files.len() > NAMED {
        eprintln!("  and {} more", files.len() - NAMED);
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
    fn what_is_left_out_is_read_by_kind_and_nothing_is_guessed() {
        let read = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([("x-sluice-left-out".parse().unwrap(), text.parse().unwrap())]);
            LeftOut::of(&headers)
        };
        let some = read("gateways=1, backends=20");
        assert_eq!(
            some.forbidden,
            Some(BTreeMap::from([(Kind::Gateway, 1), (Kind::Backend, 20)]))
        );
        assert_eq!(some.kinds(), BTreeSet::from([Kind::Gateway, Kind::Backend]));
        assert_eq!(read("").kinds(), BTreeSet::new());
        let all = BTreeSet::from(Kind::ALL);
        for unknown in ["services=1", "backends", "backends=x"] {
            assert_eq!(read(unknown).kinds(), all, "{unknown}");
        }
        assert_eq!(LeftOut::of(&HeaderMap::new()).kinds(), all);
    }

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
