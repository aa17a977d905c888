//! The layout of a description.

use std::fmt::Write as _;

use crate::table::Table;

/// Width of the names in front of values.
const MARGIN: usize = 14;

/// Text that grows line by line.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// What was written.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// A name and what it is.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{:MARGIN$}{value}", format!("{name}:"));
    }

    /// A name over what follows.
    pub(super) fn heading(&mut self, name: &str) {
        let _ = writeln!(self.0, "{name}:");
    }

    /// A line below a heading.
    pub(super) fn item(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "  {name:<8} {value}");
    }

    /// A table below a heading.
    pub(super) fn table(&mut self, name: &str, table: &Table) {
        self.heading(name);
        for line in table.to_string().lines() {
            let _ = writeln!(self.0, "  {line}");
        }
    }
}
