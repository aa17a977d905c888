//! Query parameters: a closed set, each with one meaning wherever it is taken. What cannot be read
//! is refused by name; so is what the operation does not have, for a misspelt `dryrun=true` that
//! is ignored writes.

use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};
use sluice_intent::{LabelSelector, SelectorError};
use thiserror::Error;

use super::problem::Problem;
use crate::fleet::{ProxyStatus, Quorum};
use crate::live::Prune;
use crate::store::AuditAction;

/// Longest wait for a receipt.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(600);
/// Longest message of a revision, in characters.
const MAX_MESSAGE: usize = 4_096;

/// Every query parameter that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Action,
    Against,
    Author,
    BaseRevision,
    Before,
    Continue,
    DanglingRefs,
    DryRun,
    LabelSelector,
    /// With the longest page there is.
    Limit(u32),
    Message,
    Namespace,
    Prune,
    Quorum,
    Revision,
    Status,
    Wait,
}

/// Why a parameter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum ParameterError {
    /// The operation has no such parameter.
    #[error("is not one of this operation's")]
    Unknown,
    /// It is there more than once.
    #[error("may be given once")]
    Repeated,
    /// Neither true nor false.
    #[error("must be `true` or `false`")]
    Boolean,
    /// Not a duration, or too long a one.
    #[error("must be a duration such as `30s` or `1m30s`, at most 10m")]
    Duration,
    /// Not a share.
    #[error("must be a share of the fleet above 0 and at most 1, such as `0.95`")]
    Quorum,
    /// Not a number in its bounds.
    #[error("must be a number from {least} to {most}")]
    Number {
        /// Least that is taken.
        least: u64,
        /// Most that is taken.
        most: u64,
    },
    /// Not one of the words.
    #[error("must be `refuse` or `warn`")]
    DanglingRefs,
    /// Not what the audit trail knows.
    #[error("must be one of {}", AuditAction::ALL.map(AuditAction::as_str).join(", "))]
    Action,
    /// Not statuses of proxies.
    #[error("must be one or more of `current`, `behind`, `refused` and `lost`, with commas")]
    Status,
    /// Not a namespace.
    #[error("must be the name of a namespace")]
    Namespace,
    /// Not a label selector.
    #[error("must be a label selector such as `team=shop,tier!=test`: {0}")]
    Selector(SelectorError),
    /// It would select everything.
    #[error("must not be empty")]
    Empty,
    /// Longer than what is kept.
    #[error("must have at most {0} characters")]
    Length(usize),
    /// Not what a page of the list said.
    #[error("must be what the page before said in `continue`")]
    Continue,
}

/// What an operation takes from its query. `()` takes nothing.
pub(super) trait Query: Sized + Send {
    /// What there is to take.
    const PARAMETERS: &'static [Parameter];

    /// Reads it.
    ///
    /// # Errors
    /// The first parameter that cannot be read.
    fn read(fields: &Fields) -> Result<Self, Problem>;
}

impl Query for () {
    const PARAMETERS: &'static [Parameter] = &[];

    fn read(_: &Fields) -> Result<Self, Problem> {
        Ok(())
    }
}

/// The parameters of one request.
#[derive(Debug)]
pub(super) struct Fields(Vec<(Parameter, String)>);

impl Fields {
    /// Splits a query into `known` parameters.
    pub(super) fn split(query: Option<&str>, known: &[Parameter]) -> Result<Self, Problem> {
        let mut fields = Self(Vec::new());
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let refuse = |reason| Problem::Parameter {
                name: name.chars().take(100).collect(),
                reason,
            };
            let parameter = known.iter().copied().find(|parameter| parameter.name() == name);
            let parameter = parameter.ok_or_else(|| refuse(ParameterError::Unknown))?;
            if fields.text(parameter).is_some() {
                return Err(refuse(ParameterError::Repeated));
            }
            fields.0.push((parameter, value.into_owned()));
        }
        Ok(fields)
    }

    /// The value as it was written.
    pub(super) fn text(&self, parameter: Parameter) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| *known == parameter)
            .map(|(_, value)| value.as_str())
    }

    /// The value as `read` understands it.
    pub(super) fn get<T>(
        &self,
        parameter: Parameter,
        read: impl FnOnce(&str) -> Result<T, ParameterError>,
    ) -> Result<Option<T>, Problem> {
        let refuse = |reason| Problem::Parameter {
            name: parameter.name().to_owned(),
            reason,
        };
        self.text(parameter).map(read).transpose().map_err(refuse)
    }
}

