//! What is in a Secret: whether it reads, and how long it is good for. Never what it says.

use sluice_intent::SecretSpec;
use sluice_model::Code;
use sluice_tls::Leaf;

use super::{Reason, Report};
use crate::compile::emit::secret::{self, CHAIN, Wrong};

const DAY: i64 = 24 * 60 * 60;
/// A certificate is renewed too late when it has less than this left, and less than a third of
/// its life: short-lived ones are renewed in time all the same.
const SOON: i64 = 14 * DAY;

pub(super) fn check(report: &mut Report<'_>, spec: &SecretSpec) {
    match secret::certificate(spec) {
        Ok(certificate) => {
            let chain = certificate.into_iter().flat_map(|certificate| certificate.chain);
            check_times(report, chain);
        }
        Err(wrong) => wrong.iter().for_each(|one| report_wrong(report, one)),
    }
    if let Err(wrong) = secret::trust(spec) {
        wrong.iter().for_each(|one| report_wrong(report, one));
    }
}

fn report_wrong(report: &mut Report<'_>, wrong: &Wrong) {
    let message = format!("`{}` {}", wrong.data_key, wrong.fault);
    report.wrong(field(wrong.data_key), Code::Invalid, message);
}

fn check_times(report: &mut Report<'_>, chain: impl Iterator<Item = Vec<u8>>) {
    let Some(now) = report.world.now else { return };
    for (at, der) in chain.enumerate() {
        let Ok(read) = Leaf::read(&der) else { continue };
        let left = read.not_after - now;
        let days = left / DAY;
        let told = if now < read.not_before {
            format!(
                "is not valid yet: it will be in {} days",
                (read.not_before - now) / DAY
            )
        } else if left < 0 {
            format!("has expired {} days ago", -days)
        } else if left < SOON && left < (read.not_after - read.not_before) / 3 {
            format!("expires in {days} days")
        } else {
            continue;
        };
        let message = format!("certificate {at} {told}");
        report.warning(field(CHAIN), Reason::Advice, Code::OutOfRange, message);
    }
}

fn field(data_key: &str) -> String {
    format!("data[{data_key:?}]")
}
