//! How fast a client is, while it is waited for.

use std::time::Duration;

use tokio::time::Instant;

/// Time before an average says anything.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes by the time they were waited for: what somebody else is waited for does not count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    bytes: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl Pace {
    /// The client is waited for from now on, if it was not already.
    pub(crate) fn wait(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Bytes were moved, and the client is waited for no more. Whether it was fast enough so far:
    /// `rate` is in bytes per second.
    pub(crate) fn moved(&mut self, bytes: u64, rate: u64) -> bool {
        self.bytes += bytes;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.waited < GRACE || u128::from(self.bytes) * 1000 >= u128::from(rate) * self.waited.as_millis()
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_time_that_a_client_was_waited_for_counts() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            advance(Duration::from_secs(100)).await;
            pace.wait();
            advance(Duration::from_secs(1)).await;
            assert!(pace.moved(10, 10));
        }
        pace.wait();
        advance(Duration::from_secs(1)).await;
        assert!(!pace.moved(9, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_seconds_say_nothing() {
        let mut pace = Pace::default();
        pace.wait();
        advance(GRACE - Duration::from_millis(1)).await;
        assert!(pace.moved(0, 1_000_000));
        pace.wait();
        advance(Duration::from_millis(1)).await;
        assert!(!pace.moved(0, 1_000_000));
    }
}
