//! Growing pauses between attempts, spread so that a fleet does not come back all at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Longest that the first pause is spread over.
const WIDEST: Duration = Duration::from_secs(30);

/// Random pauses below a bound of 100 ms that doubles to 5 s. All of the pause is random, not a part
/// of it: of those who failed together nobody should try together with many others again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    spread: Duration,
}

impl Backoff {
    /// The pause after one more failure; `random` is uniform.
    pub fn next(&mut self, random: u64) -> Duration {
        let bound = match self.failures {
            0 => FIRST.max(self.spread),
            failures => FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST),
        };
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(random as f64 / u64::MAX as f64)
    }

    /// It worked. The next first pause is up to `spread` long, at least up to 100 ms and at most up to
    /// 30 s: whoever serves many knows how many at a time may come back to it.
    pub fn reset(&mut self, spread: Duration) {
        self.failures = 0;
        self.spread = spread.min(WIDEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next(u64::MAX).as_millis()).collect()
    }

    #[test]
    fn bounds_double_to_a_limit_and_start_again_after_a_success() {
        let mut backoff = Backoff::default();
        let doubling = [100, 200, 400, 800, 1600, 3200, 5000, 5000];
        assert_eq!(bounds(&mut backoff, 8), doubling);
        backoff.reset(Duration::ZERO);
        assert_eq!(bounds(&mut backoff, 1), [100]);
    }

    #[test]
    fn all_of_a_pause_is_random() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(u64::MAX / 4).as_millis(), 50);
    }

    #[test]
    fn only_the_first_pause_is_spread_and_not_without_end() {
        let mut backoff = Backoff::default();
        backoff.reset(Duration::from_secs(2));
        assert_eq!(bounds(&mut backoff, 3), [2000, 200, 400]);
        backoff.reset(Duration::from_secs(3600));
        assert_eq!(bounds(&mut backoff, 1), [30_000]);
    }
}
