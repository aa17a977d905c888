//! Listeners of several Gateways against each other, and the Secrets of each.

use sluice_intent::{GatewaySpec, Listener, ListenerProtocol, PROXY_SELECTOR, Spec};
use sluice_model::Code;

use super::{Reason, Report, secret_ref};
use crate::compile::addressing::MAX_SELECTORS;
use crate::compile::index::places;
use crate::compile::reference::{self, Role};

pub(super) fn check(report: &mut Report<'_>, spec: &GatewaySpec) {
    check_selector(report);
    check_places(report);
    for (at, listener) in spec.listeners.iter().enumerate() {
        let field = format!("spec.listeners[{at}]");
        check_protocol(report, &field, listener);
        check_tls(report, &format!("{field}.tls"), listener);
    }
    for (path, validation) in reference::client_validations(spec) {
        for (at, reference) in validation.ca_certificate_refs.iter().enumerate() {
            let field = format!("{path}.caCertificateRefs[{at}]");
            secret_ref::check(report, &field, reference, Role::Trust);
        }
    }
}

/// Each selector costs a little, so they are counted.
fn check_selector(report: &mut Report<'_>) {
    let selectors = report.world.addressing.len();
    let has_one = report.resource.annotations.get(PROXY_SELECTOR).is_some();
    if has_one && selectors > MAX_SELECTORS {
        let field = format!("metadata.annotations[{PROXY_SELECTOR:?}]");
        let message =
            format!("all Gateways together have {selectors} selectors; at most are {MAX_SELECTORS}");
        report.wrong(field, Code::OutOfRange, message);
    }
}

/// Every place has one listener on each proxy, whichever Gateway it belongs to.
fn check_places(report: &mut Report<'_>) {
    let resource = report.resource;
    for (at, place) in places(resource).enumerate() {
        let Some(other) =
            report.world.index.at(&place).find(|other| {
                ***other != resource.id && report.world.addressing.overlap(other, &resource.id)
            })
        else {
            continue;
        };
        let (port, hostname) = &place;
        let hostname = if hostname.is_empty() {
            "every hostname"
        } else {
            hostname
        };
        let message = format!("{other} serves {hostname} on port {port} already");
        report.wrong(format!("spec.listeners[{at}]"), Code::Conflict, message);
    }
}

/// A port speaks TLS or it does not: the first byte of a connection has to say which.
fn check_protocol(report: &mut Report<'_>, field: &str, listener: &Listener) {
    let world = report.world;
    let own = &report.resource.id;
    let other = world.index.on_port(listener.port).into_iter().find(|id| {
        if !world.addressing.overlap(id, own) {
            return false;
        }
        let Some(Spec::Gateway(spec)) = world.resource(id).map(|gateway| &gateway.spec) else {
            return false;
        };
        let on_port = |one: &&Listener| one.port == listener.port;
        spec.listeners
            .iter()
            .filter(on_port)
            .any(|one| one.protocol != listener.protocol)
    });
    if let Some(other) = other {
        let (own, theirs) = match listener.protocol {
            ListenerProtocol::Http => ("HTTP", "HTTPS"),
            ListenerProtocol::Https => ("HTTPS", "HTTP"),
        };
        let message = format!(
            "{other} speaks {theirs} on port {}, which cannot speak {own} too",
            listener.port
        );
        report.wrong(format!("{field}.protocol"), Code::Conflict, message);
    }
}

fn check_tls(report: &mut Report<'_>, field: &str, listener: &Listener) {
    let Some(tls) = &listener.tls else { return };
    for (at, reference) in tls.certificate_refs.iter().enumerate() {
        let field = format!("{field}.certificateRefs[{at}]");
        secret_ref::check(report, &field, reference, Role::Certificate);
    }
    check_coverage(report, field, listener);
}

/// Some certificate should be valid for the listener's hostname.
fn check_coverage(report: &mut Report<'_>, field: &str, listener: &Listener) {
    let (Some(tls), Some(hostname)) = (&listener.tls, &listener.hostname) else {
        return;
    };
    let leaves = report.world.leaves(&report.resource.id, tls);
    if !leaves.is_empty() && !leaves.iter().any(|leaf| leaf.covers(hostname.as_str())) {
        let message = format!("no certificate is valid for {hostname}: clients will refuse the connection");
        report.warning(
            format!("{field}.certificateRefs"),
            Reason::Advice,
            Code::Uncovered,
            message,
        );
    }
}
