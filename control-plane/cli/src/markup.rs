//! Comments on pull requests, in GitHub's Markdown.

use std::fmt::Write as _;

/// Bytes of a comment: on GitHub, 65,536 characters are the most.
const MAX_LENGTH: usize = 60_000;

/// Ends the comment at a line before it is longer than one can be; `command` shows all of it.
pub(crate) fn cut(text: &mut String, command: &str) {
    if text.len() > MAX_LENGTH {
        let end = text.floor_char_boundary(MAX_LENGTH);
        text.truncate(text[..end].rfind('\n').unwrap_or(end));
        let _ = write!(
            text,
            "\n\n**There is more than a comment holds: `{command}` shows all of it.**\n"
        );
    }
}

/// Text that stays in its cell and is no markup, whoever wrote the names in it.
pub(crate) fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '~' | '\\' | '#' | '@' | '!' => {
                safe.push('\\');
                safe.push(one);
            }
            '\n' | '\r' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// Text in a cell, and below it these, a line each.
pub(crate) fn cell_over(text: &str, details: &[String]) -> String {
    let mut lines = cell(text);
    for detail in details {
        lines.push_str("<br>");
        lines.push_str(&cell(detail));
    }
    lines
}

/// Text in the type of code. A cell ends at `|` even there.
pub(crate) fn code(text: &str) -> String {
    let text = text
        .replace('`', "'")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ");
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup_and_a_comment_ends_at_a_line() {
        assert_eq!(cell("<b>@x|\ny"), "\\<b\\>\\@x\\| y");
        assert_eq!(code("a`b|c"), "`a'b\\|c`");
        let mut long = "a line\n".repeat(MAX_LENGTH);
        cut(&mut long, "sluice lint");
        assert!(long.len() < 65_536, "{}", long.len());
        assert!(
            long.contains("a line\n\n**There is more"),
            "{}",
            &long[MAX_LENGTH - 50..]
        );
    }
}
