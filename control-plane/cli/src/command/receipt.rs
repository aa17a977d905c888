//! `sluice receipt`: who runs a revision, and who does not and why.

use std::fmt::Write as _;

use clap::Args;

use crate::answer::Receipt;
use crate::client::Client;
use crate::command::written;
use crate::failure::Failure;
use crate::options::{Scope, WaitOptions};
use crate::outcome::Outcome;
use crate::{print, wait};

/// Whose receipt, and whether to wait for it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The revision
    #[arg(value_name = "REVISION")]
    revision: u64,
    #[command(flatten)]
    wait: WaitOptions,
}

/// Prints the receipt, once the quorum is met if asked to wait for it.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let (answer, outcome) = wait::receipt(client, options.revision, options.wait).await?;
    let receipt: Receipt = client.read(answer.clone())?;
    print::result(scope.output, &answer, |_| Ok(sections(&receipt)))?;
    if scope.output.is_for_people() {
        written::explain(&receipt, outcome);
    }
    Ok(outcome)
}

fn sections(receipt: &Receipt) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<11}{value}");
    };
    line("Revision:", receipt.revision.to_string());
    line(
        "Applied:",
        format!("{} of {} proxies", receipt.applied, receipt.fleet),
    );
    line("Refused:", receipt.refusals().to_string());
    match (receipt.unanswered(), receipt.pending.as_slice()) {
        (0, _) => line("Pending:", "0".into()),
        (count, named) => line("Pending:", format!("{count} ({})", some(named, count))),
    }
    if let Some(ms) = receipt.applied_ms {
        line(
            "Time:",
            format!("p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms", ms.p50, ms.p99, ms.max),
        );
    }
    text
}

fn some(named: &[String], count: usize) -> String {
    match count.saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_receipt_names_who_is_pending_and_how_long_it_took() {
        let receipt = serde_json::from_value(json!({
            "revision": 7, "fleet": 3, "applied": 1, "refused": [], "pending": ["edge-2", "edge-3"],
            "appliedMs": {"p50": 3.0, "p95": 3.0, "p99": 4.25, "max": 5.0},
        }))
        .unwrap();
        assert_eq!(
            sections(&receipt),
            "Revision:  7\nApplied:   1 of 3 proxies\nRefused:   0\n\
             Pending:   2 (edge-2, edge-3)\nTime:      p50 3.0 ms, p99 4.2 ms, max 5.0 ms\n"
        );
    }
}
