//! `LintPolicy`: how bad what is probably not meant is, in one namespace.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sluice_model::Code;

/// How bad what the linter finds is, for the resources of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LintPolicySpec {
    /// What becomes of a finding, by the code of its rule; rules that are not named stay as they are.
    #[serde(default, skip_serializing_if = "LintSeverities::is_empty")]
    pub rules: LintSeverities,
}

/// What becomes of findings, by rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LintSeverities(BTreeMap<LintRule, LintSeverity>);

/// What becomes of a finding. The later of two is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LintSeverity {
    /// It is not told.
    Off,
    /// It is told.
    Warning,
    /// A change that brings it about is refused; `unused` and `noRoutes` are errors of `lint` alone.
    Error,
}

/// What the linter looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LintRule {
    /// Others take all its requests.
    Shadowed,
    /// No request is like that.
    Unmatchable,
    /// Written twice.
    Duplicate,
    /// Only precedence decides.
    Overlap,
    /// Requests of another namespace are taken.
    Capture,
    /// No backend gets anything.
    EmptySplit,
    /// A reference leads nowhere.
    Dangling,
    /// A route attaches to nothing.
    Unattached,
    /// A Gateway has no routes.
    NoRoutes,
    /// Nothing refers to it.
    Unused,
    /// No certificate for a hostname.
    Uncovered,
    /// A certificate runs out.
    Expiring,
    /// An older policy says otherwise.
    Overridden,
}

impl LintRule {
    /// Every rule, the worst first.
    pub const ALL: [Self; 13] = [
        Self::Unmatchable,
        Self::Shadowed,
        Self::Duplicate,
        Self::Overlap,
        Self::Capture,
        Self::EmptySplit,
        Self::Dangling,
        Self::Unattached,
        Self::NoRoutes,
        Self::Unused,
        Self::Uncovered,
        Self::Expiring,
        Self::Overridden,
    ];

    /// The code of what it finds.
    pub const fn code(self) -> Code {
        match self {
            Self::Shadowed => Code::Shadowed,
            Self::Unmatchable => Code::Unmatchable,
            Self::Duplicate => Code::Duplicate,
            Self::Overlap => Code::Overlap,
            Self::Capture => Code::Capture,
            Self::EmptySplit => Code::EmptySplit,
            Self::Dangling => Code::Dangling,
            Self::Unattached => Code::Unattached,
            Self::NoRoutes => Code::NoRoutes,
            Self::Unused => Code::Unused,
            Self::Uncovered => Code::Uncovered,
            Self::Expiring => Code::Expiring,
            Self::Overridden => Code::Overridden,
        }
    }

    /// The rule that finds what has this code.
    pub fn of(code: Code) -> Option<Self> {
        match code {
            // What may not be referred to is as good as not there.
            Code::RefNotPermitted => Some(Self::Dangling),
            code => Self::ALL.into_iter().find(|rule| rule.code() == code),
        }
    }

    /// What becomes of a finding where no policy names the rule.
    pub const fn default_severity(self) -> LintSeverity {
        LintSeverity::Warning
    }

    /// What it finds, in one line.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Shadowed => "A match whose requests are all taken by other rules.",
            Self::Unmatchable => {
                "A match that no request can be like: an expression for nothing, a path that none has."
            }
            Self::Duplicate => "The same match twice at one place: the rule that comes second gets nothing.",
            Self::Overlap => {
                "Two rules of which neither is narrower, at one path: precedence decides who gets what both ask for."
            }
            Self::Capture => "A rule that takes requests which would go to a route of another namespace.",
            Self::EmptySplit => {
                "A rule or a variant whose backends get nothing: no weight, or nothing that exists."
            }
            Self::Dangling => {
                "A reference that leads nowhere, or to where it may not. Refused, unless asked to warn only."
            }
            Self::Unattached => "A route that no listener takes.",
            Self::NoRoutes => "A Gateway that no route attaches to.",
            Self::Unused => "A Backend, Secret or ConfigMap that nothing refers to.",
            Self::Uncovered => "A hostname served with TLS that no certificate of its listener is valid for.",
            Self::Expiring => "A certificate or list that has expired, soon will, or is not valid yet.",
            Self::Overridden => "A policy whose fields an older one sets for the same target.",
        }
    }
}

impl fmt::Display for LintRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code().fmt(f)
    }
}

impl LintSeverity {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl LintPolicySpec {
    /// Takes out of a stored spec what a later version put in and this one does not know: rules that it does not
    /// look for, and severities that it has no meaning for.
    pub fn forget_unknown(spec: &mut Value) {
        let rules = spec.get_mut("rules").and_then(Value::as_object_mut);
        let Some(rules) = rules else { return };
        rules.retain(|rule, severity| {
            let is_known = LintRule::ALL
                .into_iter()
                .any(|known| known.code().as_str() == rule);
            is_known && LintSeverity::deserialize(&*severity).is_ok()
        });
    }
}

impl LintSeverities {
    /// Whether no rule is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is said of a rule, if anything.
    pub fn get(&self, rule: LintRule) -> Option<LintSeverity> {
        self.0.get(&rule).copied()
    }
}

/// Every rule is a field, so that a misspelt one is told as an unknown field is.
impl JsonSchema for LintSeverities {
    fn schema_name() -> Cow<'static, str> {
        "LintSeverities".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let levels =
            [LintSeverity::Off, LintSeverity::Warning, LintSeverity::Error].map(LintSeverity::as_str);
        let field = |rule: LintRule| {
            let schema = json_schema!({
                "type": "string",
                "description": rule.summary(),
                "enum": levels
            });
            (rule.to_string(), schema.to_value())
        };
        let fields: Map<String, Value> = LintRule::ALL.into_iter().map(field).collect();
        json_schema!({"type": "object", "properties": fields})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_written_as_its_code_and_found_by_it() {
        for rule in LintRule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.code().as_str());
            assert_eq!(LintRule::of(rule.code()), Some(rule));
            assert!(rule.summary().ends_with('.'), "{rule}");
        }
        let all: std::collections::BTreeSet<_> = LintRule::ALL.into_iter().collect();
        assert_eq!(all.len(), LintRule::ALL.len());
        for severity in [LintSeverity::Off, LintSeverity::Warning, LintSeverity::Error] {
            assert_eq!(serde_json::to_value(severity).unwrap(), severity.as_str());
        }
        assert_eq!(LintRule::of(Code::Malformed), None);
    }

    #[test]
    fn rules_and_severities_of_later_versions_are_left_out() {
        let mut spec =
            serde_json::json!({"rules": {"capture": "error", "haunted": "error", "unused": "loud"}});
        LintPolicySpec::forget_unknown(&mut spec);
        assert_eq!(spec, serde_json::json!({"rules": {"capture": "error"}}));
        for mut other in [
            serde_json::json!({}),
            serde_json::json!({"rules": []}),
            Value::Null,
        ] {
            let before = other.clone();
            LintPolicySpec::forget_unknown(&mut other);
            assert_eq!(other, before);
        }
    }
}
