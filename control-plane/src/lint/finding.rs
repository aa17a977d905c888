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
    /// What in the resource it is about, in the user's words: a match, a hostname. Stays what it is where other
    /// things in the resource move.
    pub(super) about: String,
    pub(super) witness: Option<Witness>,
    pub(super) other: Option<Spot>,
}

/// A place in a resource.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    pub(super) resource: ResourceId,
    pub(super) field: String,
    /// What stands there, as it is written.
    pub(super) about: String,
}

/// What two findings have in common that are the same.
pub(super) type Identity = (LintRule, ResourceId, String, Option<(ResourceId, String)>);

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
            about: String::new(),
            witness: None,
            other: None,
        }
    }

    /// About this, in the user's words.
    pub(super) fn about(self, about: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            ..self
        }
    }

    /// With a request that shows it; without what rules ask of credentials, since others read it, too.
    pub(super) fn with(self, witness: Option<Witness>) -> Self {
        let witness = witness.map(Witness::without_credentials);
        Self { witness, ..self }
    }

    pub(super) fn beside(self, other: Spot) -> Self {
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
            about: warning.message.clone(),
            message: warning.message,
            witness: None,
            other: None,
        })
    }

    /// What it has in common with the same one of another time, wherever in its resource that is.
    pub(super) fn identity(&self) -> Identity {
        // Of a match that gets nothing at all it does not matter who is named.
        let other = match self.rule {
            LintRule::Shadowed | LintRule::Unmatchable => None,
            _ => self.other.as_ref(),
        };
        let other = other.map(|other| (other.resource.clone(), other.about.clone()));
        (self.rule, self.resource.clone(), self.about.clone(), other)
    }

    /// The two rules that it is about, whichever of their matches it is.
    pub(super) fn pair(&self) -> (LintRule, ResourceId, String, Option<(ResourceId, String)>) {
        let rule = |field: &str| field.split(".matches[").next().unwrap_or_default().to_owned();
        let other = self.other.as_ref();
        let other = other.map(|other| (other.resource.clone(), rule(&other.field)));
        (self.rule, self.resource.clone(), rule(&self.field), other)
    }

    /// The same for somebody who may read only what `sees` says; `own` is a resource of theirs that has to do
    /// with it.
    pub(super) fn told_to(self, sees: &dyn Fn(&ResourceId) -> bool, own: &ResourceId) -> Self {
        let is_seen = sees(&self.resource);
        if is_seen && self.other.as_ref().is_none_or(|other| sees(&other.resource)) {
            return self;
        }
        let other = self.other.filter(|other| sees(&other.resource));
        let (resource, field) = match (is_seen, other) {
            (true, _) => (self.resource, self.field),
            (false, Some(other)) => (other.resource, other.field),
            (false, None) => (own.clone(), String::new()),
        };
        let message = concealed(self.rule);
        Self {
            code: self.code,
            about: self.about,
            ..Self::new(self.rule, &resource, field, message)
        }
    }

    pub(super) fn lint(self, severity: Severity) -> Lint {
        Lint {
            severity,
            resource: self.resource.to_string(),
            field: self.field,
            code: self.code.as_str().to_owned(),
            message: self.message,
            witness: self.witness,
            other: self.other.map(|other| Site {
                resource: other.resource.to_string(),
                field: other.field,
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

    /// The same without what would tell of `other` more than that it is there.
    pub fn without_other(self) -> Self {
        let rule = LintRule::ALL
            .into_iter()
            .find(|rule| rule.code().as_str() == self.code);
        Self {
            message: rule.map_or(self.message, concealed),
            witness: None,
            other: None,
            ..self
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

/// What is said to those who may not read the resource that has to do with it.
fn concealed(rule: LintRule) -> String {
    format!(
        "{} The other resource is one that this token may not read.",
        rule.summary()
    )
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
