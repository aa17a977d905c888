//! What a run found, as numbers and as tables.

use std::fmt::Write as _;

use serde::Serialize;

use crate::summary::Percentiles;

const MIB: f64 = 1_048_576.0;

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: String,
    /// What was run.
    pub(super) command: String,
    pub(super) streams: usize,
    pub(super) routes: u32,
    /// Until all streams stood, from the start of the first.
    pub(super) joined_ms: f64,
    /// Cores the control plane was busy with while nothing happened.
    pub(super) idle_cores: Option<f64>,
    /// Resident memory of the control plane with the table and before the first stream.
    pub(super) alone_bytes: u64,
    /// The most that was seen after a case.
    pub(super) resident_bytes: u64,
    /// Members whose endpoints are ejected and healthy again, turn by turn.
    pub(super) ailing: usize,
    /// The most endpoints that the control plane kept of what members reported, after a case.
    pub(super) ailing_endpoints: usize,
    pub(super) change: Option<Changes>,
    pub(super) bulk: Vec<Bulk>,
    pub(super) rude: Option<Changes>,
    pub(super) sustained: Option<Sustained>,
    /// The second of two changes of endpoints; bytes and CPU are those of both.
    pub(super) endpoints: Option<Changes>,
    pub(super) herd: Option<Herd>,
    pub(super) restart: Option<Restart>,
}

/// One-weight changes, one after the other.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    pub(super) changes: u32,
    pub(super) answer_ms: Percentiles,
    /// From the answer to each acknowledgement.
    pub(super) ack_ms: Percentiles,
    /// From the answer to the receipt that says 99 % have it, and all.
    pub(super) receipt_99_ms: Option<Percentiles>,
    pub(super) receipt_all_ms: Option<Percentiles>,
    /// By one proxy, for one change.
    pub(super) received_bytes: f64,
    pub(super) sent_bytes: f64,
    /// Of the control plane, for one change.
    pub(super) cpu_ms: f64,
}

/// Changes of many weights in one apply, one after the other.
#[derive(Debug, Serialize)]
pub(super) struct Bulk {
    /// Routes of each apply.
    pub(super) resources: usize,
    pub(super) changes: Changes,
}

/// Newcomers that hold nothing, all at once and beside the fleet.
#[derive(Debug, Serialize)]
pub(super) struct Herd {
    pub(super) newcomers: usize,
    /// From the start of the first until one ran what is newest.
    pub(super) serving_ms: Percentiles,
    /// Whole snapshots that were sent.
    pub(super) full: u64,
    /// Streams that were lost or could not be opened.
    pub(super) lost: u64,
    /// For one newcomer.
    pub(super) received_bytes: f64,
    /// Of the control plane, for one newcomer.
    pub(super) cpu_ms: f64,
    /// Of the control plane, before the first came.
    pub(super) before_bytes: u64,
    /// The most until all ran what is newest.
    pub(super) resident_bytes: u64,
}

/// Changes at a fixed rate.
#[derive(Debug, Serialize)]
pub(super) struct Sustained {
    pub(super) changes: u32,
    pub(super) per_second: f64,
    pub(super) answer_ms: Percentiles,
    /// From the answer to the acknowledgement of those revisions that were not skipped.
    pub(super) lag_ms: Percentiles,
    /// From the last answer until everybody had it.
    pub(super) caught_up_ms: f64,
    pub(super) updates_per_proxy: f64,
    pub(super) cpu_cores: f64,
    /// Before the first change.
    pub(super) start_bytes: u64,
    /// When everybody had the last one.
    pub(super) end_bytes: u64,
    /// The most from the start to the end.
    pub(super) resident_bytes: u64,
}

/// The control plane was killed.
#[derive(Debug, Serialize)]
pub(super) struct Restart {
    /// From the kill until it served again.
    pub(super) away_ms: f64,
    /// From then until all streams stood.
    pub(super) back_ms: f64,
    /// Whole snapshots that were sent.
    pub(super) full: u64,
    /// By one proxy, from the kill until it had the next change.
    pub(super) received_bytes: f64,
}

