//! Waiting until enough of the fleet runs a revision.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use sluice_control::fleet::Quorum;

use crate::answer::Receipt;
use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::options::WaitOptions;
use crate::outcome::Outcome;

/// How long one request waits at the server while a person watches the line.
const WATCHED: Duration = Duration::from_millis(250);
/// How long one request waits at the server otherwise.
const UNWATCHED: Duration = Duration::from_secs(20);

/// The receipt of `revision`: as it is, or with `wait` once the quorum is met, cannot be met any
/// more, or time is up.
///
/// # Errors
/// When the control plane does not answer.
pub(crate) async fn receipt(
    client: &Client,
    revision: u64,
    options: WaitOptions,
) -> Result<(Value, Outcome), Failure> {
    let number = revision.to_string();
    let path = ["v1", "revisions", &number, "receipt"];
    let Some(wait) = options.wait else {
        return Ok((client.send(Request::get(&path)).await?, Outcome::Done));
    };
    let line = Line::new();
    let end = Instant::now() + wait;
    loop {
        let asked = Instant::now();
        let left = end.saturating_duration_since(asked);
        let slice = left.min(if line.is_watched() { WATCHED } else { UNWATCHED });
        let request = Request::get(&path)
            .query("wait", format_args!("{}ms", slice.as_millis()))
            .query("quorum", options.quorum)
            .patience(slice);
        let answer = client.send(request).await?;
        let receipt: Receipt = client.read(answer.clone())?;
        line.show(&receipt, left);
        if let Some(outcome) = verdict(options.quorum, &receipt) {
            return Ok((answer, outcome));
        }
        if Instant::now() >= end {
            return Ok((answer, Outcome::TimedOut));
        }
        // The server may answer before the time it was given, when nothing is left to wait for but
        // a proxy that is not there yet.
        tokio::time::sleep_until((asked + slice.min(WATCHED)).into()).await;
    }
}

/// Where `receipt` stands with the quorum; nothing while it can still be met. A proxy that tries
/// again by itself has not refused for good.
fn verdict(quorum: Quorum, receipt: &Receipt) -> Option<Outcome> {
    let needed = quorum.needed(receipt.fleet);
    let still_possible = receipt.fleet - receipt.refusals_for_good();
    if receipt.applied >= needed {
        Some(Outcome::Done)
    } else if receipt.fleet > 0 && still_possible < needed {
        Some(Outcome::Refused)
    } else {
        None
    }
}

/// The live line on standard error; nothing at all when that is not a terminal. Gone when dropped.
struct Line(Option<ProgressBar>);

impl Line {
    fn new() -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::default_spinner());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        }))
    }

    fn is_watched(&self) -> bool {
        self.0.is_some()
    }

    fn show(&self, receipt: &Receipt, left: Duration) {
        let Some(bar) = &self.0 else { return };
        let (applied, fleet) = (receipt.applied, receipt.fleet);
        let refused = match receipt.refusals() {
            0 => String::new(),
            refused => format!(", {refused} refused"),
        };
        bar.set_message(format!(
            "revision {}: {applied} of {fleet} proxies{refused}, {} s left",
            receipt.revision,
            left.as_secs()
        ));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(fleet: usize, applied: usize, refused: usize) -> Receipt {
        let refused: Vec<_> = (0..refused)
            .map(|index| serde_json::json!({"proxy": format!("edge-{index}"), "violations": []}))
            .collect();
        let json = serde_json::json!({"revision": 1, "fleet": fleet, "applied": applied, "refused": refused});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn waiting_ends_when_the_quorum_is_met_or_out_of_reach() {
        let half: Quorum = "0.5".parse().unwrap();
        assert_eq!(verdict(half, &receipt(4, 2, 0)), Some(Outcome::Done));
        assert_eq!(verdict(half, &receipt(4, 1, 2)), None);
        assert_eq!(verdict(half, &receipt(4, 1, 3)), Some(Outcome::Refused));
    }

    #[test]
    fn a_proxy_that_tries_again_by_itself_is_waited_for() {
        let retrying = Receipt {
            retrying_count: 1,
            ..receipt(2, 1, 1)
        };
        assert_eq!(verdict(Quorum::ALL, &retrying), None);
    }

    #[test]
    fn an_empty_fleet_meets_no_quorum_and_may_still_grow() {
        assert_eq!(verdict(Quorum::ALL, &receipt(0, 0, 0)), None);
    }
}
