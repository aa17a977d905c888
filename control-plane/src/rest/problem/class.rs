//! The kinds of problem that clients can tell apart, and of which each problem is.

use http::StatusCode;
use sluice_model::{Code, Violation};

use super::{INPUT, Problem};
use crate::live::WriteError;
use crate::store::StoreError;
use crate::trust::{RotateError, TrustError};

/// The kinds of problem that clients can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Media,
    TooLarge,
    Timeout,
    BadRequest,
    Malformed,
    Invalid,
    Conflict,
    Precondition,
    Busy,
    Unavailable,
    UnknownOutcome,
    Full,
    NoKey,
    Internal,
}

impl Class {
    /// That of a problem.
    pub(super) fn of(problem: &Problem) -> Self {
        match problem {
            Problem::Unauthenticated(_) => Self::Unauthenticated,
            Problem::Forbidden(_) => Self::Forbidden,
            Problem::NotFound(_) => Self::NotFound,
            Problem::MethodNotAllowed => Self::MethodNotAllowed,
            Problem::MediaType(_) => Self::Media,
            Problem::TooLarge(_) => Self::TooLarge,
            Problem::Slow => Self::Timeout,
            Problem::Incomplete | Problem::Parameter { .. } | Problem::Header { .. } => Self::BadRequest,
            Problem::Violations(violations) => of_violations(violations),
            Problem::Write(error) => of_write(error),
            Problem::Store(error) => of_store(*error),
            Problem::Trust(error) => of_trust(error),
            Problem::Busy => Self::Busy,
            Problem::Closing => Self::Unavailable,
        }
    }

    /// Status, the last part of the type's URI, title.
    pub(super) const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "A token is needed"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
            ),
            Self::Media => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media-type",
                "Unsupported media type",
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout", "Request took too long"),
            Self::BadRequest => (StatusCode::BAD_REQUEST, "bad-request", "Bad request"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "Malformed content"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid content"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::Precondition => (
                StatusCode::PRECONDITION_FAILED,
                "precondition",
                "Precondition failed",
            ),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Self::UnknownOutcome => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unknown-outcome",
                "Outcome unknown",
            ),
            Self::Full => (StatusCode::INSUFFICIENT_STORAGE, "full", "No space left"),
            Self::NoKey => (
                StatusCode::NOT_IMPLEMENTED,
                "no-envelope-key",
                "Secrets cannot be stored",
            ),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }
}

fn of_write(error: &WriteError) -> Class {
    match error {
        WriteError::Refused(violations) => of_violations(violations),
        WriteError::Forbidden(_) => Class::Forbidden,
        WriteError::NotFound(_) => Class::NotFound,
        WriteError::Precondition { .. } => Class::Precondition,
        WriteError::Raced(_) => Class::Conflict,
        WriteError::FutureBase(_) => Class::Conflict,
        WriteError::Contended => Class::Busy,
        WriteError::Unknown => Class::UnknownOutcome,
        WriteError::Store(error) => of_store(*error),
        WriteError::Closed => Class::Unavailable,
    }
}

fn of_trust(error: &TrustError) -> Class {
    match error {
        TrustError::NoKey => Class::NoKey,
        TrustError::Store(error) => of_store(*error),
        TrustError::Rotate(RotateError::UnderWay) => Class::Conflict,
        TrustError::Contended => Class::Busy,
        TrustError::UnknownKey | TrustError::Standing(_) | TrustError::Rotate(RotateError::Issue(_)) => {
            Class::Internal
        }
    }
}

fn of_store(error: StoreError) -> Class {
    match error {
        StoreError::Unavailable | StoreError::Timeout | StoreError::Closed => Class::Unavailable,
        StoreError::Full => Class::Full,
        StoreError::NoKey => Class::NoKey,
        StoreError::InvalidUrl
        | StoreError::Corrupt
        | StoreError::Migration
        | StoreError::Rejected
        | StoreError::UnknownKey
        | StoreError::Fenced => Class::Internal,
    }
}

/// Input that is neither YAML nor JSON is malformed; that it reads and is wrong is another thing.
fn of_violations(violations: &[Violation]) -> Class {
    let unreadable = |violation: &Violation| violation.resource == INPUT && violation.code == Code::Malformed;
    match violations.iter().any(unreadable) {
        true => Class::Malformed,
        false => Class::Invalid,
    }
}
