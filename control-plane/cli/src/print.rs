//! Results on standard output, in the format asked for.

use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

use crate::failure::Failure;
use crate::options::Format;

/// Prints `answer` as it is, or what `table` makes of it.
///
/// # Errors
/// When the answer is not what `table` expects, or standard output is closed.
pub(crate) fn result(
    format: Format,
    answer: &Value,
    table: impl FnOnce(&Value) -> Result<String, Failure>,
) -> Result<(), Failure> {
    match format {
        Format::Table | Format::Markdown => text(&table(answer)?),
        Format::Json => text(&format!("{answer:#}\n")),
        Format::Yaml => text(&yaml(answer)),
    }
}

/// Prints `text`. A reader that has left (`| head`) has seen what it wanted.
///
/// # Errors
/// When standard output does not take it.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

/// `value` as a YAML document that ends with a newline.
pub(crate) fn yaml(value: &Value) -> String {
    // A JSON value has nothing that YAML cannot hold.
    let mut text = serde_saphyr::to_string(value).unwrap_or_default();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_printed_as_yaml_reads_as_the_same_value() {
        let value = json!({
            "name": "x", "share": 12.5, "list": [1, {"a": null}], "empty": {},
            "text": ["no", "1.0", "a: b", "- c", "#d", "line\nline\n", " pad "],
        });
        let read: Value = serde_saphyr::from_str(&yaml(&value)).unwrap();
        assert_eq!(read, value);
    }
}
