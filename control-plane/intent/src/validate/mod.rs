//! What the schema cannot say: fields that depend on each other within one resource.
//! Strings by themselves are right already, for their types are built only from checked text.

mod backend;
mod discovery;
mod experiment;
mod filters;
mod gateway;
mod httproute;
mod matches;
mod regexes;
mod secret;
mod targets;
mod tls;
mod traffic_policy;

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use sluice_model::Code;

pub(crate) use self::regexes::Regexes;
use crate::carried_age::CARRIED_AGE;
use crate::carried_slots::CARRIED_SLOTS;
use crate::gateway::PROXY_SELECTOR;
use crate::meta::Annotations;
use crate::report::Report;
use crate::resource::{Resource, Spec};

/// Reports what is wrong with `resource` in itself.
pub(crate) fn validate(resource: &Resource, regexes: &mut Regexes, report: &mut Report<'_>) {
    let bytes: usize = resource
        .annotations
        .iter()
        // An export's own, with bounds of their own.
        .filter(|(key, _)| ![CARRIED_SLOTS, CARRIED_AGE].contains(key))
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > Annotations::MAX_BYTES {
        let message = format!(
            "must have at most {} bytes in all, not {bytes}",
            Annotations::MAX_BYTES
        );
        report.field("metadata", |report| {
            report.add_in("annotations", Code::OutOfRange, message);
        });
    }
    check_proxy_selector(resource, report);
    check_carried_slots(resource, report);
    check_carried_age(resource, report);
    if let Spec::Secret(spec) = &resource.spec {
        return secret::validate(spec, &resource.annotations, report);
    }
    if let Spec::ConfigMap(spec) = &resource.spec {
        return report.field("data", |report| secret::validate_size(spec.data.values(), report));
    }
    report.field("spec", |report| match &resource.spec {
        Spec::GatewayClass(_)
        | Spec::ReferenceGrant(_)
        | Spec::Secret(_)
        | Spec::ConfigMap(_)
        | Spec::LintPolicy(_) => {}
        Spec::Gateway(spec) => gateway::validate(spec, report),
        Spec::HttpRoute(spec) => httproute::validate(spec, &resource.id.namespace, regexes, report),
        Spec::BackendTlsPolicy(spec) => tls::validate_policy(spec, report),
        Spec::Backend(spec) => backend::validate(spec, report),
        Spec::Experiment(spec) => experiment::validate(spec, report),
        Spec::TrafficPolicy(spec) => traffic_policy::validate(spec, report),
    });
}

fn check_proxy_selector(resource: &Resource, report: &mut Report<'_>) {
    if resource.annotations.get(PROXY_SELECTOR).is_none() {
        return;
    }
    match (&resource.spec, resource.proxy_selector()) {
        (Spec::Gateway(_), Ok(_)) => {}
        (Spec::Gateway(_), Err(error)) => {
            refuse_annotation(PROXY_SELECTOR, Code::Invalid, error, report);
        }
        _ => {
            let message = "goes with Gateways only: what hangs on a Gateway goes where that goes";
            refuse_annotation(PROXY_SELECTOR, Code::Conflict, message, report);
        }
    }
}

fn check_carried_slots(resource: &Resource, report: &mut Report<'_>) {
    if resource.annotations.get(CARRIED_SLOTS).is_none() {
        return;
    }
    match (&resource.spec, resource.carried_slots()) {
        (Spec::Experiment(_), Ok(_)) => {}
        (Spec::Experiment(_), Err(error)) => refuse_annotation(CARRIED_SLOTS, Code::Invalid, error, report),
        _ => refuse_annotation(
            CARRIED_SLOTS,
            Code::Conflict,
            "goes with Experiments only",
            report,
        ),
    }
}

fn check_carried_age(resource: &Resource, report: &mut Report<'_>) {
    if resource.annotations.get(CARRIED_AGE).is_none() {
        return;
    }
    match resource.carried_age() {
        Err(error) => refuse_annotation(CARRIED_AGE, Code::Invalid, error, report),
        Ok(Some(_)) => {}
        Ok(None) => refuse_annotation(
            CARRIED_AGE,
            Code::Conflict,
            "goes with HTTPRoutes and policies only, of which the older one wins",
            report,
        ),
    }
}

fn refuse_annotation(name: &str, code: Code, message: impl Display, report: &mut Report<'_>) {
    report.field("metadata", |report| {
        report.field("annotations", |report| report.add_in(name, code, message));
    });
}

/// Values that must differ, as they come by.
struct Distinct<T>(HashSet<T>);

impl<T: Eq + Hash> Distinct<T> {
    fn new() -> Self {
        Self(HashSet::new())
    }

    /// True of a value that came by before.
    fn repeats(&mut self, value: T) -> bool {
        !self.0.insert(value)
    }
}

/// Headers that the proxy sets itself, or that say where a message ends (RFC 9110 section
/// 7.6.1, RFC 9112 section 6): changing them would break the framing of the connection, or say of a
/// client what nobody has verified.
const MANAGED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-client-cert",
];

/// Reports a header, of what is being looked at, that only the proxy may change.
fn check_unmanaged(name: &str, report: &mut Report<'_>) {
    if MANAGED_HEADERS
        .iter()
        .any(|managed| managed.eq_ignore_ascii_case(name))
    {
        let hint = match name.eq_ignore_ascii_case("host") {
            true => "; use `hostname` of a URLRewrite filter",
            false => "",
        };
        report.add(
            Code::Invalid,
            format_args!("`{name}` is set by the proxy itself{hint}"),
        );
    }
}
