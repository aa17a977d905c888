//! A plan as a comment on a pull request.

use std::fmt::Write as _;

use super::reading::{Class, Reading, View};
use crate::markup::{cell, cell_over, code, cut};

/// Classes in the table.
const MAX_CLASSES: usize = 25;
/// Places that are shown of one class.
const MAX_PLACES: usize = 3;

pub(super) fn of(plan: &Reading) -> String {
    let mut text = head(plan);
    for view in &plan.views {
        if plan.views.len() > 1 {
            let _ = writeln!(text, "\n#### On {}", view.part);
        }
        requests(&mut text, view);
    }
    notes(&mut text, plan);
    cut(&mut text, "sluice plan");
    let _ = writeln!(
        text,
        "\nWith `--base-revision {}`, `sluice apply` refuses if what it touches has changed since.",
        plan.base
    );
    text
}

fn head(plan: &Reading) -> String {
    let mut text = format!("### Plan against revision {}\n", plan.base);
    if plan.changes.is_empty() {
        text.push_str("\nNothing changes.\n");
        return text;
    }
    let _ = writeln!(text, "\n<details><summary>{}</summary>\n", plan.changing());
    for (id, action) in &plan.changes {
        let _ = writeln!(text, "- `{id}` {action}");
    }
    text.push_str("\n</details>\n");
    text
}

fn requests(text: &mut String, view: &View) {
    let _ = writeln!(text, "\n**{}.**", view.headline());
    if !view.classes.is_empty() {
        text.push_str("\n| what | a request | before | after | where |\n|---|---|---|---|---|\n");
        for found in view.classes.iter().take(MAX_CLASSES) {
            text.push_str(&row(found));
        }
    }
    if !view.shifts.is_empty() || !view.listeners.is_empty() {
        text.push('\n');
    }
    for line in view.shifts.iter().chain(&view.listeners) {
        let _ = writeln!(text, "- {}", cell(line));
    }
    let _ = writeln!(text, "\n{}", view.push);
    if view.unproven_count > 0 {
        let _ = writeln!(
            text,
            "\n**Not proven in {} places: there may be more.**",
            view.unproven_count
        );
    }
}

fn row(found: &Class) -> String {
    let (places, more) = found.places(MAX_PLACES);
    let mut places: Vec<_> = places.iter().map(|place| code(place)).collect();
    if more > 0 {
        places.push(code(&format!("and {more} more")));
    }
    format!(
        "| {} | {} | {} | {} | {} |\n",
        cell(&found.what),
        code(&found.request),
        cell(&found.before),
        cell_over(&found.after, &found.details),
        places.join("<br>")
    )
}

fn notes(text: &mut String, plan: &Reading) {
    let broken = plan.broken.iter().map(|budget| {
        format!(
            "**Budget broken:** {} is {}, and should be {} at most",
            budget.name, budget.predicted, budget.limit
        )
    });
    let orphaned = plan.orphaned.iter();
    let orphaned = orphaned.map(|id| format!("Nothing would refer to {}", code(id)));
    let warnings = plan.certificates.iter().chain(&plan.warnings);
    let lines: Vec<_> = broken
        .chain(orphaned)
        .chain(warnings.map(|warning| cell(warning)))
        .collect();
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    if let Some(parts) = &plan.not_compared {
        let _ = writeln!(text, "\n<sub>Not compared: {parts}.</sub>");
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_comment_has_a_table_that_no_name_breaks() {
        let mut plan = sample();
        plan["views"][0]["requests"]["classes"][0]["witness"]["path"] = "/a|`b".into();
        let text = of(&Reading::of(&plan));
        assert!(text.starts_with("### Plan against revision 4\n"), "{text}");
        let row = text.lines().find(|line| line.contains("a.example")).unwrap();
        assert!(
            row.contains("`GET http://a.example:8080/a\\|'b?a=b -H 'x: 1'`"),
            "{row}"
        );
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        assert!(text.contains("`--base-revision 4`"), "{text}");
        plan["orphaned"] = vec!["Backend/default/x"; 9_000].into();
        let long = of(&Reading::of(&plan));
        assert!(
            long.len() < 65_536 && long.contains("more than a comment holds"),
            "{}",
            long.len()
        );
    }
}
