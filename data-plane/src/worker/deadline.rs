//! Coarse deadlines: a thousand of them cost one look each per tick, and nothing per request but a
//! slot in a table.
//!
//! For limits that are seconds long and nearly never reached. What a route sets for itself uses a
//! timer of the runtime, which costs more and is exact.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use slab::Slab;

/// Time between two ticks, and how late a deadline may be.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// All deadlines of a worker.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Ticks so far.
    now: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    due: u64,
    waker: Option<Waker>,
}

/// One deadline; gone when dropped.
#[derive(Debug)]
pub(crate) struct Deadline {
    all: Rc<Deadlines>,
    key: usize,
}

/// A deadline was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

impl Deadlines {
    /// A deadline `after` now.
    pub(crate) fn after(self: &Rc<Self>, after: Duration) -> Deadline {
        let due = self.due(after);
        let key = self.entries.borrow_mut().insert(Entry { due, waker: None });
        Deadline {
            all: Rc::clone(self),
            key,
        }
    }

    /// One tick has passed: wakes whoever is due.
    pub(crate) fn tick(&self) {
        self.now.set(self.now.get() + 1);
        self.wake(|entry, now| entry.due <= now);
    }

    /// Wakes everybody who waits with a deadline, due or not: something else has changed.
    pub(crate) fn wake_all(&self) {
        self.wake(|_, _| true);
    }

    fn wake(&self, which: impl Fn(&Entry, u64) -> bool) {
        let now = self.now.get();
        for (_, entry) in self.entries.borrow_mut().iter_mut() {
            if which(entry, now)
                && let Some(waker) = entry.waker.take()
            {
                waker.wake();
            }
        }
    }

    fn due(&self, after: Duration) -> u64 {
        let ticks = after.as_millis().div_ceil(TICK.as_millis());
        // One more: the tick under way has already begun.
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1);
        self.now.get().saturating_add(ticks)
    }
}

impl Deadline {
    /// Those that it is one of.
    pub(crate) fn all(&self) -> &Rc<Deadlines> {
        &self.all
    }

    /// Moves it to `after` now.
    pub(crate) fn reset(&self, after: Duration) {
        let due = self.all.due(after);
        self.set(due);
    }

    /// It is never reached, until reset.
    pub(crate) fn disarm(&self) {
        self.set(u64::MAX);
    }

    /// Ready once it is reached.
    pub(crate) fn poll_elapsed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut entries = self.all.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else {
            return Poll::Ready(());
        };
        if entry.due <= self.all.now.get() {
            return Poll::Ready(());
        }
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Runs `future`, until the deadline.
    ///
    /// # Errors
    /// When the deadline came first.
    pub(crate) async fn limit<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_elapsed(cx).map(|()| Err(Elapsed)),
        })
        .await
    }

    fn set(&self, due: u64) {
        if let Some(entry) = self.all.entries.borrow_mut().get_mut(self.key) {
            entry.due = due;
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.entries.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_at_most_a_tick_late() {
        let deadlines = Rc::new(Deadlines::default());
        let deadline = deadlines.after(TICK * 2);
        let mut waiting = Box::pin(deadline.limit(pending::<()>()));
        for _ in 0..2 {
            deadlines.tick();
            assert_eq!(waiting.as_mut().now_or_never(), None);
        }
        deadlines.tick();
        assert_eq!(waiting.as_mut().now_or_never(), Some(Err(Elapsed)));
    }

    #[test]
    fn what_is_done_in_time_is_handed_on() {
        let deadlines = Rc::new(Deadlines::default());
        let done = deadlines.after(TICK).limit(async { 7 }).now_or_never();
        assert_eq!(done, Some(Ok(7)));
        assert!(deadlines.entries.borrow().is_empty());
    }

    #[test]
    fn a_deadline_can_be_moved_and_taken_away() {
        let deadlines = Rc::new(Deadlines::default());
        let deadline = deadlines.after(TICK);
        deadline.disarm();
        (0..100).for_each(|_| deadlines.tick());
        assert_eq!(deadline.limit(pending::<()>()).now_or_never(), None);
        deadline.reset(Duration::ZERO);
        deadlines.tick();
        assert_eq!(deadline.limit(pending::<()>()).now_or_never(), Some(Err(Elapsed)));
    }
}