pub(super) fn boolean(text: &str) -> Result<bool, ParameterError> {
    text.parse().map_err(|_| ParameterError::Boolean)
}

pub(super) fn wait(text: &str) -> Result<Duration, ParameterError> {
    let wait = text
        .parse::<sluice_intent::Duration>()
        .map_err(|_| ParameterError::Duration)?;
    Some(wait.to_std())
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or(ParameterError::Duration)
}

pub(super) fn quorum(text: &str) -> Result<Quorum, ParameterError> {
    text.parse().map_err(|_| ParameterError::Quorum)
}

/// Statuses of proxies, with commas.
pub(super) fn statuses(text: &str) -> Result<Vec<ProxyStatus>, ParameterError> {
    let statuses = text.split(',').map(|status| status.trim().parse());
    statuses
        .collect::<Result<_, _>>()
        .map_err(|_| ParameterError::Status)
}

/// A page's length.
pub(super) fn limit(text: &str, most: u32) -> Result<u32, ParameterError> {
    let refuse = ParameterError::Number {
        least: 1,
        most: most.into(),
    };
    let limit = NonZeroU32::from_str(text).map_err(|_| refuse)?.get();
    Some(limit).filter(|limit| *limit <= most).ok_or(refuse)
}

/// The number of a revision, 0 included: the empty state before all.
pub(super) fn revision(text: &str) -> Result<u64, ParameterError> {
    let refuse = ParameterError::Number {
        least: 0,
        most: i64::MAX as u64,
    };
    let revision = match text {
        "0" => 0,
        _ => NonZeroU64::from_str(text).map_err(|_| refuse)?.get(),
    };
    Some(revision)
        .filter(|revision| *revision <= i64::MAX as u64)
        .ok_or(refuse)
}

pub(super) fn selector(text: &str) -> Result<LabelSelector, ParameterError> {
    text.parse().map_err(ParameterError::Selector)
}

/// What is deleted. Everything has to be said: a selector that says nothing is a mistake here.
pub(super) fn prune(text: &str) -> Result<Prune, ParameterError> {
    match text.trim() {
        "" => Err(ParameterError::Empty),
        "*" => Ok(Prune::Namespaces),
        "*/*" => Ok(Prune::Everything),
        text => selector(text).map(Prune::Selected),
    }
}

pub(super) fn message(text: &str) -> Result<String, ParameterError> {
    match text.chars().count() <= MAX_MESSAGE {
        true => Ok(text.to_owned()),
        false => Err(ParameterError::Length(MAX_MESSAGE)),
    }
}

