//! How long a client is waited for.

use std::{
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use super::{Deadline, Deadlines, Pace};

/// A client that sends a body: each piece has to come in time, and all of them at a rate.
///
/// It has a deadline of its own, as whoever reads the body may be another task than its connection's.
#[derive(Debug)]
pub(crate) struct Patience {
    pace: Pace,
    rate: u64,
    timeout: Duration,
    deadlines: Rc<Deadlines>,
    /// Made when the client is first waited for.
    deadline: Option<Deadline>,
}

impl Patience {
    /// For a client that has `timeout` for each piece and sends `rate` bytes per second.
    pub(crate) fn new(deadlines: &Rc<Deadlines>, timeout: Duration, rate: u64) -> Self {
        Self {
            pace: Pace::default(),
            rate,
            timeout,
            deadlines: Rc::clone(deadlines),
            deadline: None,
        }
    }

    /// Another body begins, or none is left.
    pub(crate) fn reset(&mut self) {
        (self.pace, self.deadline) = (Pace::default(), None);
    }

    /// Nothing has come. Ready when that was so for too long.
    pub(crate) fn poll_late(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.pace.is_waiting() {
            self.pace.wait();
            match &self.deadline {
                Some(deadline) => deadline.reset(self.timeout),
                None => self.deadline = Some(self.deadlines.after(self.timeout)),
            }
        }
        self.deadline
            .as_ref()
            .map_or(Poll::Pending, |deadline| deadline.poll_elapsed(cx))
    }

    /// Bytes have come. Whether the client was fast enough so far.
    pub(crate) fn came(&mut self, bytes: usize) -> bool {
        self.pace.moved(bytes as u64, self.rate)
    }

    /// All bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.pace.bytes()
    }
}
