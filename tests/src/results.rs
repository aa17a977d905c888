//! `tests/bench/RESULTS.md`: numbers that were measured, each section written by one command.

use std::path::PathBuf;

use anyhow::Context as _;

/// Puts `section` in the place of the one with the same heading, or at the end.
pub(crate) fn write(section: &str) -> anyhow::Result<()> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/RESULTS.md");
    let old = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    std::fs::write(&path, with(&old, section)).with_context(|| path.display().to_string())
}

/// `document` with `section`, whose first line is its heading. What it replaces ends at the next
/// heading of its level or above.
fn with(document: &str, section: &str) -> String {
    let heading = section.lines().next().unwrap_or_default();
    let mut lines = document.lines();
    let before: Vec<_> = lines.by_ref().take_while(|line| *line != heading).collect();
    let after: Vec<_> = lines
        .skip_while(|line| level(line).is_none_or(|other| Some(other) > level(heading)))
        .collect();
    let parts = [before.join("\n"), section.to_owned(), after.join("\n")];
    let parts: Vec<_> = parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n\n") + "\n"
}

fn level(line: &str) -> Option<usize> {
    let hashes = line.bytes().take_while(|byte| *byte == b'#').count();
    (hashes > 0 && line[hashes..].starts_with(' ')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n1\n\n## B\n\n2\n\n# C\n\n3\n\n## D\n\n4\n";

    #[test]
    fn a_section_takes_the_place_of_its_forerunner_with_all_below_it() {
        assert_eq!(
            with(DOCUMENT, "# A\n\nnew\n"),
            "# A\n\nnew\n\n# C\n\n3\n\n## D\n\n4\n"
        );
        assert_eq!(
            with(DOCUMENT, "## B\n\nnew\n"),
            "# A\n\n1\n\n## B\n\nnew\n\n# C\n\n3\n\n## D\n\n4\n"
        );
        assert_eq!(with(DOCUMENT, "# C"), "# A\n\n1\n\n## B\n\n2\n\n# C\n");
    }

    #[test]
    fn a_new_section_comes_last() {
        assert_eq!(with(DOCUMENT, "## E\n"), format!("{DOCUMENT}\n## E\n"));
        assert_eq!(with("", "# A\n"), "# A\n");
    }
}
