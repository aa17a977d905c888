//! Time: one monotonic start for the whole process, and the only place that reads the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluice_core::Millis;

/// The start that all of a proxy's [`Millis`] are counted from. Copied into every thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Milliseconds from the start to `at`.
    #[inline]
    pub(crate) fn millis(self, at: Instant) -> Millis {
        Millis(u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn now(self) -> Millis {
        self.millis(Instant::now())
    }
}

/// Converts points of the monotonic clock to the wall clock's, as it stands when this is made.
///
/// Made anew for every batch of log lines, so that a step of the wall clock shows at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock {
    monotonic: Instant,
    since_epoch: Duration,
}

impl WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub(crate) fn read() -> Self {
        Self {
            monotonic: Instant::now(),
            since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }

    /// Now, as the field `Date` has it (RFC 9110 section 5.6.7).
    pub(crate) fn date(self) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + self.since_epoch)
    }

    /// Time from the Unix epoch to when it was read.
    pub(crate) fn since_epoch(self) -> Duration {
        self.since_epoch
    }

    /// Time from the Unix epoch to `at`.
    pub(crate) fn at(self, at: Instant) -> Duration {
        match at.checked_duration_since(self.monotonic) {
            Some(later) => self.since_epoch.saturating_add(later),
            None => self
                .since_epoch
                .saturating_sub(self.monotonic.saturating_duration_since(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_runs_with_the_monotonic_one() {
        let wall = WallClock::read();
        let second = Duration::from_secs(1);
        assert_eq!(wall.at(wall.monotonic + second) - wall.at(wall.monotonic), second);
        assert_eq!(wall.at(wall.monotonic) - wall.at(wall.monotonic - second), second);
    }

    #[test]
    fn millis_count_from_the_start() {
        let clock = Clock::start();
        assert_eq!(
            clock.millis(clock.start + Duration::from_millis(1500)),
            Millis(1500)
        );
        assert_eq!(clock.millis(clock.start), Millis(0));
    }
}
