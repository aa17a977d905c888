//! Sums of what the workers counted, and what of it has not been reported yet.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use sluice_core::Snapshot;
use sluice_model::Key;
use sluice_proto::v1;

use super::{Counters, Delta, Gauges, RouteLabel, Traffic};
use crate::sampling::{Gathered, Sampling};

/// Everything counted since the proxy started. One entry per rule and variant that had traffic;
/// those of rules that are gone are forgotten.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) traffic: HashMap<Arc<RouteLabel>, Traffic>,
    pub(crate) counters: Counters,
    gauges: HashMap<usize, Gauges>,
    unreported: HashMap<Arc<RouteLabel>, Traffic>,
    reported_drops: u64,
    /// Only when samples are asked for.
    samples: Option<Gathered>,
}

impl Totals {
    /// Nothing yet, and of samples what is asked for.
    pub(crate) fn sampling(sampling: Option<Arc<Sampling>>) -> Self {
        Self {
            samples: sampling.map(Gathered::new),
            ..Self::default()
        }
    }

    /// The samples since the last call, or of two minutes, with `key` for values that are hashed, in at most so many
    /// kinds; see [`Gathered::take`].
    pub(crate) fn take_samples(
        &mut self,
        key: &[u8; 32],
        most: Option<NonZeroU32>,
        offset: impl FnMut() -> u64,
    ) -> Option<v1::Samples> {
        self.samples.as_mut()?.take(key, most, offset)
    }

    /// Begins another minute of samples, see [`Gathered::turn`].
    pub(crate) fn turn_samples(&mut self) {
        if let Some(samples) = &mut self.samples {
            samples.turn();
        }
    }

    /// Sampled requests that no control plane took in time.
    pub(super) fn lost_samples(&self) -> u64 {
        self.samples.as_ref().map_or(0, Gathered::lost)
    }

    /// Adds what a worker counted.
    pub(crate) fn add(&mut self, delta: Delta) {
        self.counters.merge(&delta.counters);
        self.gauges.insert(delta.worker, delta.gauges);
        if let Some(samples) = &mut self.samples {
            samples.add(delta.sampled);
        }
        for (label, traffic) in delta.traffic {
            if label.rule.is_some() {
                let unreported = self.unreported.entry(Arc::clone(&label)).or_default();
                unreported.merge(&traffic);
            }
            self.traffic.entry(label).or_default().merge(&traffic);
        }
    }

    /// What all workers have right now.
    pub(crate) fn gauges(&self) -> Gauges {
        self.gauges.values().fold(Gauges::default(), |sum, one| Gauges {
            connections: sum.connections + one.connections,
            requests: sum.requests + one.requests,
            idle_upstream: sum.idle_upstream + one.idle_upstream,
            upgraded: sum.upgraded + one.upgraded,
        })
    }

    /// Forgets the rules and listeners that `snapshot` does not have.
    pub(crate) fn retain(&mut self, snapshot: &Snapshot) {
        let exists = |label: &RouteLabel| {
            let rule = label.rule.as_ref();
            rule.is_none_or(|rule| snapshot.resources().get(rule).is_some())
        };
        self.traffic.retain(|label, _| exists(label));
        self.unreported.retain(|label, _| exists(label));
        let listens = |key: &Key| snapshot.resources().get(key).is_some();
        let over_limit = &mut self.counters.over_limit;
        over_limit.retain(|listener, _| listener.as_ref().is_none_or(listens));
    }

    /// A report of the traffic since the last one, without endpoints.
    pub(crate) fn report(&mut self, interval: Duration) -> v1::Report {
        let traffic = self.unreported.drain().map(|(label, traffic)| v1::RouteTraffic {
            rule: label.rule().to_owned(),
            variant: label.variant().to_owned(),
            requests: traffic.requests(),
            failures: traffic.failures,
            latency: Some(traffic.latency.to_wire()),
        });
        let dropped = self.counters.dropped_log_lines;
        v1::Report {
            traffic: traffic.collect(),
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            dropped_log_lines: dropped - std::mem::replace(&mut self.reported_drops, dropped),
            ..v1::Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_model::HistoryId;

    use super::*;
    use crate::sampling::Reservoir;

    fn label(rule: &str) -> Arc<RouteLabel> {
        Arc::new(RouteLabel {
            rule: Some(Key::parse(rule).unwrap()),
            variant: Some("b".into()),
        })
    }

    fn delta(worker: usize, requests: u64) -> Delta {
        let mut traffic = Traffic::default();
        traffic.classes[1] = requests;
        traffic.failures = 1;
        Delta {
            worker,
            ticket: 0,
            traffic: vec![(label("rule/default/shop/0"), traffic)],
            counters: Counters {
                dropped_log_lines: 2,
                ..Counters::default()
            },
            gauges: Gauges {
                connections: 3,
                ..Gauges::default()
            },
            sampled: Reservoir::default(),
        }
    }

    #[test]
    fn a_report_has_what_came_since_the_last_one_and_the_sums_stay() {
        let mut totals = Totals::default();
        totals.add(delta(0, 5));
        totals.add(delta(1, 7));
        let report = totals.report(Duration::from_secs(1));
        assert_eq!((report.traffic[0].requests, report.traffic[0].failures), (12, 2));
        assert_eq!(report.traffic[0].variant, "b");
        assert_eq!(report.dropped_log_lines, 4);
        assert!(totals.report(Duration::from_secs(1)).traffic.is_empty());
        totals.add(delta(1, 1));
        let report = totals.report(Duration::from_secs(1));
        assert_eq!((report.traffic[0].requests, report.dropped_log_lines), (1, 2));
        assert_eq!(totals.traffic[&label("rule/default/shop/0")].requests(), 13);
        assert_eq!(totals.gauges().connections, 6);
    }

    #[test]
    fn rules_that_are_gone_are_forgotten() {
        let mut totals = Totals::default();
        totals.add(delta(0, 5));
        totals.retain(&Snapshot::empty(HistoryId::default()));
        assert!(totals.traffic.is_empty());
        assert!(totals.report(Duration::from_secs(1)).traffic.is_empty());
    }
}
