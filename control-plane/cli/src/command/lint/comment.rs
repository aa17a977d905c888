//! What was found, as a comment on a pull request.

use std::fmt::Write as _;

use serde_json::Value;

use super::notes;
use crate::command::plan::outcome::witness;
use crate::manifest::Manifest;
use crate::markup::{cell, code, cut};

/// Findings in the table.
const MAX_FINDINGS: usize = 50;

pub(super) fn of(report: &Value) -> String {
    let report = Manifest(report);
    let found = report.items("/items");
    let count = found.len();
    let mut text = match count {
        0 => "### Lint\n\nNothing found.\n".to_owned(),
        1 => "### Lint\n\n**1 finding**\n".to_owned(),
        more => format!("### Lint\n\n**{more} findings**\n"),
    };
    if count > 0 {
        text.push_str("\n| | where | what | a request |\n|---|---|---|---|\n");
    }
    for one in found.take(MAX_FINDINGS) {
        text.push_str(&row(one));
    }
    if count > MAX_FINDINGS {
        let _ = writeln!(text, "\n{} more are not shown here.", count - MAX_FINDINGS);
    }
    for note in notes(report) {
        let _ = writeln!(text, "\n<sub>{}.</sub>", cell(note));
    }
    cut(&mut text, "sluice lint");
    text
}

fn row(one: Manifest<'_>) -> String {
    let word = |name: &str| one.text_or_none(name);
    let place = match one.text("/field").as_deref() {
        None | Some("") => code(&word("/resource")),
        Some(field) => format!("{}<br>{}", code(&word("/resource")), code(field)),
    };
    let request = one
        .0
        .get("witness")
        .map(|request| code(&witness(Manifest(request))));
    format!(
        "| **{}** {} | {place} | {} | {} |\n",
        cell(&word("/severity")),
        code(&word("/code")),
        cell(&word("/message")),
        request.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comment_has_a_row_for_each_finding_and_says_what_was_not_looked_at() {
        let one = json!({
            "severity": "warning", "resource": "HTTPRoute/default/shop", "field": "spec.rules[0]", "code": "shadowed",
            "message": "takes | nothing",
            "witness": {"port": 80, "scheme": "http", "method": "GET", "host": "a.x", "path": "/a|b"},
        });
        let report = json!({"items": [one.clone(), one], "notes": ["more *was* there"]});
        let text = of(&report);
        let rows: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("| **warning**"))
            .collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert_eq!(rows[0].replace("\\|", "").matches('|').count(), 5, "{text}");
        assert!(rows[0].contains("`GET http://a.x/a\\|b`"), "{text}");
        assert!(text.contains("more \\*was\\* there"), "{text}");
        assert_eq!(
            of(&json!({"items": [], "notes": []})),
            "### Lint\n\nNothing found.\n"
        );
    }
}
