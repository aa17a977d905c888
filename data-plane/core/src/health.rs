//! Passive health: an endpoint that keeps failing requests is left out for a while.
//!
//! # Why
//!
//! Requests tell first that an endpoint is broken. Leaving it out turns a failure per request into
//! one per ejection, and the rest of the backend carries on.
//!
//! # Trip
//!
//! [`Outlier::failures`] failures in a row, by all workers together; one success starts the count
//! again. The ejection lasts `base_ejection` times the number of ejections so far, at most
//! `max_ejection`. It does not happen when it would leave out more than `max_ejected_percent` of
//! the backend's endpoints; one of two or more may always go, unless that percentage is 0. The
//! count stays where it is then, and the next failure tries again. Failures of an ejected endpoint
//! (requests that were on their way, or panic routing) do not prolong its ejection.
//!
//! # First start
//!
//! An endpoint begins healthy and with no history: it gets traffic at once.
//!
//! # Recovery
//!
//! By time alone: when the ejection is over, the endpoint takes its full part again with a count of
//! zero. Each `base_ejection` that it then stays in takes one off the number of ejections, so an
//! old incident does not lengthen a new one.
//!
//! Two workers that eject two endpoints at the same moment may each see the other's ejection and
//! both take theirs back; the percentage is never exceeded for longer than that check takes.
//! Nothing shared is written by a request that succeeds after another success.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use sluice_model::Outlier;

use crate::backend::BackendState;

/// A point on this process's monotonic clock, in milliseconds since any fixed start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// How one endpoint fares; the state machine of this module.
#[derive(Debug, Default)]
pub struct Health {
    /// Failures since the last success.
    in_a_row: AtomicU32,
    /// [`Ejection`], packed.
    ejection: AtomicU64,
    /// Failures since the endpoint came.
    failures: AtomicU64,
}

impl Health {
    /// Notes a failed request. `backend` is the one the endpoint belongs to; `outlier` says when
    /// that is enough.
    ///
    /// Returns whether this failure ejected the endpoint.
    pub fn record_failure(&self, now: Millis, outlier: &Outlier, backend: &BackendState) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let before = self.ejection.load(Ordering::SeqCst);
        if outlier.failures == 0 || Ejection::unpack(before).covers(now) {
            return false;
        }
        // Cannot overflow: the count ends at an ejection, or at one failure per request under way.
        let in_a_row = self.in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if in_a_row < outlier.failures {
            return false;
        }
        let after = Ejection::unpack(before).next(now, outlier).pack();
        if self
            .ejection
            .compare_exchange(before, after, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
        {
            return false; // Another worker's failure did it.
        }
        // Marked first and counted after, all in one order: of two at once, at least one sees both.
        if ejected(backend, now) > allowance(outlier.max_ejected_percent, backend.endpoints.len()) {
            let _ = self
                .ejection
                .compare_exchange(after, before, Ordering::SeqCst, Ordering::SeqCst);
            return false;
        }
        self.in_a_row.store(0, Ordering::Relaxed);
        true
    }

    /// Notes a request that succeeded. Writes only after a failure.
    #[inline]
    pub fn record_success(&self) {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// Whether the endpoint is left out at `now`.
    #[inline]
    pub fn is_ejected(&self, now: Millis) -> bool {
        Ejection::unpack(self.ejection.load(Ordering::SeqCst)).covers(now)
    }

    /// Failures noted since the endpoint came.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}

/// The last ejection: when it ends, and how many came close enough together to count with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ejection {
    /// 48 bits: nine thousand years.
    until: u64,
    count: u16,
}

impl Ejection {
    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            until: word >> 16,
            count: word as u16,
        }
    }

    fn pack(self) -> u64 {
        self.until.min(u64::MAX >> 16) << 16 | u64::from(self.count)
    }

    #[inline]
    fn covers(self, now: Millis) -> bool {
        now.0 < self.until
    }

    /// The one that follows it, starting at `now`.
    fn next(self, now: Millis, outlier: &Outlier) -> Self {
        let base = millis(outlier.base_ejection).max(1);
        let forgiven = now.0.saturating_sub(self.until) / base;
        let count = u64::from(self.count).saturating_sub(forgiven) + 1;
        let length = base
            .saturating_mul(count)
            .min(millis(outlier.max_ejection).max(base));
        Self {
            until: now.0.saturating_add(length),
            count: u16::try_from(count).unwrap_or(u16::MAX),
        }
    }
}

fn ejected(backend: &BackendState, now: Millis) -> usize {
    backend
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.health.is_ejected(now))
        .count()
}

