//! Every answer that is not a success: problem details (RFC 9457), from one exhaustive mapping.
//!
//! Whose fault it is decides the status: 4xx is the caller's, 503 says that the same request may
//! work in a moment (`Retry-After`), any other 5xx that somebody has to look. What the database
//! said stays in the log.

mod class;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use sluice_intent::ResourceId;
use sluice_model::{Code, Revision, Violation};
use thiserror::Error;

use self::class::Class;
use super::access::{Forbidden, Unauthenticated};
use super::query::ParameterError;
use crate::live::{WriteError, counted};
use crate::store::{StoreError, Verb};
use crate::trust::TrustError;

/// Violations in one answer; more are only counted.
const MAX_VIOLATIONS: usize = 1_000;
/// Seconds after which the same request may work.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Why a request was not answered with what it asked for.
#[derive(Debug, Error)]
pub(super) enum Problem {
    /// No token, or none that is accepted.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The token does not allow it.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The path leads nowhere.
    #[error("{0}")]
    NotFound(Missing),
    /// The path has other methods.
    #[error("this path does not have the method; the Allow header lists those it has")]
    MethodNotAllowed,
    /// The body is in a format that is not read here.
    #[error("the body must be one of {}", .0.join(", "))]
    MediaType(&'static [&'static str]),
    /// The body is too long.
    #[error("the body is longer than the {0} bytes that are read")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    Slow,
    /// The connection broke while the body was read.
    #[error("the body ends early")]
    Incomplete,
    /// A query parameter cannot be read.
    #[error("query parameter `{name}`: {reason}")]
    Parameter {
        /// As it was written.
        name: String,
        /// What is wrong with it.
        reason: ParameterError,
    },
    /// A header cannot be read.
    #[error("header `{name}` must be {rule}")]
    Header {
        /// Which one.
        name: &'static str,
        /// What it has to look like.
        rule: &'static str,
    },
    /// The content reads, but is not right: every violation.
    #[error("{}", counted(.0.len()))]
    Violations(Vec<Violation>),
    /// The write was not made.
    #[error("{0}")]
    Write(WriteError),
    /// The store does not do what is asked of it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The certificate authority does not do it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// As many requests of this sort as are allowed are being served.
    #[error("too many requests at once")]
    Busy,
    /// A task of this process ended early.
    #[error("the control plane is shutting down")]
    Closing,
}

/// What is not there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Missing {
    /// Nothing has this path.
    #[error("nothing has this path")]
    Path,
    /// No kind has this plural.
    #[error("no kind of resource is called `{0}` in paths")]
    Plural(String),
    /// No resource has this name.
    #[error("{0} does not exist")]
    Resource(ResourceId),
    /// The history has not come that far.
    #[error("there is no revision {0}")]
    Revision(Revision),
    /// No proxy of this id is known.
    #[error("no proxy `{0}` is known")]
    Proxy(String),
    /// The proxy has no certificate that stands.
    #[error("proxy `{0}` has no certificate that stands")]
    Certificate(String),
    /// No token of this id stands.
    #[error("no token `{0}` stands")]
    Token(String),
}

impl Problem {
    /// The problem of content that is refused: malformed as a whole, or invalid in places.
    pub(super) fn violation(resource: &str, field: &str, code: Code, message: impl Into<String>) -> Self {
        Self::Violations(vec![Violation::new(resource, field, code, message)])
    }

