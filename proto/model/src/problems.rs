//! Collects the violations of one resource while it is read.

use crate::{Code, Key, Kind, Violation};

/// Violations found so far, all of one resource.
pub(crate) struct Problems<'a> {
    key: &'a Key,
    found: Vec<Violation>,
}

impl<'a> Problems<'a> {
    pub(crate) fn of(key: &'a Key) -> Self {
        Self {
            key,
            found: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, field: impl Into<String>, code: Code, message: impl ToString) {
        self.found.push(Violation::new(
            self.key.as_str(),
            field,
            code,
            message.to_string(),
        ));
    }

    /// The value, or `None` with the error noted as `Invalid`.
    pub(crate) fn keep<T>(
        &mut self,
        field: impl FnOnce() -> String,
        value: Result<T, impl ToString>,
    ) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field(), Code::Invalid, error);
                None
            }
        }
    }

    /// The key that `text` is, when it names one of `kind`.
    pub(crate) fn key(&mut self, field: &str, text: &str, kind: Kind) -> Option<Key> {
        let key = self.keep(|| field.into(), Key::parse(text))?;
        if key.kind() != kind {
            self.add(
                field,
                Code::Invalid,
                format!("not the key of a {}", kind.as_str()),
            );
            return None;
        }
        Some(key)
    }

    /// `value` if nothing was found.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match (value, self.found.is_empty()) {
            (Some(value), true) => Ok(value),
            (None, true) => Err(vec![Violation::new(
                self.key.as_str(),
                "",
                Code::Missing,
                "a required part is missing",
            )]),
            (_, false) => Err(self.found),
        }
    }
}