/// How many of `endpoints` may be ejected at once.
fn allowance(percent: u8, endpoints: usize) -> usize {
    match (percent, endpoints) {
        (0, _) | (_, 0 | 1) => 0,
        _ => (endpoints * usize::from(percent) / 100).max(1),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backend::tests::backend;

    const OUTLIER: Outlier = Outlier {
        failures: 3,
        base_ejection: Duration::from_secs(10),
        max_ejection: Duration::from_secs(25),
        max_ejected_percent: 50,
    };

    fn fail(backend: &BackendState, at: usize, times: u32, now: u64) -> bool {
        let fail = |_| {
            backend.endpoints[at]
                .health
                .record_failure(Millis(now), &OUTLIER, backend)
        };
        (0..times).map(fail).fold(false, |any, one| any | one)
    }

    /// From when to when, in milliseconds, the endpoint is out after failing at `now`.
    fn ejection(backend: &BackendState, now: u64) -> u64 {
        assert!(fail(backend, 0, 3, now), "not ejected at {now}");
        let health = &backend.endpoints[0].health;
        assert!(health.is_ejected(Millis(now)));
        let end = (now..now + 100_000)
            .step_by(500)
            .find(|at| !health.is_ejected(Millis(*at)));
        end.unwrap() - now
    }

    #[test]
    fn failures_in_a_row_eject_and_a_success_between_starts_the_count_again() {
        let backend = backend(&[1, 1]);
        let health = &backend.endpoints[0].health;
        assert!(!fail(&backend, 0, 2, 5));
        health.record_success();
        assert!(!fail(&backend, 0, 2, 6));
        assert!(!health.is_ejected(Millis(6)));
        assert!(fail(&backend, 0, 1, 7));
        assert!(health.is_ejected(Millis(7)));
        assert_eq!(health.failures(), 5);
    }

    #[test]
    fn ejections_grow_to_the_longest_and_shrink_with_time_spent_in() {
        let backend = backend(&[1, 1]);
        assert_eq!(ejection(&backend, 0), 10_000);
        assert_eq!(ejection(&backend, 10_000), 20_000);
        assert_eq!(ejection(&backend, 30_000), 25_000);
        assert_eq!(ejection(&backend, 55_000), 25_000);
        // In from 80 s to 110 s: three of the four are forgiven.
        assert_eq!(ejection(&backend, 110_000), 20_000);
        assert_eq!(ejection(&backend, 1_000_000), 10_000);
    }

    #[test]
    fn failures_of_an_ejected_endpoint_change_nothing() {
        let backend = backend(&[1, 1]);
        assert!(fail(&backend, 0, 3, 0));
        assert!(!fail(&backend, 0, 50, 9_999));
        assert!(!backend.endpoints[0].health.is_ejected(Millis(10_000)));
        assert!(!fail(&backend, 0, 2, 10_000));
    }

    #[test]
    fn an_only_endpoint_is_never_ejected() {
        let backend = backend(&[1]);
        assert!(!fail(&backend, 0, 100, 0));
        assert!(!backend.endpoints[0].health.is_ejected(Millis(0)));
    }

    #[test]
    fn what_the_percentage_holds_back_goes_when_there_is_room() {
        let backend = backend(&[1, 1, 1]);
        assert!(fail(&backend, 0, 3, 0));
        assert!(!fail(&backend, 1, 10, 9_000));
        assert!(fail(&backend, 1, 1, 10_000));
    }

    #[test]
    fn no_failures_allowed_turns_ejection_off_and_so_does_no_percentage() {
        let backend = backend(&[1, 1]);
        let off = [
            Outlier {
                failures: 0,
                ..OUTLIER
            },
            Outlier {
                max_ejected_percent: 0,
                ..OUTLIER
            },
        ];
        for (outlier, _) in off
            .iter()
            .flat_map(|outlier| (0..10).map(move |time| (outlier, time)))
        {
            assert!(
                !backend.endpoints[0]
                    .health
                    .record_failure(Millis(0), outlier, &backend)
            );
        }
    }

    #[test]
    fn workers_failing_everything_at_once_never_eject_more_than_allowed() {
        let backend = backend(&[1; 10]);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let backend = &backend;
                scope.spawn(move || {
                    for step in 0..400 {
                        fail(backend, (step * 7 + worker) % 10, 1, 0);
                    }
                });
            }
        });
        // Each has failed often enough, so in the end there are as many out as may be.
        for at in 0..10 {
            fail(&backend, at, 1, 0);
        }
        assert_eq!(ejected(&backend, Millis(0)), 5);
    }

    proptest! {
        #[test]
        fn never_more_than_the_percentage_and_never_longer_than_the_longest(
            endpoints in 1usize..12,
            percent in 0u8..=100,
            steps in prop::collection::vec((0usize..12, any::<bool>(), 0u64..8_000), 0..200),
        ) {
            let backend = backend(&vec![1; endpoints]);
            let outlier = Outlier { max_ejected_percent: percent, ..OUTLIER };
            let mut now = 0;
            let mut last = vec![0; endpoints];
            for (at, failed, wait) in steps {
                let health = &backend.endpoints[at % endpoints].health;
                now += wait;
                match failed {
                    true if health.record_failure(Millis(now), &outlier, &backend) => last[at % endpoints] = now,
                    true => {}
                    false => health.record_success(),
                }
                let out = ejected(&backend, Millis(now));
                prop_assert!(out * 100 <= endpoints * usize::from(percent) || (out == 1 && endpoints > 1));
                for (endpoint, since) in backend.endpoints.iter().zip(&last) {
                    prop_assert!(!endpoint.health.is_ejected(Millis(since + 25_000)));
                }
            }
        }

        #[test]
        fn an_ejection_survives_being_packed(until in 0..1u64 << 48, count: u16) {
            let ejection = Ejection { until, count };
            prop_assert_eq!(Ejection::unpack(ejection.pack()), ejection);
        }
    }
}
