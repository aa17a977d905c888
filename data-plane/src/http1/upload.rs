//! A request's body, for whoever reads it: that may be another task than the connection's, and it may
//! go on for longer than the request.

use std::{
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::channel::Channel;
use crate::request::Reason;

/// The body of one request. Once that is answered, it gives nothing more: what comes then belongs to
/// the next one. It does not keep the connection open.
#[derive(Debug)]
pub(crate) struct Upload {
    channel: Weak<Channel>,
    turn: u64,
}

/// Who waits for a piece of a body; woken when there is none to wait for any more.
#[derive(Debug, Default)]
pub(super) struct Reader(Option<Waker>);

impl Reader {
    pub(super) fn set(&mut self, cx: &Context<'_>) {
        match &mut self.0 {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// It has all that there is.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

impl Upload {
    /// That of the request that `channel` is at.
    pub(super) fn new(channel: &Rc<Channel>, turn: u64) -> Self {
        Self {
            channel: Rc::downgrade(channel),
            turn,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Channel) -> T) -> Option<T> {
        let channel = self.channel.upgrade()?;
        channel.is_at(self.turn).then(|| work(&channel))
    }

    /// The next piece of it.
    ///
    /// # Errors
    /// When it breaks off, is malformed, too large or too slow, or its request is over.
    pub(crate) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        self.with(|channel| channel.poll_frame(cx))
            .unwrap_or(Poll::Ready(Some(Err(Reason::RequestBody))))
    }

    /// Most bytes that it may have.
    ///
    /// # Errors
    /// When it says itself that it has more.
    pub(crate) fn limit(&self, bytes: u64) -> Result<(), Reason> {
        self.with(|channel| channel.limit_body(bytes)).unwrap_or(Ok(()))
    }

    /// What is known of the rest of its length.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.with(Channel::size_hint).unwrap_or_default()
    }

    /// Whether it is known to have ended.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.with(Channel::is_end_stream).unwrap_or(false)
    }
}
