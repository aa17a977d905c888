//! What a control plane says when it refuses: RFC 9457 problem details with violations.

use std::fmt;

use serde::Deserialize;

/// The body of an answer that is not a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// The kind of problem in a few words.
    pub(crate) title: String,
    /// HTTP status code.
    pub(crate) status: u16,
    /// What happened this time.
    pub(crate) detail: String,
    /// Every reason, when content was refused.
    pub(crate) violations: Vec<Violation>,
}

/// One reason for a refusal. The code is text here, since a newer server may know more of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Violation {
    /// `HTTPRoute/default/shop`, or where in the input it stands.
    pub(crate) resource: String,
    /// Path of the field; empty for the whole resource.
    pub(crate) field: String,
    /// What is wrong, for scripts.
    pub(crate) code: String,
    /// What is wrong, for people.
    pub(crate) message: String,
}

impl From<&sluice_model::Violation> for Violation {
    fn from(violation: &sluice_model::Violation) -> Self {
        Self {
            resource: violation.resource.clone(),
            field: violation.field.clone(),
            code: violation.code.to_string(),
            message: violation.message.clone(),
        }
    }
}

impl Problem {
    /// The problem that `body` describes; proxies in between answer in words of their own, which
    /// are cut to one line.
    pub(crate) fn read(status: u16, body: &str) -> Self {
        let mut problem: Self = serde_json::from_str(body).unwrap_or_else(|_| Self {
            detail: body
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect(),
            ..Self::default()
        });
        problem.status = status;
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.title.as_str(), self.detail.as_str()) {
            ("", "") => write!(f, "the control plane answered {}", self.status)?,
            ("", detail) => write!(f, "the control plane answered {}: {detail}", self.status)?,
            (title, "") => write!(f, "{title} ({})", self.status)?,
            (title, detail) => write!(f, "{title}: {detail} ({})", self.status)?,
        }
        if !self.violations.is_empty() {
            write!(f, "\n{}", Aligned(&self.violations))?;
        }
        Ok(())
    }
}

/// Violations as aligned lines: resource, field, message and code.
pub(crate) struct Aligned<'a>(pub(crate) &'a [Violation]);

impl fmt::Display for Aligned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |text: fn(&Violation) -> &str| {
            let widths = self.0.iter().map(|violation| text(violation).chars().count());
            widths.max().unwrap_or(0)
        };
        let (resource, field) = (widest(|v| &v.resource), widest(|v| &v.field));
        for (index, violation) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}  {:resource$}  ", violation.resource)?;
            if field > 0 {
                write!(f, "{:field$}  ", violation.field)?;
            }
            write!(f, "{} ({})", violation.message, violation.code)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violation(resource: &str, field: &str, code: &str, message: &str) -> Violation {
        Violation {
            resource: resource.into(),
            field: field.into(),
            code: code.into(),
            message: message.into(),
        }
    }

    #[test]
    fn violations_are_printed_in_aligned_columns() {
        let problem = Problem {
            title: "Invalid content".into(),
            status: 422,
            detail: "2 violations".into(),
            violations: vec![
                violation("HTTPRoute/default/shop", "spec.rules", "missing", "is required"),
                violation(
                    "Backend/default/a",
                    "spec.endpoints[0].port",
                    "outOfRange",
                    "must be 1 or more",
                ),
            ],
        };
        assert_eq!(
            problem.to_string(),
            "Invalid content: 2 violations (422)\n  \
             HTTPRoute/default/shop  spec.rules              is required (missing)\n  \
             Backend/default/a       spec.endpoints[0].port  must be 1 or more (outOfRange)"
        );
    }

    #[test]
    fn an_answer_that_is_no_problem_document_is_cut_to_its_first_line() {
        let problem = Problem::read(502, "<html>bad gateway</html>\n<more>");
        assert_eq!(
            problem.to_string(),
            "the control plane answered 502: <html>bad gateway</html>"
        );
        assert_eq!(
            Problem::read(500, "").to_string(),
            "the control plane answered 500"
        );
    }
}
