//! Once a second: what is new, for the control plane. Nothing when nothing is, but on a stream that has
//! just begun: of ten thousand proxies that would be ten thousand messages.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_core::{Fares, HealthNews, Millis, Snapshot};
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
    worker::Random,
};

/// Between two looks at the workers while nobody wants reports: sums must not wait on workers for
/// long.
const UNASKED: Duration = Duration::from_secs(1);
/// Between two reports with samples: what is equal is added up meanwhile.
const SAMPLES: Duration = Duration::from_secs(5);
/// Of samples that nobody takes, those of the last two such times are kept.
const TURN: Duration = Duration::from_secs(60);

pub(super) struct Reporter {
    pub(super) clock: Clock,
    pub(super) live: Live,
    pub(super) sums: Sums,
    pub(super) collector: Collector,
    pub(super) status: watch::Receiver<Status>,
    pub(super) reports: mpsc::Sender<v1::Report>,
    pub(super) random: Random,
}

impl Reporter {
    /// Reports as often as the control plane wants it. While there is no room for a report, its sums and its
    /// health go into a later one.
    pub(super) async fn run(self) {
        let mut health = HealthNews::default();
        let mut telling = 0;
        let mut last = Instant::now();
        let mut sampled = Instant::now();
        let mut turned = Instant::now();
        let mut seen: Option<Arc<Generation>> = None;
        loop {
            let link = self.status.borrow().control.clone();
            sleep(link.as_ref().map_or(UNASKED, |link| link.report_interval)).await;
            self.collector.refresh().await;
            if turned.elapsed() >= TURN {
                turned = Instant::now();
                self.sums.borrow_mut().turn_samples();
            }
            let snapshot = self.live.current();
            if seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &snapshot)) {
                self.sums.borrow_mut().retain(&snapshot);
            }
            if let Some(link) = link
                && let Ok(permit) = self.reports.try_reserve()
            {
                if telling != link.telling {
                    // A control plane that has just come knows nothing.
                    telling = link.telling;
                    health.start_over();
                }
                let traffic = self.sums.borrow_mut().report(last.elapsed());
                last = Instant::now();
                let mut report = with_health(traffic, &mut health, &snapshot, self.clock.now());
                if let Some(key) = link.sample_key.filter(|_| sampled.elapsed() >= SAMPLES) {
                    sampled = Instant::now();
                    let mut sums = self.sums.borrow_mut();
                    report.samples = sums.take_samples(&key, link.sample_kinds, || self.random.next());
                }
                if has_news(&report) {
                    permit.send(report);
                }
            }
            seen = Some(snapshot);
        }
    }
}

/// The report of `traffic` with what is to be said of the endpoints of `snapshot`.
fn with_health(traffic: v1::Report, health: &mut HealthNews, snapshot: &Snapshot, now: Millis) -> v1::Report {
    let backends = snapshot.backends().map(|backend| &**backend);
    let health = health.next(backends, now, |endpoint| Fares::of(endpoint, now));
    v1::Report {
        endpoints: health.endpoints,
        plain: health.plain,
        whole: health.whole,
        ..traffic
    }
}

fn has_news(report: &v1::Report) -> bool {
    report.whole
        || !report.endpoints.is_empty()
        || !report.plain.is_empty()
        || !report.traffic.is_empty()
        || report.dropped_log_lines > 0
        || report.samples.is_some()
}