impl Report {
    /// As a section of RESULTS.md.
    pub(super) fn markdown(&self) -> String {
        let (streams, routes) = (self.streams, self.routes);
        let mut text = format!(
            "# A fleet of {streams}, {routes} routes\n\n\
             Written by `{}`; {}.\n\n",
            self.command, self.machine
        );
        let mut row = |what: &str, value: String| {
            let _ = writeln!(text, "| {what} | {value} |");
        };
        row("what", "measured".into());
        row("---", "---".into());
        row("all streams stand after, ms", number(self.joined_ms));
        if let Some(cores) = self.idle_cores {
            row("control plane idle, cores", format!("{cores:.3}"));
        }
        row(
            "resident alone / at most, MiB",
            format!("{} / {}", mib(self.alone_bytes), mib(self.resident_bytes)),
        );
        row(
            "proxies that report ailing endpoints / endpoints kept of them",
            format!("{} / {}", self.ailing, self.ailing_endpoints),
        );
        if let Some(change) = &self.change {
            changes("one weight", change, &mut row);
        }
        for bulk in &self.bulk {
            let case = format!("{} weights in one apply", bulk.resources);
            changes(&case, &bulk.changes, &mut row);
        }
        if let Some(rude) = &self.rude {
            changes("one weight, others slow or deaf", rude, &mut row);
        }
        if let Some(sustained) = &self.sustained {
            sustained.rows(&mut row);
        }
        if let Some(endpoints) = &self.endpoints {
            changes("endpoints, 300 ms after others", endpoints, &mut row);
        }
        if let Some(herd) = &self.herd {
            herd.rows(&mut row);
        }
        if let Some(restart) = &self.restart {
            row("restart: away, ms", number(restart.away_ms));
            row("restart: then all are back after, ms", number(restart.back_ms));
            row("restart: whole snapshots sent", restart.full.to_string());
            row("restart: bytes to each proxy", number(restart.received_bytes));
        }
        text
    }
}

fn changes(case: &str, of: &Changes, row: &mut impl FnMut(&str, String)) {
    row(&format!("{case}: answer of the write, ms"), spread(of.answer_ms));
    row(
        &format!("{case}: answer to acknowledgement, ms"),
        spread(of.ack_ms),
    );
    for (share, receipt) in [("99 %", of.receipt_99_ms), ("all", of.receipt_all_ms)] {
        if let Some(receipt) = receipt {
            row(
                &format!("{case}: answer to receipt of {share}, ms"),
                spread(receipt),
            );
        }
    }
    row(
        &format!("{case}: bytes to / from each proxy"),
        format!("{} / {}", number(of.received_bytes), number(of.sent_bytes)),
    );
    row(
        &format!("{case}: CPU of the control plane, ms"),
        number(of.cpu_ms),
    );
}

impl Sustained {
    fn rows(&self, row: &mut impl FnMut(&str, String)) {
        row("sustained: changes a second", number(self.per_second));
        row("sustained: answer of the write, ms", spread(self.answer_ms));
        row("sustained: answer to acknowledgement, ms", spread(self.lag_ms));
        row(
            "sustained: last answer to everybody, ms",
            number(self.caught_up_ms),
        );
        row(
            "sustained: updates to each proxy",
            format!("{:.0} for {} changes", self.updates_per_proxy, self.changes),
        );
        row(
            "sustained: control plane, cores",
            format!("{:.2}", self.cpu_cores),
        );
        row(
            "sustained: resident at the start / at the end / at most, MiB",
            format!(
                "{} / {} / {}",
                mib(self.start_bytes),
                mib(self.end_bytes),
                mib(self.resident_bytes)
            ),
        );
    }
}

impl Herd {
    fn rows(&self, row: &mut impl FnMut(&str, String)) {
        row("herd: newcomers without anything", self.newcomers.to_string());
        row("herd: until one serves, ms", spread(self.serving_ms));
        row(
            "herd: whole snapshots sent / streams lost",
            format!("{} / {}", self.full, self.lost),
        );
        row("herd: bytes to each newcomer", number(self.received_bytes));
        row("herd: CPU of the control plane for each, ms", number(self.cpu_ms));
        row(
            "herd: resident before / at most, MiB",
            format!("{} / {}", mib(self.before_bytes), mib(self.resident_bytes)),
        );
    }
}

fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn mib(bytes: u64) -> String {
    number(bytes as f64 / MIB)
}

fn spread(of: Percentiles) -> String {
    format!(
        "p50 {}, p99 {}, max {}",
        number(of.p50),
        number(of.p99),
        number(of.max)
    )
}
