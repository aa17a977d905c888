//! What follows a write: its changes are printed, and the fleet is waited for.

use std::fmt::Write as _;

use serde_json::Value;

use crate::answer::{Applied, Receipt};
use crate::client::{Aligned, Client};
use crate::failure::Failure;
use crate::options::{Format, WaitOptions};
use crate::outcome::Outcome;
use crate::{print, wait};

/// Prints the answer to a write and, with `--wait`, its receipt as well.
///
/// # Errors
/// When the answer cannot be read, or the receipt is not to be had.
pub(crate) async fn report(
    client: &Client,
    format: Format,
    mut answer: Value,
    options: WaitOptions,
    dry_run: bool,
) -> Result<Outcome, Failure> {
    let applied: Applied = client.read(answer.clone())?;
    if format.is_for_people() {
        for warning in &applied.warnings {
            eprintln!("warning: {warning}");
        }
        print::text(&changes(&applied, dry_run))?;
    }
    let outcome = match options.wait {
        Some(_) if !dry_run => {
            let (receipt, outcome) = wait::receipt(client, applied.revision, options).await?;
            if format.is_for_people() {
                let receipt: Receipt = client.read(receipt)?;
                print::text(&format!("{receipt}\n"))?;
                explain(&receipt, outcome);
            } else if let Some(members) = answer.as_object_mut() {
                members.insert("receipt".into(), receipt);
            }
            outcome
        }
        _ => Outcome::Done,
    };
    if !format.is_for_people() {
        print::result(format, &answer, |_| Ok(String::new()))?;
    }
    Ok(outcome)
}

/// Says on standard error who keeps a quorum from being met.
pub(crate) fn explain(receipt: &Receipt, outcome: Outcome) {
    for refusal in &receipt.refused {
        eprintln!("refused by {}", refusal.proxy);
        if !refusal.violations.is_empty() {
            eprintln!("{}", Aligned(&refusal.violations));
        }
    }
    if outcome == Outcome::TimedOut {
        match receipt.pending.as_slice() {
            [] if receipt.fleet == 0 => eprintln!("timed out: no proxy is connected"),
            [] => eprintln!("timed out"),
            pending => eprintln!("timed out waiting for {}", pending.join(", ")),
        }
    }
}

fn changes(applied: &Applied, dry_run: bool) -> String {
    let mut lines = String::new();
    for change in &applied.changes {
        let (kind, name) = (change.kind.to_lowercase(), &change.name);
        let namespace = match change.namespace.as_str() {
            "default" | "" => String::new(),
            other => format!(" in {other}"),
        };
        let _ = writeln!(lines, "{kind}/{name}{namespace} {}", change.action);
    }
    let changed = applied.changes.iter().any(|change| change.action != "unchanged");
    let revision = applied.revision;
    // Writing to a string does not fail.
    let _ = match (dry_run, changed) {
        (true, _) => writeln!(lines, "nothing was written (dry run)"),
        (false, true) => writeln!(lines, "revision {revision}"),
        (false, false) => writeln!(lines, "revision {revision} (unchanged)"),
    };
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_resource_has_a_line_and_the_revision_is_the_last() {
        let applied: Applied = serde_json::from_value(json!({
            "revision": 42,
            "changes": [
                {"kind": "HTTPRoute", "namespace": "default", "name": "shop", "action": "created"},
                {"kind": "Backend", "namespace": "team", "name": "a", "action": "unchanged"},
            ],
        }))
        .unwrap();
        assert_eq!(
            changes(&applied, false),
            "httproute/shop created\nbackend/a in team unchanged\nrevision 42\n"
        );
        assert!(changes(&applied, true).ends_with("nothing was written (dry run)\n"));
    }
}
