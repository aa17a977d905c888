//! A replay as a comment on a pull request.

use std::fmt::Write as _;

use super::reading::{Class, Reading};
use crate::markup::{cell, cell_over, code, cut};

/// Examples that are shown of one class.
const MAX_EXAMPLES: usize = 3;

pub(super) fn of(reading: &Reading) -> String {
    let mut text = format!("### Replay\n\n**{}**", cell(&reading.headline));
    for part in &reading.parts {
        let _ = write!(text, " {}", cell(part));
    }
    text.push('\n');
    if !reading.classes.is_empty() {
        text.push_str("\n| what | requests | before | after | for |\n|---|---|---|---|---|\n");
    }
    for found in &reading.classes {
        text.push_str(&row(found));
    }
    if reading.omitted > 0 {
        let _ = writeln!(text, "\n{} more are not shown.", reading.omitted);
    }
    if !reading.notes.is_empty() {
        text.push('\n');
    }
    for note in &reading.notes {
        let _ = writeln!(text, "- {}", cell(note));
    }
    cut(&mut text, "sluice replay");
    text
}

fn row(found: &Class) -> String {
    let examples = found.examples.iter().take(MAX_EXAMPLES);
    let examples: Vec<_> = examples.map(|example| code(example)).collect();
    format!(
        "| {} | {} | {} | {} | {} |\n",
        cell(&found.what),
        cell(&found.requests),
        cell(&found.before),
        cell_over(&found.after, &found.details),
        examples.join("<br>")
    )
}

#[cfg(test)]
mod tests {
    use super::super::reading::tests::sample;
    use super::*;

    #[test]
    fn a_comment_has_a_table_that_no_request_breaks() {
        let text = of(&Reading::of(&sample()));
        assert!(text.starts_with("### Replay\n\n**0.13 % of 1,204,300 requests change target.** less than"));
        let rows = text.lines().filter(|line| line.starts_with('|'));
        for row in rows {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 6, "{row}");
        }
        assert!(text.contains("- Not judged: 31 requests"), "{text}");
    }
}
