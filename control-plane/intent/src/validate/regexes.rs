//! Regular expressions of one input: compiled once each to see that they can be.

use std::collections::HashMap;

use regex::RegexBuilder;
use sluice_model::{Code, REGEX_SIZE_LIMIT};

use crate::report::Report;

/// Most different expressions of one input, for compiling them is what takes longest in it.
const MOST: usize = 2048;

/// Expressions seen so far, and what was wrong with each.
#[derive(Default)]
pub(crate) struct Regexes(HashMap<String, Option<(Code, String)>>);

impl Regexes {
    /// Reports what is wrong with the expression that is being looked at.
    pub(super) fn check(&mut self, pattern: &str, report: &mut Report<'_>) {
        if !self.0.contains_key(pattern) {
            if self.0.len() >= MOST {
                let message = format!("one input may have {MOST} different regular expressions at most");
                report.add(Code::OutOfRange, message);
                return;
            }
            self.0.insert(pattern.to_owned(), fault(pattern));
        }
        if let Some(Some((code, message))) = self.0.get(pattern) {
            report.add(*code, message);
        }
    }
}

fn fault(pattern: &str) -> Option<(Code, String)> {
    // By itself first: `a)|(b` must not become right by what is put around it.
    if let Err(error) = regex_syntax::ast::parse::Parser::new().parse(pattern) {
        return Some((
            Code::Invalid,
            format!("is not a regular expression: {}", error.kind()),
        ));
    }
    // Then as it will be used, to match the whole of a value.
    let error = RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(REGEX_SIZE_LIMIT)
        .build()
        .err()?;
    Some(match error {
        regex::Error::CompiledTooBig(_) => (
            Code::OutOfRange,
            format!("must compile to at most {REGEX_SIZE_LIMIT} bytes; shorten the repetitions"),
        ),
        // The message draws the expression over several lines; the last one says what is wrong.
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            (
                Code::Invalid,
                format!(
                    "is not a regular expression: {}",
                    reason.trim_start_matches("error: ")
                ),
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Quoting, Violations};

    #[test]
    fn the_number_of_different_expressions_is_bounded_and_known_ones_cost_nothing() {
        let mut violations = Violations::default();
        let mut report = Report::new("input", &mut violations, Quoting::Short);
        let mut regexes = Regexes::default();
        for number in 0..MOST {
            regexes.check(&number.to_string(), &mut report);
            regexes.check("0", &mut report);
        }
        regexes.check("one too many", &mut report);
        let told = violations.into_vec();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].code, Code::OutOfRange);
    }
}
