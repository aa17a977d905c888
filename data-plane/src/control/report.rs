//! Once a second: what is new, for the control plane. Nothing when nothing is: of ten thousand proxies
//! that would be ten thousand messages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_proto::v1;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::collect::{Collector, Sums};
use crate::{
    clock::Clock,
    live::{Generation, Live},
    status::Status,
    telemetry::HealthReport,
};

/// Between two looks at the workers while nobody wants reports: sums must not wait on workers for
/// long.
const UNASKED: Duration = Duration::from_secs(1);

pub(super) struct Reporter {
    pub(super) clock: Clock,
    pub(super) live: Live,
    pub(super) sums: Sums,
    pub(super) collector: Collector,
    pub(super) status: watch::Receiver<Status>,
    pub(super) reports: mpsc::Sender<v1::Report>,
}

impl Reporter {
    /// Reports as often as the control plane wants it. What cannot be sent now is in the next one.
    pub(super) async fn run(self) {
        let mut health = HealthReport::default();
        let mut stream = 0;
        let mut last = Instant::now();
        let mut seen: Option<Arc<Generation>> = None;
        loop {
            let link = self.status.borrow().control.clone();
            sleep(link.as_ref().map_or(UNASKED, |link| link.report_interval)).await;
            self.collector.refresh().await;
            let snapshot = self.live.current();
            if seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot)) {
                self.sums.borrow_mut().retain(&snapshot);
            }
            if let Some(link) = link
                && let Ok(permit) = self.reports.try_reserve()
            {
                if stream != link.stream {
                    // A control plane that has just come knows nothing.
                    stream = link.stream;
                    health = HealthReport::default();
                }
                let mut report = self.sums.borrow_mut().report(last.elapsed());
                last = Instant::now();
                report.endpoints = health.changes(&snapshot, self.clock.now());
                if has_news(&report) {
                    permit.send(report);
                }
            }
            seen = Some(snapshot);
        }
    }
}

fn has_news(report: &v1::Report) -> bool {
    !report.endpoints.is_empty() || !report.traffic.is_empty() || report.dropped_log_lines > 0
}
