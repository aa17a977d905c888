//! The tables a person reads, on the terminal and in RESULTS.md.

use std::fmt::Write as _;

use super::change::Changes;
use super::options::Proxy;
use super::report::{Memory, Reach, Report};
use super::rounds::Requests;
use super::table::RouteIndex;
use crate::summary::Percentiles;

const MIB: f64 = 1_048_576.0;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::from(
        "# Benchmark\n\nWritten by `tests/bench/run --write`; README.md beside this says what is compared.\n\n",
    );
    let _ = writeln!(text, "- Machine: {}", report.machine);
    let _ = writeln!(
        text,
        "- Load: {} connections, {} rounds of {} s per row, interleaved; medians, with the range of CPU",
        report.connections, report.rounds, report.seconds
    );
    for version in &report.versions {
        let _ = writeln!(text, "- {}: {}", version.proxy, version.version);
    }
    section(
        &mut text,
        "Requests",
        &REQUESTS,
        report.requests.iter().map(|row| requests(report, row)),
    );
    section(&mut text, "Memory", &MEMORY, report.memory.iter().map(memory));
    section(
        &mut text,
        "One-route changes",
        &CHANGES,
        report.changes.iter().flat_map(changes),
    );
    section(&mut text, "Reach", &REACH, report.reach.iter().map(reach));
    text
}

const REQUESTS: [&str; 10] = [
    "routes",
    "request for",
    "proxy",
    "CPU us/request",
    "range",
    "x nginx",
    "x Envoy",
    "requests/s",
    "core busy",
    "p50 / p99 ms",
];

fn requests(report: &Report, row: &Requests) -> [String; 10] {
    let ratio = |other| {
        report
            .ratio(row, other)
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"))
    };
    [
        row.case.table.0.to_string(),
        if row.case.route == RouteIndex::FIRST {
            "first"
        } else {
            "last"
        }
        .to_owned(),
        row.proxy.to_string(),
        format!("{:.1}", row.cpu_us.median),
        format!("{:.1} - {:.1}", row.cpu_us.min, row.cpu_us.max),
        ratio(Proxy::Nginx),
        ratio(Proxy::Envoy),
        format!("{:.0}", row.per_second.median),
        format!("{:.0} %", row.cpu_us.median * row.per_second.median / 1e4),
        format!("{:.2} / {:.2}", row.p50_us.median / 1e3, row.p99_us.median / 1e3),
    ]
}

const MEMORY: [&str; 4] = ["proxy", "one route, MiB", "many routes, MiB", "bytes per route"];

fn memory(row: &Memory) -> [String; 4] {
    [
        row.proxy.to_string(),
        format!("{:.1}", row.one_route_bytes as f64 / MIB),
        format!("{:.1}", row.many_routes_bytes as f64 / MIB),
        format!("{:.0}", row.bytes_per_route),
    ]
}

const CHANGES: [&str; 4] = ["milliseconds", "p50", "p99", "max"];

fn changes(changes: &Changes) -> [[String; 4]; 3] {
    let row = |what: &str, of: Percentiles| {
        [
            what.to_owned(),
            format!("{:.1}", of.p50),
            format!("{:.1}", of.p99),
            format!("{:.1}", of.max),
        ]
    };
    [
        row("live, from sending the write", changes.live_after_write_ms),
        row("live, from the answer to the write", changes.live_after_answer_ms),
        row("acknowledged by both proxies, from commit", changes.receipt_ms),
    ]
}

const REACH: [&str; 4] = ["bound", "at most", "measured", "met"];

fn reach(row: &Reach) -> [String; 4] {
    let met = if row.met { "yes" } else { "NO" };
    [
        row.what.to_owned(),
        row.at_most.to_string(),
        format!("{:.2}", row.measured),
        met.to_owned(),
    ]
}

/// A heading and an aligned table; nothing when there are no rows.
fn section<const N: usize>(
    text: &mut String,
    title: &str,
    header: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].len())
            .fold(header[column].len(), usize::max)
    });
    let _ = writeln!(text, "\n## {title}\n");
    line(text, &widths, header, ' ');
    line(text, &widths, &[""; N], '-');
    for row in &rows {
        line(text, &widths, row, ' ');
    }
}

fn line<const N: usize>(text: &mut String, widths: &[usize; N], cells: &[impl AsRef<str>; N], fill: char) {
    for (width, cell) in widths.iter().zip(cells) {
        let cell = cell.as_ref();
        let padding: String = std::iter::repeat_n(fill, width - cell.len()).collect();
        let _ = write!(text, "| {cell}{padding} ");
    }
    text.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut text = String::new();
        let rows = [["a".to_owned(), "12345".to_owned()]];
        section(&mut text, "T", &["name", "n"], rows.into_iter());
        assert_eq!(
            text,
            "\n## T\n\n| name | n     |\n| ---- | ----- |\n| a    | 12345 |\n"
        );
    }

    #[test]
    fn a_section_without_rows_is_left_out() {
        let mut text = String::new();
        section::<1>(&mut text, "T", &["name"], std::iter::empty());
        assert_eq!(text, "");
    }
}
