//! Why something was refused: always all reasons, never the first only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is wrong, as a closed set that scripts can test for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Code {
    /// Not YAML, JSON or protobuf at all.
    Malformed,
    /// A field that the kind does not have.
    UnknownField,
    /// A kind or API version nobody here knows.
    UnknownKind,
    /// A value of the wrong type.
    WrongType,
    /// A required field is missing.
    Missing,
    /// Of the right type, but not allowed.
    Invalid,
    /// A number or a length outside its bounds.
    OutOfRange,
    /// Two things that must differ are the same.
    Duplicate,
    /// Two listeners or two fields that exclude each other.
    Conflict,
    /// A reference to something that does not exist.
    Dangling,
    /// A reference into another namespace, which no ReferenceGrant there permits.
    RefNotPermitted,
    /// Deleted while something else still refers to it.
    InUse,
    /// Correct, but this build does not do it.
    Unsupported,
    /// Bytes that do not have the hash they claim.
    Corrupt,
    /// The update does not start from what is held.
    WrongBase,
    /// A port or file of this machine could not be had.
    Local,
    /// Not signed by a key that is trusted.
    Unsigned,
    /// Whoever asks may not do it.
    Forbidden,
    /// All its requests go to others.
    Shadowed,
    /// No request can be like that.
    Unmatchable,
    /// Precedence alone decides between two rules.
    Overlap,
    /// It takes requests from a route of another namespace.
    Capture,
    /// No backend gets anything.
    EmptySplit,
    /// A route that no listener takes.
    Unattached,
    /// A Gateway without routes.
    NoRoutes,
    /// Nothing refers to it.
    Unused,
    /// No certificate is valid for a hostname.
    Uncovered,
    /// What is signed runs out, has, or is not valid yet.
    Expiring,
    /// Another policy comes first.
    Overridden,
    /// Not everything was looked at: there was too much of it.
    Unjudged,
    /// One of a later version, which this one has no name for.
    #[serde(other)]
    Unknown,
}

impl Code {
    /// The code's name as it is printed and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownField => "unknownField",
            Self::UnknownKind => "unknownKind",
            Self::WrongType => "wrongType",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::OutOfRange => "outOfRange",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Dangling => "dangling",
            Self::RefNotPermitted => "refNotPermitted",
            Self::InUse => "inUse",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::WrongBase => "wrongBase",
            Self::Local => "local",
            Self::Unsigned => "unsigned",
            Self::Forbidden => "forbidden",
            Self::Shadowed => "shadowed",
            Self::Unmatchable => "unmatchable",
            Self::Overlap => "overlap",
            Self::Capture => "capture",
            Self::EmptySplit => "emptySplit",
            Self::Unattached => "unattached",
            Self::NoRoutes => "noRoutes",
            Self::Unused => "unused",
            Self::Uncovered => "uncovered",
            Self::Expiring => "expiring",
            Self::Overridden => "overridden",
            Self::Unjudged => "unjudged",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One reason for a refusal: where it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Violation {
    /// `HTTPRoute/default/shop`, or a wire key such as `rule/default/shop/0`.
    pub resource: String,
    /// Path of the field, `spec.rules[0].matches[1].path.value`; empty for the whole resource.
    pub field: String,
    /// What is wrong.
    pub code: Code,
    /// A sentence for a person: what was found and what would be right.
    pub message: String,
}

impl Violation {
    /// A violation of `field` in `resource`.
    pub fn new(
        resource: impl Into<String>,
        field: impl Into<String>,
        code: Code,
        message: impl Into<String>,
    ) -> Self {
        Self {
            resource: resource.into(),
            field: field.into(),
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.is_empty() {
            true => write!(f, "{}: {} ({})", self.resource, self.message, self.code),
            false => write!(
                f,
                "{}: {}: {} ({})",
                self.resource, self.field, self.message, self.code
            ),
        }
    }
}
