//! What is probably not meant, of a whole world: matches that no request reaches, and what nobody uses.
//! Violations are found where a world is made; these cost a look at everything, so they are asked for.

use schemars::JsonSchema;
use serde::Serialize;
use sluice_core::{Snapshot, Unreached, reach};
use sluice_intent::{Kind, Resource, ResourceId};
use sluice_model::{HistoryId, Key, Revision, Violation};

use crate::compile::{Change, DanglingRefs, World};

/// One thing that is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lint {
    /// Whether a write of it is refused.
    pub severity: Severity,
    /// `HTTPRoute/default/shop`.
    pub resource: String,
    /// Where in it.
    pub field: String,
    /// Which rule of the linter, or of the check, found it.
    pub code: String,
    /// What it is, and a request that shows it.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is accepted, and probably not meant.
    Warning,
}

/// What would be said of these resources if they were all there is, at `now` in seconds since 1970.
pub fn lint(resources: Vec<Resource>, now: std::time::Duration) -> Vec<Lint> {
    let world = World::empty(HistoryId([0; 16])).at(now);
    let changes: Vec<_> = resources.into_iter().map(Change::Put).collect();
    match world.change(changes, Revision(1), DanglingRefs::Refuse) {
        Err(violations) => violations
            .into_iter()
            .map(|one| said(Severity::Error, one))
            .collect(),
        Ok(changed) => {
            let warnings = changed
                .warnings
                .into_iter()
                .map(|one| said(Severity::Warning, one));
            warnings.chain(doubts(&changed.world)).collect()
        }
    }
}

/// What is found in a world as a whole; of rules, those of proxies that match no selector are looked into.
pub fn doubts(world: &World) -> Vec<Lint> {
    let mut found = unreached(world.snapshot());
    found.extend(world.idle().into_iter().map(|id| unused(&id)));
    found
}

fn said(severity: Severity, violation: Violation) -> Lint {
    Lint {
        severity,
        resource: violation.resource,
        field: violation.field,
        code: violation.code.as_str().to_owned(),
        message: violation.message,
    }
}

fn unused(id: &ResourceId) -> Lint {
    Lint {
        severity: Severity::Warning,
        resource: id.to_string(),
        field: String::new(),
        code: "unused".to_owned(),
        message: "nothing refers to it".to_owned(),
    }
}

fn unreached(snapshot: &Snapshot) -> Vec<Lint> {
    // A table that serves can always be built again in this form.
    let Ok(found) = reach(snapshot) else {
        return Vec::new();
    };
    let is_proven = found.is_proven;
    let lints = found.unreached.into_iter();
    lints.map(|one| missed(&one, is_proven)).collect()
}

fn missed(unreached: &Unreached, is_proven: bool) -> Lint {
    let (code, reason) = match &unreached.taken {
        None => ("matchesNothing", "no request is like that".to_owned()),
        Some(taken) => {
            let code = if taken.is_duplicate {
                "duplicate"
            } else {
                "shadowed"
            };
            let elsewhere = match namespace(&taken.rule) == namespace(&unreached.rule) {
                true => "",
                false => ", of another namespace,",
            };
            let (winner, at) = (&taken.rule, taken.match_index);
            (
                code,
                format!("{winner} (match {at}){elsewhere} takes them: {}", taken.witness),
            )
        }
    };
    let certainty = match is_proven {
        true => "takes no request",
        false => "takes no request that was looked at",
    };
    Lint {
        severity: Severity::Warning,
        resource: route(&unreached.rule),
        field: format!(
            "spec.rules[{}].matches[{}]",
            unreached.rule_index, unreached.match_index
        ),
        code: code.to_owned(),
        message: format!("{certainty}: {reason}"),
    }
}

fn namespace(rule: &str) -> String {
    Key::parse(rule).map_or_else(|_| String::new(), |key| key.segment(0).to_owned())
}

/// The resource that a rule is of.
fn route(rule: &str) -> String {
    Key::parse(rule).map_or_else(
        |_| rule.to_owned(),
        |key| format!("{}/{}", Kind::HTTPRoute, key.owner()),
    )
}
