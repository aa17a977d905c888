//! Policies: what they are attached to, and other policies that were there before.

use sluice_intent::{
    BackendSpec, BackendTlsPolicySpec, CLIENT_CERTIFICATE, Discovery, EtcdDiscovery, Resource, ResourceId,
    Spec, TargetRef, TlsValidation, TrafficPolicySpec,
};
use sluice_model::Code;

use super::{Reason, Report, secret_ref};
use crate::compile::emit::{limits, upstream_tls};
use crate::compile::reference::{self, Role};

/// A BackendTLSPolicy: its Backends, its roots of trust, and its rivals.
pub(super) fn check_backend_tls(report: &mut Report<'_>, spec: &BackendTlsPolicySpec) {
    check_validation(report, "spec.validation", &spec.validation);
    if let Some(reference) = spec.client_certificate() {
        let field = format!("spec.options[{CLIENT_CERTIFICATE:?}]");
        secret_ref::check_name(report, &field, &reference, Role::Certificate);
    }
    for (at, target) in spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        let Some(backend) = check_target(report, &field, target) else {
            continue;
        };
        let Spec::Backend(written) = &backend.spec else {
            continue;
        };
        if target.section_name.is_some() {
            let message = "a Backend has no named ports: the policy is for all of it";
            report.dangling(format!("{field}.sectionName"), Reason::TargetNotFound, message);
        }
        if written.tls.is_some() {
            let message = format!("{} has `tls` of its own; keep one of the two", backend.id);
            report.wrong(&field, Code::Conflict, message);
        }
        let (world, own) = (report.world, &report.resource.id);
        let first = upstream_tls::policies(world, &backend.id).next();
        if let Some((older, _)) = first.filter(|(first, _)| *first != own) {
            let message = format!("{older} is older and holds for {}", backend.id);
            report.warning(&field, Reason::Conflicted, Code::Overridden, message);
        }
    }
}

/// A Backend: what its discovery takes, its own TLS, and a policy that says the same or otherwise.
pub(super) fn check_backend(report: &mut Report<'_>, spec: &BackendSpec) {
    if let Some(Discovery::Etcd(etcd)) = &spec.discovery {
        check_etcd(report, etcd);
    }
    let Some(tls) = &spec.tls else { return };
    check_validation(report, "spec.tls", &tls.validation);
    if let Some(reference) = &tls.client_certificate_ref {
        secret_ref::check(
            report,
            "spec.tls.clientCertificateRef",
            reference,
            Role::Certificate,
        );
    }
    if let Some((policy, _)) = upstream_tls::policies(report.world, &report.resource.id).next() {
        let message = format!("{policy} is for this Backend too; keep one of the two");
        report.wrong("spec.tls", Code::Conflict, message);
    }
}

/// The Secrets that let the control plane into etcd.
fn check_etcd(report: &mut Report<'_>, etcd: &EtcdDiscovery) {
    let path = "spec.discovery.etcd";
    if let Some(reference) = &etcd.credentials_ref {
        secret_ref::check(report, &format!("{path}.credentialsRef"), reference, Role::Login);
    }
    let Some(tls) = &etcd.tls else { return };
    for (at, reference) in tls.ca_certificate_refs.iter().enumerate() {
        let field = format!("{path}.tls.caCertificateRefs[{at}]");
        secret_ref::check(report, &field, reference, Role::OwnTrust);
    }
    if let Some(reference) = &tls.client_certificate_ref {
        let field = format!("{path}.tls.clientCertificateRef");
        secret_ref::check(report, &field, reference, Role::OwnCertificate);
    }
}

/// A TrafficPolicy: its targets, and the fields that an older one sets for the same.
pub(super) fn check_traffic(report: &mut Report<'_>, spec: &TrafficPolicySpec) {
    for (at, target) in spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{at}]");
        let Some(found) = check_target(report, &field, target) else {
            continue;
        };
        check_section(report, &field, target, found);
        check_rivals(report, spec, target, &found.id);
    }
}

/// What a targetRef names, if it exists.
fn check_target<'a>(report: &mut Report<'a>, field: &str, target: &TargetRef) -> Option<&'a Resource> {
    // Targets of other kinds are not read.
    let id = reference::policy_target(target, &report.resource.id.namespace)?;
    let found = report.world.resource(&id);
    if found.is_none() {
        let message = format!("{id} does not exist");
        report.missing(format!("{field}.name"), Reason::TargetNotFound, message);
    }
    found
}

fn check_section(report: &mut Report<'_>, field: &str, target: &TargetRef, found: &Resource) {
    let Some(section) = &target.section_name else {
        return;
    };
    let (exists, what) = match &found.spec {
        Spec::Gateway(spec) => {
            let mut listeners = spec.listeners.iter();
            (listeners.any(|one| one.name == *section), "listener")
        }
        Spec::HttpRoute(spec) => {
            let mut rules = spec.rules.iter();
            (rules.any(|one| one.name.as_ref() == Some(section)), "rule")
        }
        _ => return,
    };
    if !exists {
        let message = format!("{} has no {what} of this name", found.id);
        report.dangling(format!("{field}.sectionName"), Reason::TargetNotFound, message);
    }
}

/// Older policies for exactly the same target keep the fields that they set.
fn check_rivals(report: &mut Report<'_>, spec: &TrafficPolicySpec, target: &TargetRef, id: &ResourceId) {
    let (world, own) = (report.world, &report.resource.id);
    let older: Vec<_> = limits::policies(world, id, target.section_name.as_ref())
        .take_while(|(other, _)| *other != own)
        .collect();
    let written = limits::settings(spec);
    for (other, theirs) in older {
        for name in limits::disputed(&written, &limits::settings(theirs)) {
            let message = format!("{other} is older and sets this for {id} already");
            report.warning(
                format!("spec.{name}"),
                Reason::Conflicted,
                Code::Overridden,
                message,
            );
        }
    }
}

fn check_validation(report: &mut Report<'_>, path: &str, validation: &TlsValidation) {
    for (at, reference) in validation.ca_certificate_refs.iter().enumerate() {
        let field = format!("{path}.caCertificateRefs[{at}]");
        secret_ref::check(report, &field, reference, Role::Trust);
    }
}
