//! References to Secrets and ConfigMaps.

use sluice_intent::{ApiKind, SecretRef};

use super::{Reason, Report};
use crate::compile::emit::secret::{self, Lost};
use crate::compile::reference::Role;

/// Checks the reference at `field`, to a Secret or ConfigMap that is to be used as `role`.
pub(super) fn check(report: &mut Report<'_>, field: &str, reference: &SecretRef, role: Role) {
    check_at(report, field, &format!("{field}.name"), reference, role);
}

/// Checks a reference that is a mere name, at `field`.
pub(super) fn check_name(report: &mut Report<'_>, field: &str, reference: &SecretRef, role: Role) {
    check_at(report, field, field, reference, role);
}

fn check_at(report: &mut Report<'_>, field: &str, name_field: &str, reference: &SecretRef, role: Role) {
    let Err(lost) = secret::find(report.world, &report.resource.id, reference, role) else {
        return;
    };
    let reason = match role {
        Role::Certificate | Role::OwnCertificate => Reason::InvalidCertificateRef,
        Role::Trust | Role::OwnTrust => Reason::InvalidCaCertificateRef,
        Role::Login => Reason::InvalidCredentialsRef,
    };
    match lost {
        Lost::UnknownKind => {
            let kind = reference.kind.as_ref().map_or("Secret", ApiKind::as_str);
            let usable = match role {
                Role::Certificate | Role::OwnCertificate | Role::Login => "a Secret",
                Role::Trust | Role::OwnTrust => "a Secret or a ConfigMap",
            };
            let message = format!("`{kind}` of this group is none here; use {usable} of the core group");
            report.dangling(format!("{field}.kind"), Reason::InvalidKind, message);
        }
        Lost::NotPermitted(id) => report.not_permitted(field, &id),
        Lost::Missing(id) => {
            report.missing(name_field, reason, format!("{id} does not exist"));
        }
        Lost::Unsuitable(id) => {
            let wanted = match role {
                Role::Certificate | Role::OwnCertificate => "is not of type kubernetes.io/tls",
                Role::Trust | Role::OwnTrust => "has no ca.crt",
                Role::Login => "has no username and password",
            };
            report.dangling(name_field, reason, format!("{id} {wanted}"));
        }
    }
}
