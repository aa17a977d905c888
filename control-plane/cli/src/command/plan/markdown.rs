//! A plan as a comment on a pull request.

use std::fmt::Write as _;

use serde_json::Value;

use super::outcome::{details, outcome, place, witness};
use super::report::{doubt, heard, is_broken, moved, part, said};
use crate::manifest::Manifest;
use crate::markup::{cell, code, cut};

/// Classes in the table.
const MAX_CLASSES: usize = 25;
/// Places that are shown of one class.
const MAX_PLACES: usize = 3;

pub(super) fn of(plan: &Value) -> String {
    let plan = Manifest(plan);
    let mut text = head(plan);
    let views: Vec<_> = plan.items("/views").collect();
    for view in &views {
        if views.len() > 1 {
            let _ = writeln!(text, "\n#### On {}", part(*view));
        }
        requests(&mut text, *view);
    }
    notes(&mut text, plan);
    let base = plan.text_or_none("/base");
    cut(&mut text, "sluice plan");
    let _ = writeln!(
        text,
        "\nWith `--base-revision {base}`, `sluice apply` refuses if what it touches has changed since."
    );
    text
}

fn head(plan: Manifest<'_>) -> String {
    let is_change = |change: &Manifest<'_>| change.text_or_none("/action") != "unchanged";
    let changed: Vec<_> = plan.items("/changes").filter(is_change).collect();
    let mut text = format!("### Plan against revision {}\n", plan.text_or_none("/base"));
    if changed.is_empty() {
        text.push_str("\nNothing changes.\n");
        return text;
    }
    text.push_str("\n<details><summary>");
    let _ = match changed.len() {
        1 => writeln!(text, "1 resource changes</summary>\n"),
        more => writeln!(text, "{more} resources change</summary>\n"),
    };
    for change in changed {
        let word = |name: &str| change.text_or_none(name);
        let id = format!("{}/{}/{}", word("/kind"), word("/namespace"), word("/name"));
        let _ = writeln!(text, "- `{id}` {}", word("/action"));
    }
    text.push_str("\n</details>\n");
    text
}

fn requests(text: &mut String, view: Manifest<'_>) {
    let count = view.text_or_none("/requests/classCount");
    let classes = view.items("/requests/classes");
    if classes.len() == 0 {
        text.push_str("\n**No request has another outcome.**\n");
    } else {
        let _ = match count.as_str() {
            "1" => writeln!(text, "\n**1 class of requests has another outcome.**\n"),
            more => writeln!(text, "\n**{more} classes of requests have another outcome.**\n"),
        };
        text.push_str("| what | a request | before | after | where |\n|---|---|---|---|---|\n");
        for found in classes.take(MAX_CLASSES) {
            text.push_str(&row(found));
        }
    }
    let shifts = view.items("/requests/shifts").map(moved);
    let listeners = view.items("/requests/listeners").map(heard);
    let lines: Vec<_> = shifts.chain(listeners).collect();
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "- {}", cell(&line));
    }
    let (bytes, proxies) = (view.text_or_none("/pushBytes"), view.text_or_none("/proxies"));
    let _ = writeln!(text, "\nPush: {bytes} bytes to each of {proxies} proxies.");
    let unproven = view.text_or_none("/requests/coverage/unprovenCount");
    if unproven != "0" {
        let _ = writeln!(text, "\n**Not proven in {unproven} places: there may be more.**");
    }
}

fn row(found: Manifest<'_>) -> String {
    let facets: Vec<_> = found.items("/facets").filter_map(|one| one.0.as_str()).collect();
    let mut after = cell(&outcome(found, "after"));
    for detail in details(found) {
        after.push_str("<br>");
        after.push_str(&cell(&detail));
    }
    let mut places: Vec<_> = found.items("/places").take(MAX_PLACES).map(place).collect();
    let all: usize = found.text_or_none("/placeCount").parse().unwrap_or(places.len());
    if all > places.len() {
        places.push(format!("and {} more", all - places.len()));
    }
    format!(
        "| {}{} | {} | {} | {after} | {} |\n",
        cell(&facets.join(", ")),
        doubt(found),
        code(&witness(Manifest(&found.0["witness"]))),
        cell(&outcome(found, "before")),
        places
            .iter()
            .map(|place| code(place))
            .collect::<Vec<_>>()
            .join("<br>")
    )
}

fn notes(text: &mut String, plan: Manifest<'_>) {
    let mut lines: Vec<String> = Vec::new();
    for budget in plan.items("/budgets").filter(is_broken) {
        let word = |name: &str| budget.text_or_none(name);
        let (name, predicted, limit) = (word("/name"), word("/predicted"), word("/limit"));
        lines.push(format!(
            "**Budget broken:** {name} is {predicted}, and should be {limit} at most"
        ));
    }
    let orphaned = plan.items("/orphaned").filter_map(|one| one.0.as_str());
    lines.extend(orphaned.map(|id| format!("Nothing would refer to {}", code(id))));
    let warnings = plan.items("/certificates").chain(plan.items("/warnings"));
    lines.extend(warnings.map(|warning| cell(&said(warning))));
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "- {line}");
    }
    if let Some(view) = plan.items("/views").next() {
        let words = view
            .items("/requests/coverage/notCovered")
            .filter_map(|one| one.0.as_str());
        let _ = writeln!(
            text,
            "\n<sub>Not compared: {}.</sub>",
            words.collect::<Vec<_>>().join("; ")
        );
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
        let text = of(&plan);
        assert!(text.starts_with("### Plan against revision 4\n"), "{text}");
        let row = text.lines().find(|line| line.contains("a.example")).unwrap();
        assert!(
            row.contains("`GET http://a.example:8080/a\\|'b?a=b -H 'x: 1'`"),
            "{row}"
        );
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
        assert!(text.contains("`--base-revision 4`"), "{text}");
        plan["orphaned"] = vec!["Backend/default/x"; 9_000].into();
        let long = of(&plan);
        assert!(
            long.len() < 65_536 && long.contains("more than a comment holds"),
            "{}",
            long.len()
        );
    }
}
