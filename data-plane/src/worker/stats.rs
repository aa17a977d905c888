//! What a worker counts, for itself alone.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, hash_map::Entry},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::HeaderValue;
use sluice_core::CompiledRule;
use sluice_model::Key;

use super::uid::UidHash;
use crate::telemetry::{Counters, RouteLabel, Traffic};

/// Counters of a worker since it was last asked.
#[derive(Debug)]
pub(crate) struct Stats {
    /// By uid of the rule and place of the variant, one more than its index; 0 is none.
    routes: RefCell<HashMap<(u64, usize), Rc<RouteStats>, UidHash>>,
    /// Variants that have another name by now, until they are asked for.
    renamed: RefCell<Vec<Rc<RouteStats>>>,
    /// Requests that met no rule.
    unrouted: Rc<RouteStats>,
    counters: RefCell<Counters>,
    /// Requests under way.
    pub(crate) requests: Cell<u64>,
    /// Open client connections.
    pub(crate) connections: Cell<u64>,
    /// Upgraded connections.
    pub(crate) upgraded: Cell<u64>,
}

/// Counters of one rule and variant.
#[derive(Debug)]
pub(crate) struct RouteStats {
    pub(crate) label: Arc<RouteLabel>,
    /// The route's name as `x-sluice-route` has it.
    pub(crate) route: HeaderValue,
    /// The variant's as `x-sluice-variant` has it.
    pub(crate) variant: Option<HeaderValue>,
    traffic: RefCell<Traffic>,
}

impl RouteStats {
    fn new(rule: Option<&CompiledRule>, variant: Option<&str>) -> Rc<Self> {
        let label = RouteLabel {
            rule: rule.map(|rule| rule.rule.key.clone()),
            variant: variant.map(Into::into),
        };
        // Keys and names that are no header values were refused with their resource.
        let header = |text: &str| HeaderValue::from_str(text).ok();
        Rc::new(Self {
            route: header(label.route()).unwrap_or(HeaderValue::from_static("")),
            variant: variant.and_then(header),
            label: Arc::new(label),
            traffic: RefCell::default(),
        })
    }

    /// Counts one request.
    #[inline]
    pub(crate) fn record(&self, status: u16, failed: bool, took: Duration) {
        let mut traffic = self.traffic.borrow_mut();
        let class = usize::from((status / 100).clamp(1, 5) - 1);
        traffic.classes[class] += 1;
        traffic.failures += u64::from(failed);
        traffic.latency.add(took);
    }
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            routes: RefCell::default(),
            renamed: RefCell::default(),
            unrouted: RouteStats::new(None, None),
            counters: RefCell::default(),
            requests: Cell::default(),
            connections: Cell::default(),
            upgraded: Cell::default(),
        }
    }

    /// Counters for requests that met no rule.
    pub(crate) fn unrouted(&self) -> Rc<RouteStats> {
        Rc::clone(&self.unrouted)
    }

    /// Counters of `rule`, and of the variant with that place and name.
    #[inline]
    pub(crate) fn route(&self, rule: &CompiledRule, variant: Option<(usize, &str)>) -> Rc<RouteStats> {
        let at = (rule.uid, variant.map_or(0, |(index, _)| index + 1));
        let name = variant.map(|(_, name)| name);
        match self.routes.borrow_mut().entry(at) {
            // A variant's place may have got another name with a new snapshot.
            Entry::Occupied(held) if held.get().label.variant.as_deref() == name => Rc::clone(held.get()),
            Entry::Occupied(mut held) => {
                let old = held.insert(RouteStats::new(Some(rule), name));
                self.renamed.borrow_mut().push(old);
                Rc::clone(held.get())
            }
            Entry::Vacant(vacant) => Rc::clone(vacant.insert(RouteStats::new(Some(rule), name))),
        }
    }

    /// Changes a counter.
    #[inline]
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters.borrow_mut());
    }

    /// Counts a connection that was turned away, by the listener that had no place for it, if that is
    /// known.
    pub(crate) fn over_limit(&self, listener: Option<&Key>) {
        self.count(|counters| *counters.over_limit.entry(listener.cloned()).or_default() += 1);
    }

    /// What was counted since the last call. Routes without any traffic in between are let go.
    pub(crate) fn take(&self) -> (Vec<(Arc<RouteLabel>, Traffic)>, Counters) {
        let mut taken = Vec::new();
        let mut take = |route: &RouteStats| {
            let traffic = route.traffic.take();
            let any = traffic.requests() != 0;
            if any {
                taken.push((Arc::clone(&route.label), traffic));
            }
            any
        };
        take(&self.unrouted);
        // What a request still holds will be counted into again.
        let mut keep = |route: &Rc<RouteStats>| take(route) || Rc::strong_count(route) > 1;
        self.routes.borrow_mut().retain(|_, route| keep(route));
        self.renamed.borrow_mut().retain(keep);
        (taken, self.counters.take())
    }
}

#[cfg(test)]
mod tests {
    use sluice_core::Snapshot;
    use sluice_model::HistoryId;

    use super::*;
    use crate::testing::snapshot::{Site, apply};

    fn rule() -> Arc<CompiledRule> {
        let snapshot = apply(
            &Snapshot::empty(HistoryId::default()),
            &Site::to(&["127.0.0.1:1"]),
        );
        Arc::clone(snapshot.rules().next().unwrap())
    }

    fn taken(stats: &Stats) -> Vec<(String, u64)> {
        let (mut traffic, _) = stats.take();
        traffic.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let named =
            |(label, traffic): (Arc<RouteLabel>, Traffic)| (label.variant().to_owned(), traffic.requests());
        traffic.into_iter().map(named).collect()
    }

    #[test]
    fn every_request_is_counted_once_under_its_variant() {
        let (stats, rule) = (Stats::new(), rule());
        stats
            .route(&rule, Some((0, "a")))
            .record(200, false, Duration::ZERO);
        stats
            .route(&rule, Some((1, "b")))
            .record(200, false, Duration::ZERO);
        stats
            .route(&rule, Some((1, "b")))
            .record(503, true, Duration::ZERO);
        assert_eq!(taken(&stats), [("a".into(), 1), ("b".into(), 2)]);
        assert_eq!(taken(&stats), []);
    }

    #[test]
    fn a_renamed_variant_keeps_what_was_counted_under_its_old_name() {
        let (stats, rule) = (Stats::new(), rule());
        let under_way = stats.route(&rule, Some((0, "old")));
        under_way.record(200, false, Duration::ZERO);
        stats
            .route(&rule, Some((0, "new")))
            .record(200, false, Duration::ZERO);
        assert_eq!(taken(&stats), [("new".into(), 1), ("old".into(), 1)]);
        under_way.record(200, false, Duration::ZERO);
        assert_eq!(taken(&stats), [("old".into(), 1)]);
    }

    #[test]
    fn routes_without_traffic_are_let_go() {
        let (stats, rule) = (Stats::new(), rule());
        stats.route(&rule, None).record(200, false, Duration::ZERO);
        taken(&stats);
        taken(&stats);
        assert!(stats.routes.borrow().is_empty());
    }
}
