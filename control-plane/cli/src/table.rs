//! Tables as kubectl prints them: aligned columns without borders, also when piped.

use std::fmt;

use comfy_table::{ContentArrangement, presets};

/// What stands in a column that has nothing to say.
pub(crate) const NONE: &str = "<none>";

/// Rows under a line of headings.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings.
    pub(crate) fn new<H: Into<String>>(headings: impl IntoIterator<Item = H>) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(headings.into_iter().map(Into::into));
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        Self(table)
    }

    /// Adds a row; cells stand on one line each.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| one_line(&cell)));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.0.trim_fmt())
    }
}

/// Words joined by commas, or [`NONE`].
pub(crate) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    match items.is_empty() {
        true => NONE.to_owned(),
        false => items.join(","),
    }
}

/// Control characters, which come from messages and names, must not reach a terminal.
fn one_line(cell: &str) -> String {
    cell.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_at_their_last_letter() {
        let mut table = Table::new(["NAME", "AGE"]);
        table.row(["a-long-name".into(), "3m".into()]);
        table.row(["b".into(), "two\nlines\u{1b}[31m".into()]);
        assert_eq!(
            table.to_string(),
            "NAME          AGE\n\
             a-long-name   3m\n\
             b             two lines [31m\n"
        );
    }
}