impl Parameter {
    /// The name in the query.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Against => "against",
            Self::Author => "author",
            Self::BaseRevision => "baseRevision",
            Self::Before => "before",
            Self::Continue => "continue",
            Self::DanglingRefs => "danglingRefs",
            Self::DryRun => "dryRun",
            Self::LabelSelector => "labelSelector",
            Self::Limit(_) => "limit",
            Self::Message => "message",
            Self::Namespace => "namespace",
            Self::Prune => "prune",
            Self::Quorum => "quorum",
            Self::Revision => "revision",
            Self::Status => "status",
            Self::Wait => "wait",
        }
    }

    /// What it does, for the OpenAPI document.
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::Action => "Only what was done in this way.",
            Self::Against => "Compare with this revision instead of the newest one.",
            Self::Author => "Only what was done with tokens of this name.",
            Self::BaseRevision => "Refuse with 409 if a touched resource changed after this revision.",
            Self::Before => "Only revisions, or lines of the audit trail, below this one.",
            Self::Continue => "What the page before said in `continue`.",
            Self::DanglingRefs => {
                "References to what does not exist are refused, or are warnings and their share of requests answers 500."
            }
            Self::DryRun => "Check everything and say what would change, but write nothing.",
            Self::LabelSelector => "Only what has these labels, such as `team=shop,tier!=test`.",
            Self::Limit(_) => "At most so many in one page.",
            Self::Message => "Why; kept in the history. At most 4096 characters.",
            Self::Namespace => "The namespace of manifests that name none; `default` when left out.",
            Self::Prune => {
                "Also delete what has these labels and is not among the manifests, in every namespace; with `*` everything that is not, in the namespaces of the manifests, and with `*/*` in all, but for Secrets."
            }
            Self::Quorum => "With `wait`: the share of the live fleet that is enough, 1 when left out.",
            Self::Revision => "As of this revision instead of the newest one.",
            Self::Status => {
                "Only proxies of these statuses, such as `behind,refused`; each proxy has one of `current`, `behind`, `refused` and `lost`."
            }
            Self::Wait => {
                "Answer once the quorum runs the revision, cannot be met any more, or this time is up; at most 10m."
            }
        }
    }

    /// Its JSON Schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Against | Self::BaseRevision | Self::Before | Self::Revision => {
                json!({"type": "integer", "format": "int64", "minimum": 0})
            }
            Self::Action => json!({"type": "string", "enum": AuditAction::ALL.map(AuditAction::as_str)}),
            Self::Author | Self::Continue | Self::LabelSelector | Self::Prune => json!({"type": "string"}),
            Self::Namespace => json!({
                "type": "string",
                "minLength": 1,
                "maxLength": 63,
                "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
            }),
            Self::Status => json!({
                "type": "string",
                "pattern": "^(current|behind|refused|lost)(,(current|behind|refused|lost))*$",
                "examples": ["behind,refused"]
            }),
            Self::Message => json!({"type": "string", "maxLength": MAX_MESSAGE}),
            Self::DanglingRefs => json!({"type": "string", "enum": ["refuse", "warn"], "default": "refuse"}),
            Self::DryRun => json!({"type": "boolean", "default": false}),
            Self::Limit(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
            Self::Quorum => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 1}),
            Self::Wait => json!({
                "type": "string",
                "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
                "examples": ["30s", "1m30s"]
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str, known: &[Parameter]) -> String {
        Fields::split(Some(query), known).unwrap_err().to_string()
    }

    #[test]
    fn parameters_are_decoded_and_strangers_are_refused_by_name() {
        let known = [Parameter::Message, Parameter::DryRun];
        let fields = Fields::split(Some("message=a+b%26&dryRun=true"), &known).unwrap();
        assert_eq!(fields.text(Parameter::Message), Some("a b&"));
        assert_eq!(fields.get(Parameter::DryRun, boolean).unwrap(), Some(true));
        assert_eq!(
            refused("dryrun=true", &known),
            "query parameter `dryrun`: is not one of this operation's"
        );
        assert_eq!(
            refused("dryRun=true&dryRun=true", &known),
            "query parameter `dryRun`: may be given once"
        );
    }

    #[test]
    fn values_out_of_their_bounds_are_refused() {
        assert_eq!(wait("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(wait("1m30s500ms"), Ok(Duration::from_millis(90_500)));
        for text in ["30", "", "-1s", "11m", "1d"] {
            assert_eq!(wait(text), Err(ParameterError::Duration), "{text}");
        }
        assert_eq!(quorum("1"), Ok(Quorum::ALL));
        for text in ["0", "-1", "1.01", "NaN", "inf", "all"] {
            assert_eq!(quorum(text), Err(ParameterError::Quorum), "{text}");
        }
        assert_eq!(limit("500", 500), Ok(500));
        for text in ["0", "501", "-1", "x"] {
            assert!(limit(text, 500).is_err(), "{text}");
        }
        assert_eq!(
            statuses("behind, refused"),
            Ok(vec![ProxyStatus::Behind, ProxyStatus::Refused])
        );
        for text in ["", "behind,", "live", "Behind"] {
            assert_eq!(statuses(text), Err(ParameterError::Status), "{text}");
        }
        assert_eq!(revision("9223372036854775807"), Ok(i64::MAX as u64));
        for text in ["9223372036854775808", "-1", "1.0", ""] {
            assert!(revision(text).is_err(), "{text}");
        }
        assert_eq!(
            message(&"ä".repeat(MAX_MESSAGE)).unwrap().chars().count(),
            MAX_MESSAGE
        );
        assert!(message(&"a".repeat(MAX_MESSAGE + 1)).is_err());
        assert_eq!(boolean("1"), Err(ParameterError::Boolean));
        assert_eq!(prune(" "), Err(ParameterError::Empty));
        assert_eq!(prune("*"), Ok(Prune::Namespaces));
        assert_eq!(prune("*/*"), Ok(Prune::Everything));
        for text in ["**", "*/a", "team=*"] {
            assert!(prune(text).is_err(), "{text}");
        }
    }
}
