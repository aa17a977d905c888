//! Where violations are gathered, and the path of the field that is being looked at.

use std::fmt::Display;

use serde_json::Value;
use sluice_model::{Code, Violation};

/// Most violations that one input is told of; the rest is counted.
const MOST: usize = 1000;
/// Most characters of what a user wrote that a message or a path repeats.
const QUOTED: usize = 80;

/// Every violation of one input, up to a bound.
#[derive(Default)]
pub(crate) struct Violations {
    found: Vec<Violation>,
    total: usize,
}

impl Violations {
    /// How many there are, the untold ones too.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn push(&mut self, resource: &str, field: &str, code: Code, message: impl Display) {
        self.total += 1;
        if self.found.len() < MOST {
            self.found
                .push(Violation::new(resource, field, code, message.to_string()));
        }
    }

    /// The violations, with a last one that counts those beyond the bound.
    pub(crate) fn into_vec(mut self) -> Vec<Violation> {
        if self.total > MOST {
            let message = format!("{} more violations are not shown", self.total - MOST);
            self.found
                .push(Violation::new("input", "", Code::OutOfRange, message));
        }
        self.found
    }
}

/// Violations of one resource, reported at the path that is being looked at.
pub(crate) struct Report<'a> {
    resource: &'a str,
    path: String,
    violations: &'a mut Violations,
    quoting: Quoting,
}

/// Whether messages repeat what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// They do, up to a length.
    Short,
    /// They do not, nor names that nobody but the writer knows: anything in it may be a secret, wherever
    /// it was pasted.
    Never,
}

impl<'a> Report<'a> {
    pub(crate) fn new(resource: &'a str, violations: &'a mut Violations, quoting: Quoting) -> Self {
        Self {
            resource,
            path: String::new(),
            violations,
            quoting,
        }
    }

    /// Looks at the field `name`, which is not one that this build knows.
    pub(crate) fn unknown<T>(&mut self, name: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        match self.quoting {
            Quoting::Short => self.field(name, look),
            Quoting::Never => look(self),
        }
    }

    /// `text` in quotes before `rest`, or `rest` alone.
    pub(crate) fn quoting(&self, text: &str, rest: impl Display) -> String {
        match self.quoting {
            Quoting::Short => format!("{} {rest}", quoted(text)),
            Quoting::Never => rest.to_string(),
        }
    }

    /// `message`, and what was found instead of what it asks for.
    pub(crate) fn instead_of(&self, message: impl Display, found: impl Display) -> String {
        match self.quoting {
            Quoting::Short => format!("{message}, not {found}"),
            Quoting::Never => message.to_string(),
        }
    }

    /// What there is too much of, in words, with the name that it has.
    pub(crate) fn naming(&self, what: &str, name: &str) -> String {
        match self.quoting {
            Quoting::Short => format!("{what} {}", quoted(name)),
            Quoting::Never => what.to_owned(),
        }
    }

    /// Looks at the field `name` of what is being looked at.
    pub(crate) fn field<T>(&mut self, name: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.within(look, |path| push_field(path, name))
    }

    /// Looks at the element `index` of what is being looked at.
    pub(crate) fn item<T>(&mut self, index: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        self.within(look, |path| path.push_str(&format!("[{index}]")))
    }

    /// Looks at every element of the list `name`.
    pub(crate) fn each<'e, E>(
        &mut self,
        name: &str,
        elements: &'e [E],
        mut look: impl FnMut(&mut Self, &'e E),
    ) {
        self.field(name, |report| {
            for (index, element) in elements.iter().enumerate() {
                report.item(index, |report| look(report, element));
            }
        });
    }

    /// Reports a violation of what is being looked at.
    pub(crate) fn add(&mut self, code: Code, message: impl Display) {
        self.violations.push(self.resource, &self.path, code, message);
    }

    /// Reports a violation of the field `name` of what is being looked at.
    pub(crate) fn add_in(&mut self, name: &str, code: Code, message: impl Display) {
        self.field(name, |report| report.add(code, message));
    }

    fn within<T>(&mut self, look: impl FnOnce(&mut Self) -> T, extend: impl FnOnce(&mut String)) -> T {
        let length = self.path.len();
        extend(&mut self.path);
        let result = look(self);
        self.path.truncate(length);
        result
    }
}

/// Plain names are joined by dots, all others, as those of labels, are quoted in brackets.
fn push_field(path: &mut String, name: &str) {
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        path.push_str(&format!("[{}]", quoted(name)));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.extend(name.chars().take(QUOTED));
}

/// `text` in quotes, with control characters escaped, and cut when it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut start: String = text.chars().take(QUOTED).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

/// A value as a person would name it: `the string "80"`.
pub(crate) fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_fields_elements_and_odd_keys() {
        let mut violations = Violations::default();
        let mut report = Report::new("Gateway/default/edge", &mut violations, Quoting::Short);
        report.field("metadata", |report| {
            report.field("labels", |report| report.add_in("a.b/c", Code::Invalid, "no"));
        });
        report.field("spec", |report| {
            report.each("listeners", &[1, 2], |report, _| {
                report.add_in("port", Code::Invalid, "no");
            });
        });
        let fields: Vec<_> = violations
            .into_vec()
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        assert_eq!(
            fields,
            [
                r#"metadata.labels["a.b/c"]"#,
                "spec.listeners[0].port",
                "spec.listeners[1].port"
            ]
        );
    }

    #[test]
    fn past_the_bound_violations_are_counted_and_not_kept() {
        let mut violations = Violations::default();
        for _ in 0..MOST + 7 {
            violations.push("a", "b", Code::Invalid, "c");
        }
        let told = violations.into_vec();
        assert_eq!(told.len(), MOST + 1);
        assert!(told.last().unwrap().message.starts_with("7 more"));
    }
}
