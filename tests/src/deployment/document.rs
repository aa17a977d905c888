//! The commands that a document of `deploy/` tells operators to run.

use anyhow::Context as _;

/// The blocks of shell below the heading `## HEADING` or `### HEADING` of the file `deploy/NAME`.
///
/// # Errors
/// When there is no such heading, or no block below it.
pub fn commands(name: &str, heading: &str) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(super::directory().join(name))?;
    let mut lines = text.lines();
    lines
        .find(|line| line.trim_start_matches('#').trim() == heading && line.starts_with("##"))
        .with_context(|| format!("{name} has no heading {heading}"))?;
    let mut blocks = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.starts_with("##")) {
        if line == "```sh" {
            let block = lines.by_ref().take_while(|line| *line != "```");
            blocks.push(block.fold(String::new(), |block, line| block + line + "\n"));
        }
    }
    anyhow::ensure!(!blocks.is_empty(), "{name}: no commands under {heading}");
    Ok(blocks)
}
