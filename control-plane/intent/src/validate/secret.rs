//! The values of one Secret, without a word of what they say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sluice_model::Code;

use crate::meta::Annotations;
use crate::report::Report;
use crate::secret::{SecretSpec, SecretType};

/// Values without which a Secret of type `kubernetes.io/tls` is none.
const TLS_KEYS: [&str; 2] = ["tls.crt", "tls.key"];

pub(super) fn validate(spec: &SecretSpec, annotations: &Annotations, report: &mut Report<'_>) {
    check_annotations(spec, annotations, report);
    report.field("data", |report| {
        if spec.secret_type == SecretType::Tls {
            for key in TLS_KEYS.into_iter().filter(|key| spec.get(key).is_none()) {
                let message = format!("is required with type `{}`", spec.secret_type.as_str());
                report.add_in(key, Code::Missing, message);
            }
        }
        validate_size(spec.data.values().map(|value| value.expose()), report);
    });
}

/// Values are as large together as Kubernetes allows.
pub(super) fn validate_size(values: impl Iterator<Item = impl AsRef<[u8]>>, report: &mut Report<'_>) {
    let bytes: usize = values.map(|value| value.as_ref().len()).sum();
    if bytes > SecretSpec::MAX_BYTES {
        let message = format!(
            "must have at most {} bytes in all, not {bytes}",
            SecretSpec::MAX_BYTES
        );
        report.add(Code::OutOfRange, message);
    }
}

/// Values shorter than this are found anywhere.
const TELLING: usize = 8;

/// Annotations are shown, and kept with every revision.
fn check_annotations(spec: &SecretSpec, annotations: &Annotations, report: &mut Report<'_>) {
    let values = spec.data.values().map(|value| value.expose());
    let telling: Vec<_> = values.filter(|value| value.len() >= TELLING).collect();
    let shows = |text: &str, value: &[u8]| {
        let written = std::str::from_utf8(value).is_ok_and(|value| text.contains(value));
        written || text.contains(&BASE64.encode(value))
    };
    report.field("metadata", |report| {
        for (key, text) in annotations.values() {
            if telling.iter().any(|value| shows(text, value)) {
                let message =
                    format!("the annotation {key} repeats a value of this Secret, and annotations are shown");
                report.add_in("annotations", Code::Invalid, message);
            }
        }
    });
}
