//! TLS of one listener, or to one Backend.

use sluice_model::Code;

use super::targets::{SERVICE, named, validate_targets};
use crate::gateway::{Listener, ListenerProtocol};
use crate::kind::{Kind, SLUICE_GROUP};
use crate::nearest::nearest;
use crate::report::{Report, quoted};
use crate::tls::{
    BackendTls, BackendTlsPolicySpec, CLIENT_CERTIFICATE, CLIENT_CERTIFICATE_DEPTH, ListenerTls, MIN_VERSION,
    TlsValidation,
};

/// TLS goes with HTTPS, and HTTPS with TLS.
pub(super) fn validate_listener(listener: &Listener, report: &mut Report<'_>) {
    match (listener.protocol, &listener.tls) {
        (ListenerProtocol::Http, None) => {}
        (ListenerProtocol::Http, Some(_)) => {
            report.add_in("tls", Code::Conflict, "goes with protocol `HTTPS` only");
        }
        (ListenerProtocol::Https, None) => {
            report.add_in("tls", Code::Missing, "is required with protocol `HTTPS`");
        }
        (ListenerProtocol::Https, Some(tls)) => report.field("tls", |report| {
            if tls.certificate_refs.is_empty() {
                report.add_in("certificateRefs", Code::Missing, "needs at least one Secret");
            }
            report.field("options", |report| validate_listener_options(tls, report));
        }),
    }
}

fn validate_listener_options(tls: &ListenerTls, report: &mut Report<'_>) {
    for (key, value) in &tls.options {
        match key.as_str() {
            MIN_VERSION if tls.min_version().is_none() => {
                let message = format!("must be `1.2` or `1.3`, not {}", quoted(value));
                report.add_in(key.as_str(), Code::Invalid, message);
            }
            CLIENT_CERTIFICATE_DEPTH if tls.client_certificate_depth().is_none() => {
                let message = format!("must be a number from 0 to 6, not {}", quoted(value));
                report.add_in(key.as_str(), Code::OutOfRange, message);
            }
            other => validate_option(other, &[MIN_VERSION, CLIENT_CERTIFICATE_DEPTH], report),
        }
    }
}

/// An option of our own domain is one of `known`; those of others are theirs.
fn validate_option(key: &str, known: &[&'static str], report: &mut Report<'_>) {
    let domain = key.split_once('/').map(|(domain, _)| domain);
    if domain != Some(SLUICE_GROUP) || known.contains(&key) {
        return;
    }
    let hint = match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known is {}", known.join(", ")),
    };
    report.add_in(key, Code::UnknownField, format_args!("unknown option; {hint}"));
}

pub(super) fn validate_policy(spec: &BackendTlsPolicySpec, report: &mut Report<'_>) {
    validate_targets(&spec.target_refs, &[SERVICE, named(Kind::Backend)], report);
    report.field("validation", |report| validate_roots(&spec.validation, report));
    report.field("options", |report| validate_policy_options(spec, report));
}

fn validate_policy_options(spec: &BackendTlsPolicySpec, report: &mut Report<'_>) {
    for (key, value) in &spec.options {
        match key.as_str() {
            CLIENT_CERTIFICATE if spec.client_certificate().is_none() => {
                let message = format!("must be the name of a Secret, not {}", quoted(value));
                report.add_in(key.as_str(), Code::Invalid, message);
            }
            other => validate_option(other, &[CLIENT_CERTIFICATE], report),
        }
    }
}

pub(super) fn validate_backend(tls: &BackendTls, report: &mut Report<'_>) {
    report.field("tls", |report| validate_roots(&tls.validation, report));
}

/// Roots of trust come from Secrets or from the system, and from somewhere.
fn validate_roots(validation: &TlsValidation, report: &mut Report<'_>) {
    match (
        validation.ca_certificate_refs.is_empty(),
        validation.well_known_ca_certificates,
    ) {
        (true, None) => {
            let message = "is required, or `wellKnownCACertificates: System`";
            report.add_in("caCertificateRefs", Code::Missing, message);
        }
        (false, Some(_)) => {
            let message = "does not go with `caCertificateRefs`";
            report.add_in("wellKnownCACertificates", Code::Conflict, message);
        }
        (true, Some(_)) | (false, None) => {}
    }
}
