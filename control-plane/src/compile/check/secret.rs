//! What is in a Secret: whether it reads, and how long it is good for. Never what it says.

use sluice_intent::{ConfigMapSpec, SecretSpec};
use sluice_model::Code;
use sluice_proto::v1;
use sluice_tls::{Fault, Staple, Validity};

use super::{Reason, Report};
use crate::compile::emit::secret::{self, Values, Wrong};
use crate::compile::reference::{CHAIN, CRLS, OCSP, ROOTS};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// What is signed is renewed too late when it has less than this left, and less than a third of
/// its life: what is short-lived is renewed in time all the same.
const SOON: i64 = 14 * DAY;

/// Signed parts of a Secret that are good for a time only.
struct Signed {
    data_key: &'static str,
    noun: &'static str,
    validity: fn(&[u8]) -> Result<Validity, Fault>,
    /// What it means that one of them has expired.
    expired: &'static str,
}

const CHAINS: Signed = Signed {
    data_key: CHAIN,
    noun: "certificate",
    validity: Validity::of_certificate,
    expired: "",
};
const AUTHORITIES: Signed = Signed {
    data_key: ROOTS,
    ..CHAINS
};
const REVOCATIONS: Signed = Signed {
    data_key: CRLS,
    noun: "revocation list",
    validity: Validity::of_crl,
    expired: "; whoever has a certificate of its issuer is refused until there is a newer one",
};

pub(super) fn check(report: &mut Report<'_>, spec: &SecretSpec) {
    match secret::certificate(spec) {
        Ok(certificate) => {
            let certificate = certificate.unwrap_or_default();
            check_staple(report, &certificate);
            check_times(report, &CHAINS, certificate.chain);
        }
        Err(wrong) => wrong.iter().for_each(|one| report_wrong(report, one)),
    }
    check_trust(report, spec);
}

/// What is in a ConfigMap, as far as it means anything.
pub(super) fn check_config_map(report: &mut Report<'_>, spec: &ConfigMapSpec) {
    check_trust(report, spec);
}

fn check_trust(report: &mut Report<'_>, spec: &impl Values) {
    match secret::trust(spec) {
        Ok(trust) => {
            let trust = trust.unwrap_or_default();
            check_times(report, &AUTHORITIES, trust.roots);
            check_times(report, &REVOCATIONS, trust.crls);
        }
        Err(wrong) => wrong.iter().for_each(|one| report_wrong(report, one)),
    }
}

/// What of an immutable Secret would change though it must not, as in Kubernetes: field and message.
pub(super) fn kept<'a>(old: &SecretSpec, new: &SecretSpec) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_kept = old.immutable == Some(true);
    let fields = [
        ("immutable", new.immutable == Some(true)),
        ("type", new.secret_type == old.secret_type),
        ("data", new.data == old.data),
    ];
    let changed = fields.into_iter().filter(move |(_, same)| is_kept && !same);
    changed.map(|(field, _)| {
        let message = "stays as it is, since this Secret is immutable: delete it and write it anew, or use another name";
        (field, message)
    })
}

fn report_wrong(report: &mut Report<'_>, wrong: &Wrong) {
    let message = format!("`{}` {}", wrong.data_key, wrong.fault);
    report.wrong(field(wrong.data_key), Code::Invalid, message);
}

fn check_times(report: &mut Report<'_>, signed: &Signed, parts: impl IntoIterator<Item = Vec<u8>>) {
    let Some(now) = report.world.now else { return };
    for (at, der) in parts.into_iter().enumerate() {
        let Ok(Validity { from, until }) = (signed.validity)(&der) else {
            continue;
        };
        let left = until - now;
        let told = if now < from {
            format!("is not valid yet: it will be in {}", span(from - now))
        } else if left < 0 {
            format!("has expired {} ago{}", span(-left), signed.expired)
        } else if left < SOON && left < (until - from) / 3 {
            format!("expires in {}", span(left))
        } else {
            continue;
        };
        let message = format!("{} {at} {told}", signed.noun);
        report.warning(field(signed.data_key), Reason::Advice, Code::Expiring, message);
    }
}

/// A span of time in words, from seconds.
fn span(seconds: i64) -> String {
    match seconds / HOUR {
        0 => "less than an hour".to_owned(),
        hours @ 1..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}

/// A response that is over does no harm: it is not stapled, and clients ask the responder themselves.
fn check_staple(report: &mut Report<'_>, certificate: &v1::Certificate) {
    let Some(now) = report.world.now.filter(|_| !certificate.ocsp.is_empty()) else {
        return;
    };
    let Ok(staple) = Staple::read(&certificate.ocsp, &certificate.chain) else {
        return;
    };
    let now = u64::try_from(now).unwrap_or(0);
    let told = if now < staple.this_update() {
        "does not hold yet (thisUpdate)"
    } else if now >= staple.next_update() {
        "has expired (nextUpdate)"
    } else {
        return;
    };
    let message = format!("`{OCSP}` {told}: it is not stapled, put a new response there");
    report.warning(field(OCSP), Reason::Advice, Code::Expiring, message);
}

fn field(data_key: &str) -> String {
    format!("data[{data_key:?}]")
}