    /// For the audit trail: where a write is wrong, if that is why it is refused. Messages are left
    /// out, for they may quote what was written.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Violations(violations) | Self::Write(WriteError::Refused(violations)) => {
                let place = |one: &Violation| format!("{} {} {}", one.resource, one.field, one.code);
                Some(
                    violations
                        .iter()
                        .take(MAX_VIOLATIONS)
                        .map(place)
                        .collect::<Vec<_>>()
                        .join("\n"),
                )
            }
            Self::Write(
                error @ (WriteError::Raced(_) | WriteError::Precondition { .. } | WriteError::Forbidden(_)),
            ) => Some(error.to_string()),
            Self::Forbidden(reason) => Some(reason.to_string()),
            _ => None,
        }
    }

    fn into_violations(self) -> Vec<Violation> {
        match self {
            Self::Violations(violations) | Self::Write(WriteError::Refused(violations)) => violations,
            Self::Write(WriteError::Forbidden(missing)) => {
                let forbidden = |(verb, id): (Verb, ResourceId)| {
                    let message = format!("the token does not allow to {verb} it");
                    Violation::new(id.to_string(), "", Code::Forbidden, message)
                };
                missing.into_iter().map(forbidden).collect()
            }
            Self::Write(WriteError::Raced(ids)) => {
                let raced = |id: ResourceId| {
                    let message = "has changed since the base revision";
                    Violation::new(id.to_string(), "", Code::Conflict, message)
                };
                ids.into_iter().map(raced).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What violations of a body as a whole are said of.
pub(super) const INPUT: &str = "input";

/// The body of an answer that is not a success (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemDetails {
    /// Identifies the kind of problem.
    #[serde(rename = "type")]
    uri: String,
    /// The kind of problem in a few words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// Every reason, when content was refused; at most 1,000.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    violations: Vec<ViolationDetails>,
}

/// One reason for a refusal: where it is and what to do about it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Violation")]
pub(super) struct ViolationDetails {
    /// `KIND/NAMESPACE/NAME`, or `input` for the body as a whole.
    resource: String,
    /// Path of the field; empty for the whole resource.
    field: String,
    /// What is wrong, for programs.
    code: &'static str,
    /// What is wrong, for people.
    message: String,
}

impl From<Violation> for ViolationDetails {
    fn from(violation: Violation) -> Self {
        Self {
            resource: violation.resource,
            field: violation.field,
            code: violation.code.as_str(),
            message: violation.message,
        }
    }
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotFound(id) => Self::NotFound(Missing::Resource(id)),
            other => Self::Write(other),
        }
    }
}

impl From<Missing> for Problem {
    fn from(missing: Missing) -> Self {
        Self::NotFound(missing)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, name, title) = Class::of(&self).facts();
        let challenge = match &self {
            Self::Unauthenticated(reason) => Some(reason.challenge()),
            Self::Forbidden(_) | Self::Write(WriteError::Forbidden(_)) => Some(Forbidden::CHALLENGE),
            _ => None,
        };
        let detail = self.to_string();
        let violations = self.into_violations().into_iter().take(MAX_VIOLATIONS);
        let details = ProblemDetails {
            uri: format!("urn:sluice:problem:{name}"),
            title,
            status: status.as_u16(),
            detail,
            violations: violations.map(Into::into).collect(),
        };
        // Strings and numbers: there is nothing in it that JSON cannot hold.
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS);
        }
        if let Some(challenge) = challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_fault_it_is_decides_the_status() {
        let id: ResourceId = "Backend/default/a".parse().unwrap();
        let status = |problem: Problem| problem.into_response().status().as_u16();
        let of = |code: Code| Problem::violation(INPUT, "", code, "no");
        for (problem, expected) in [
            (of(Code::Malformed), 400),
            (of(Code::Missing), 422),
            (
                Problem::violation("Backend/default/a", "spec", Code::Malformed, "no"),
                422,
            ),
            (WriteError::NotFound(id.clone()).into(), 404),
            (
                WriteError::Precondition {
                    id: id.clone(),
                    current: None,
                }
                .into(),
                412,
            ),
            (WriteError::Raced(vec![id]).into(), 409),
            (WriteError::Unknown.into(), 503),
            (StoreError::Unavailable.into(), 503),
            (StoreError::Full.into(), 507),
            (StoreError::Corrupt.into(), 500),
            (Problem::Busy, 503),
        ] {
            assert_eq!(status(problem), expected);
        }
    }

    #[test]
    fn what_may_work_in_a_moment_says_when() {
        let retry = |problem: Problem| problem.into_response().headers().contains_key(RETRY_AFTER);
        assert!(retry(StoreError::Unavailable.into()));
        assert!(!retry(StoreError::Corrupt.into()));
    }
}
