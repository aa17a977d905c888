//! `sluice diff`: how manifests differ from what is live, line by line.

use std::fmt::Write as _;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use similar::TextDiff;

use crate::client::Client;
use crate::command::proposal::Proposal;
use crate::failure::Failure;
use crate::options::{Format, Scope};
use crate::outcome::Outcome;
use crate::print;

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    proposal: Proposal,
}

/// What a control plane says, as far as it is printed.
#[derive(Debug, Deserialize)]
struct Comparison {
    revision: u64,
    created: usize,
    updated: usize,
    deleted: usize,
    unchanged: usize,
    resources: Vec<Differing>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Differing {
    kind: String,
    namespace: String,
    name: String,
    before: Option<Value>,
    after: Option<Value>,
    #[serde(default)]
    is_cut: bool,
    #[serde(default)]
    is_hidden: bool,
}

/// Prints what an apply would change: `-` is what is live, `+` what the manifests say.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses the manifests or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let asked = options.proposal.ask(client, &["v1", "diff"], &scope.namespace);
    let answer = asked.await?;
    let compared: Comparison = client.read(answer.clone())?;
    print::result(scope.output, &answer, |_| Ok(text(&compared, scope.output)))?;
    match compared.resources.is_empty() {
        true => Ok(Outcome::Done),
        false => Ok(Outcome::Different),
    }
}

fn text(compared: &Comparison, format: Format) -> String {
    let mut text = compared
        .resources
        .iter()
        .map(|one| one.lines(compared.revision))
        .collect::<String>();
    if format == Format::Markdown && !text.is_empty() {
        text = fenced(&text);
    }
    let Comparison {
        revision,
        created,
        updated,
        deleted,
        unchanged,
        ..
    } = compared;
    // Writing to a string does not fail.
    let _ = match compared.resources.is_empty() {
        true => writeln!(
            text,
            "no difference from revision {revision} in {unchanged} resources"
        ),
        false => writeln!(
            text,
            "{created} to create, {updated} to update, {deleted} to delete, {unchanged} as at revision {revision}"
        ),
    };
    text
}

/// A block in Markdown that `text` cannot end.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}diff\n{text}{fence}\n\n")
}

impl Differing {
    /// The difference as `diff -u` writes it.
    fn lines(&self, revision: u64) -> String {
        let name = format!("{}/{}/{}", self.kind, self.namespace, self.name);
        let said = match (self.is_cut, self.is_hidden) {
            (true, _) => Some("too much differs to show it here"),
            (_, true) if self.kind != "Secret" => Some("differs, and the token may not get what is live"),
            (_, true) => Some("what it holds differs, and is never shown"),
            (false, false) => None,
        };
        if let Some(said) = said {
            return format!("--- {name} (revision {revision})\n+++ {name} (manifest)\n# {said}\n");
        }
        let yaml = |manifest: &Option<Value>| manifest.as_ref().map(print::yaml).unwrap_or_default();
        let (before, after) = (yaml(&self.before), yaml(&self.after));
        let diff = TextDiff::from_lines(&before, &after);
        let mut lines = diff.unified_diff();
        lines.header(
            &format!("{name} (revision {revision})"),
            &format!("{name} (manifest)"),
        );
        lines.to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compared(resources: Value) -> Comparison {
        let counts = json!({"revision": 7, "created": 0, "updated": 1, "deleted": 0, "unchanged": 3});
        let mut answer = counts;
        answer["resources"] = resources;
        serde_json::from_value(answer).unwrap()
    }

    fn backend(port: u16) -> Value {
        json!({"kind": "Backend", "spec": {"port": port}})
    }

    #[test]
    fn a_difference_is_printed_line_by_line_and_counted() {
        let one = json!({
            "kind": "Backend", "namespace": "default", "name": "web", "action": "updated",
            "before": backend(80), "after": backend(81),
        });
        let compared = compared(json!([one]));
        let expected = "--- Backend/default/web (revision 7)\n+++ Backend/default/web (manifest)\n\
             @@ -1,3 +1,3 @@\n kind: Backend\n spec:\n-  port: 80\n+  port: 81\n";
        let counts = "0 to create, 1 to update, 0 to delete, 3 as at revision 7\n";
        assert_eq!(text(&compared, Format::Table), format!("{expected}{counts}"));
        let comment = format!("```diff\n{expected}```\n\n{counts}");
        assert_eq!(text(&compared, Format::Markdown), comment);
    }

    #[test]
    fn what_is_not_shown_is_named_and_nothing_ends_the_block() {
        let secret = json!({
            "kind": "Secret", "namespace": "default", "name": "s", "action": "updated", "isHidden": true,
        });
        let noted = json!({
            "kind": "Backend", "namespace": "default", "name": "web", "action": "created",
            "after": {"note": "````"},
        });
        let comment = text(&compared(json!([secret, noted])), Format::Markdown);
        assert!(
            comment.contains("# what it holds differs, and is never shown\n"),
            "{comment}"
        );
        assert!(
            comment.starts_with("`````diff\n") && comment.contains("\n`````\n"),
            "{comment}"
        );
        assert!(text(&compared(json!([])), Format::Table).starts_with("no difference"));
    }
}
