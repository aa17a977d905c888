//! Files of cases, one in each line.

use std::path::Path;

use anyhow::Context as _;
use serde::de::DeserializeOwned;

/// Reads cases from lines of JSON.
///
/// # Errors
/// When the file cannot be read, or a line is no case.
pub fn read<Case: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<Case>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines()
        .enumerate()
        .map(|(number, line)| {
            serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), number + 1))
        })
        .collect()
}
