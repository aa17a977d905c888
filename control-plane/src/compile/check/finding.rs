//! What is noticed about a resource, how bad it is, and what it does to the resource's state.

use sluice_model::{Code, Violation};

/// Something noticed about one resource among all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) struct Finding {
    pub(in crate::compile) severity: Severity,
    pub(in crate::compile) doubt: Doubt,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Severity {
    /// Never allowed.
    Wrong,
    /// A resource that is referred to does not exist.
    Missing,
    /// The resource exists, but not the part that is referred to, or it may not be referred to.
    Dangling,
    /// Allowed, but probably not meant.
    Warning,
}

/// A doubt about one resource, and the reason it gives for the resource's conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Where it is, and a sentence for a person.
    pub violation: Violation,
    /// The reason, in the Gateway API's words where it has one.
    pub reason: Reason,
}

/// Reasons of the Gateway API for conditions that do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No listener's `allowedRoutes` admits the route.
    NotAllowedByListeners,
    /// The route and its listeners share no hostname.
    NoMatchingListenerHostname,
    /// The route names no parent.
    NoMatchingParent,
    /// An older policy says otherwise.
    Conflicted,
    /// A policy names a target that does not exist.
    TargetNotFound,
    /// A part of the resource is not right in this world.
    Invalid,
    /// A Backend that does not exist.
    BackendNotFound,
    /// A reference to a kind that nobody here knows.
    InvalidKind,
    /// A reference into another namespace without a ReferenceGrant.
    RefNotPermitted,
    /// A Secret that does not exist or has no certificate.
    InvalidCertificateRef,
    /// A Secret or ConfigMap that does not exist or has no roots of trust.
    InvalidCaCertificateRef,
    /// A Secret that does not exist or has no name and password.
    InvalidCredentialsRef,
    /// Nothing is wrong yet.
    Advice,
}

impl Reason {
    /// The condition that does not hold; `None` when all do.
    pub const fn condition(self) -> Option<&'static str> {
        match self {
            Self::NotAllowedByListeners
            | Self::NoMatchingListenerHostname
            | Self::NoMatchingParent
            | Self::Conflicted
            | Self::TargetNotFound
            | Self::Invalid => Some("Accepted"),
            Self::BackendNotFound
            | Self::InvalidKind
            | Self::RefNotPermitted
            | Self::InvalidCertificateRef
            | Self::InvalidCaCertificateRef
            | Self::InvalidCredentialsRef => Some("ResolvedRefs"),
            Self::Advice => None,
        }
    }

    /// The reason as a condition has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowedByListeners => "NotAllowedByListeners",
            Self::NoMatchingListenerHostname => "NoMatchingListenerHostname",
            Self::NoMatchingParent => "NoMatchingParent",
            Self::Conflicted => "Conflicted",
            Self::TargetNotFound => "TargetNotFound",
            Self::Invalid => "Invalid",
            Self::BackendNotFound => "BackendNotFound",
            Self::InvalidKind => "InvalidKind",
            Self::RefNotPermitted => "RefNotPermitted",
            Self::InvalidCertificateRef => "InvalidCertificateRef",
            Self::InvalidCaCertificateRef => "InvalidCACertificateRef",
            Self::InvalidCredentialsRef => "InvalidCredentialsRef",
            Self::Advice => "Advice",
        }
    }

    /// The code of a reference that cannot be followed for this reason.
    pub(super) const fn code(self) -> Code {
        match self {
            Self::RefNotPermitted => Code::RefNotPermitted,
            _ => Code::Dangling,
        }
    }
}
