//! References to Secrets.

use sluice_intent::{ApiKind, SecretRef};

use super::{Reason, Report};
use crate::compile::emit::secret::{self, Lost};
use crate::compile::reference::Role;

/// Checks the reference at `field`, to a Secret that is to be used as `role`.
pub(super) fn check(report: &mut Report<'_>, field: &str, reference: &SecretRef, role: Role) {
    let Err(lost) = secret::resolve(report.world, &report.resource.id, reference, role) else {
        return;
    };
    let reason = match role {
        Role::Certificate => Reason::InvalidCertificateRef,
        Role::Trust => Reason::InvalidCaCertificateRef,
    };
    match lost {
        Lost::UnknownKind => {
            let kind = reference.kind.as_ref().map_or("Secret", ApiKind::as_str);
            let message = format!("`{kind}` of this group is not known here; use a Secret of the core group");
            report.dangling(format!("{field}.kind"), Reason::InvalidKind, message);
        }
        Lost::NotPermitted(id) => report.not_permitted(field, &id),
        Lost::Missing(id) => {
            report.missing(format!("{field}.name"), reason, format!("{id} does not exist"));
        }
        Lost::Unsuitable(id) => {
            let wanted = match role {
                Role::Certificate => "is not of type kubernetes.io/tls",
                Role::Trust => "has no ca.crt",
            };
            report.dangling(format!("{field}.name"), reason, format!("{id} {wanted}"));
        }
    }
}
