//! Lines by a template such as `$client "$method $path" $status`.

use std::{fmt::Write as _, str::FromStr};

use super::{Record, line::Field};
use crate::clock::WallClock;

/// Text with variables, `$name` or `${name}`; `$$` is a dollar sign. A field that a request does
/// not have is written as `-`.
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Field(Field),
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A `$name` that is no field.
    #[error("a variable at byte {at} of the template is none of those that a line has")]
    Unknown {
        /// Where its name starts.
        at: usize,
    },
    /// A `${` without `}`.
    #[error("a '${{' at byte {at} of the template is not closed")]
    Open {
        /// Where its name starts.
        at: usize,
    },
}

impl Template {
    /// Appends `record`, without a newline.
    pub(super) fn write(&self, record: &Record, wall: WallClock, out: &mut String) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field) => match field.value(record, wall) {
                    Some(value) => drop(write!(out, "{value}")),
                    None => out.push('-'),
                },
            }
        }
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            push_text(&mut parts, before);
            let at = text.len() - after.len();
            if let Some(after) = after.strip_prefix('$') {
                push_text(&mut parts, "$");
                rest = after;
                continue;
            }
            let (name, after) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or(TemplateError::Open { at })?,
                None => after.split_at(
                    after
                        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                        .unwrap_or(after.len()),
                ),
            };
            let field = Field::ALL.into_iter().find(|field| field.name() == name);
            parts.push(Part::Field(field.ok_or(TemplateError::Unknown { at })?));
            rest = after;
        }
        push_text(&mut parts, rest);
        Ok(Self(parts))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::record::tests::record;

    fn line(template: &str, record: &Record) -> String {
        let mut out = String::new();
        let template: Template = template.parse().unwrap();
        template.write(record, WallClock::read(), &mut out);
        out
    }

    #[test]
    fn variables_are_replaced_and_what_is_missing_is_a_dash() {
        assert_eq!(
            line("${method} $path -> $status ($variant) $reason $$5", &record()),
            "GET /items?id=1 -> 200 (blue) - $5"
        );
    }

    #[test]
    fn a_client_cannot_forge_a_line() {
        let mut record = record();
        record.target.path = "/\" 200\n\x1b[2J\\".into();
        assert_eq!(line("\"$path\"", &record), "\"/\\x22 200\\x0A\\x1B[2J\\x5C\"");
    }

    #[test]
    fn a_template_with_an_unknown_variable_is_refused() {
        let error = |text: &str| text.parse::<Template>().unwrap_err();
        assert_eq!(error("$status $statsu"), TemplateError::Unknown { at: 9 });
        assert_eq!(error("a ${status"), TemplateError::Open { at: 3 });
        assert_eq!(error("5 $"), TemplateError::Unknown { at: 3 });
    }
}
