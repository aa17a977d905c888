//! One thing that is found, before and after it is weighed.

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::diff::Witness;
use sluice_intent::{LintRule, LintSeverity, ResourceId};
use sluice_model::{Code, Violation};

use crate::plan::schema;

/// One thing that is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lint {
    /// Whether a write that brings it about is refused.
    pub severity: Severity,
    /// `HTTPRoute/default/shop`.
    pub resource: String,
    /// Where in it; empty for the whole resource.
    pub field: String,
    /// Which rule of the linter, or of the check, found it.
    pub code: String,
    /// What it is, and what to do.
    pub message: String,
    /// A request that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Request>")]
    pub witness: Option<Witness>,
    /// Who else has to do with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Site>,
}

/// A place in a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "LintSite")]
pub struct Site {
    /// `HTTPRoute/default/shop`.
    pub resource: String,
    /// Where in it; empty for the whole resource.
    pub field: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "FindingSeverity")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is accepted, and probably not meant.
    Warning,
}

/// The same before it is known how bad it is.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) rule: LintRule,
    pub(super) code: Code,
    pub(super) resource: ResourceId,
    pub(super) field: String,
    pub(super) message: String,
    pub(super) witness: Option<Witness>,
    pub(super) other: Option<(ResourceId, String)>,
}

impl Finding {
    pub(super) fn new(
        rule: LintRule,
        resource: &ResourceId,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            code: rule.code(),
            resource: resource.clone(),
            field: field.into(),
            message: message.into(),
            witness: None,
            other: None,
        }
    }

    /// With a request that shows it; without what rules ask of credentials, since others read it, too.
    pub(super) fn with(self, witness: Option<Witness>) -> Self {
        let witness = witness.map(Witness::without_credentials);
        Self { witness, ..self }
    }

    pub(super) fn beside(self, other: (ResourceId, String)) -> Self {
        Self {
            other: Some(other),
            ..self
        }
    }

    /// A warning of the check, if it is by a rule of the linter.
    pub(super) fn of_warning(warning: Violation) -> Option<Self> {
        Some(Self {
            rule: LintRule::of(warning.code)?,
            code: warning.code,
            resource: warning.resource.parse().ok()?,
            field: warning.field,
            message: warning.message,
            witness: None,
            other: None,
        })
    }

    /// What two findings have in common that are the same, wherever in its resource it is.
    pub(super) fn identity(&self) -> (LintRule, ResourceId, Option<ResourceId>) {
        let other = self.other.as_ref().map(|(other, _)| other.clone());
        (self.rule, self.resource.clone(), other)
    }

    pub(super) fn lint(self, severity: Severity) -> Lint {
        Lint {
            severity,
            resource: self.resource.to_string(),
            field: self.field,
            code: self.code.as_str().to_owned(),
            message: self.message,
            witness: self.witness,
            other: self.other.map(|(resource, field)| Site {
                resource: resource.to_string(),
                field,
            }),
        }
    }

    /// In the form of a violation, with the request in the message.
    pub(super) fn violation(self) -> Violation {
        Violation {
            resource: self.resource.to_string(),
            field: self.field,
            code: self.code,
            message: with_request(self.message, self.witness.as_ref()),
        }
    }
}

impl Lint {
    /// What is refused whatever the linter is told.
    pub(super) fn refused(violation: Violation) -> Self {
        Self {
            severity: Severity::Error,
            resource: violation.resource,
            field: violation.field,
            code: violation.code.as_str().to_owned(),
            message: violation.message,
            witness: None,
            other: None,
        }
    }

    /// By what they are sorted.
    pub(super) fn place(&self) -> impl Ord + use<'_> {
        (
            self.severity,
            &self.resource,
            &self.field,
            &self.code,
            &self.other,
        )
    }

    /// The message, with the request that shows it.
    pub fn text(&self) -> String {
        with_request(self.message.clone(), self.witness.as_ref())
    }
}

impl Severity {
    /// How it is told; `None` when it is not.
    pub(super) const fn told(severity: LintSeverity) -> Option<Self> {
        match severity {
            LintSeverity::Off => None,
            LintSeverity::Warning => Some(Self::Warning),
            LintSeverity::Error => Some(Self::Error),
        }
    }
}

fn with_request(message: String, witness: Option<&Witness>) -> String {
    match witness {
        Some(witness) => format!("{message} ({})", written(witness)),
        None => message,
    }
}

/// A request as people write it: `GET http://shop.example/a -H 'x: 1'`.
fn written(witness: &Witness) -> String {
    let mut text = format!("{} {}", witness.method, witness.url());
    for (name, value) in &witness.headers {
        text.push_str(&format!(" -H '{name}: {value}'"));
    }
    text
}
