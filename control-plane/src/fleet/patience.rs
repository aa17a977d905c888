//! How long a proxy may take for an update: 30 s to answer, and the time in which a slow line takes it.
//!
//! A proxy that takes 64 KiB/s gets everything, however much that is. One that takes less in any 30 s is not
//! waited for until all of that time is over, if others wait for the turn that it has. A difference goes to all
//! proxies at once, and what is slow then may be the line of the control plane: there it is enough that something
//! is taken.

use std::time::Duration;

use tokio::time::Instant;

/// Longest wait for the Hello.
const HELLO: Duration = Duration::from_secs(10);
/// Longest wait for the answer to an update that is taken, and how often it is looked whether it is.
const ANSWER: Duration = Duration::from_secs(30);
/// The slowest line that gets everything, in bytes per second.
const FLOOR: u64 = 64 * 1024;

/// One update that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Bytes that were not taken when that was looked at last.
    left: u64,
    next: Instant,
    end: Instant,
    has_turn: bool,
}

/// Why a proxy is waited for no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Answer,
    /// It does not take what it is sent.
    Pace,
}

impl Patience {
    /// For an update that leaves so many bytes to be taken, by a proxy that has a turn or has not.
    pub(super) fn new(left: u64, has_turn: bool, now: Instant) -> Self {
        Self {
            left,
            next: now + ANSWER,
            end: now + ANSWER + Duration::from_secs(left / FLOOR),
            has_turn,
        }
    }

    /// For a Hello: nothing has to be taken for that.
    pub(super) fn for_hello(now: Instant) -> Self {
        Self {
            left: 0,
            next: now + HELLO,
            end: now + HELLO,
            has_turn: false,
        }
    }

    /// When [`Patience::check`] is due.
    pub(super) fn deadline(&self) -> Instant {
        self.next.min(self.end)
    }

    /// Whether to wait on, now that so many bytes are left.
    pub(super) fn check(&mut self, left: u64, now: Instant) -> Result<(), Missed> {
        let taken = self.left.saturating_sub(left);
        if !self.has_turn && taken > 0 && now >= self.deadline() {
            (self.left, self.next) = (left, now + ANSWER);
            self.end = self.end.max(self.next);
        }
        if now >= self.end {
            return Err(Missed::Answer);
        }
        if now >= self.next {
            if left > 0 && taken < FLOOR * ANSWER.as_secs() {
                return Err(Missed::Pace);
            }
            (self.left, self.next) = (left, now + ANSWER);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many seconds a proxy is given up that takes `rate` bytes per second of `bytes`, and
    /// never answers.
    fn given_up(bytes: u64, rate: u64, has_turn: bool) -> (u64, Missed) {
        let began = Instant::now();
        let mut patience = Patience::new(bytes, has_turn, began);
        loop {
            let now = patience.deadline();
            let passed = now.duration_since(began).as_secs();
            if let Err(missed) = patience.check(bytes.saturating_sub(rate * passed), now) {
                return (passed, missed);
            }
        }
    }

    #[test]
    fn a_proxy_has_time_by_what_it_is_sent_as_long_as_it_takes_it() {
        assert_eq!(given_up(300, 0, true), (30, Missed::Answer));
        assert_eq!(given_up(300, 300, true), (30, Missed::Answer));
        let large = 100 * 30 * FLOOR;
        assert_eq!(given_up(large, 0, true), (30, Missed::Pace));
        assert_eq!(given_up(large, FLOOR - 1, true), (30, Missed::Pace));
        assert_eq!(given_up(large, FLOOR, true), (3_030, Missed::Answer));
        assert_eq!(given_up(large, 1 << 30, true), (3_030, Missed::Answer));
    }

    #[test]
    fn a_difference_is_taken_as_slowly_as_the_line_of_the_control_plane_has_it() {
        let large = 10 * 30 * FLOOR;
        assert_eq!(given_up(large, 0, false), (30, Missed::Pace));
        // An eighth of the floor: 2,400 s, and 30 s for the answer.
        assert_eq!(given_up(large, FLOOR / 8, false), (2_430, Missed::Answer));
        assert_eq!(given_up(300, 0, false), (30, Missed::Answer));
    }

    #[test]
    fn a_proxy_that_stops_to_take_is_given_up_within_a_minute() {
        let (began, large) = (Instant::now(), 100 * 30 * FLOOR);
        let mut patience = Patience::new(large, true, began);
        let half = large / 2;
        assert_eq!(patience.check(half, began + ANSWER), Ok(()));
        assert_eq!(patience.check(half, began + ANSWER * 3 / 2), Ok(()), "not due");
        assert_eq!(patience.deadline(), began + 2 * ANSWER);
        assert_eq!(patience.check(half, patience.deadline()), Err(Missed::Pace));
    }
}
