//! A client's connection, shared by the loop that serves it and by the body of its request.

mod closing;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use sluice_http1::{HeadScan, RequestHead};
use sluice_model::Limits;

use self::closing::LINGER;
use super::{
    body::{Remaining, Step},
    pipe::Pipe,
    upload::{Reader, Upload},
};
use crate::{
    request::Reason,
    transport::Transport,
    worker::{Connection, Deadline, Pace, Patience},
};

/// Read of a pipelining client while its request is under way; then it has to wait.
const MAX_AHEAD: usize = 16 * 1024;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Channel(RefCell<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) pipe: Pipe,
    pub(super) limits: Limits,
    pub(super) deadline: Deadline,
    receiving: Remaining,
    /// The client waits for 100 before it sends its body.
    awaited: bool,
    received: Patience,
    /// Counts requests and their ends: whose body it is that is being read.
    turn: u64,
    /// Who waits for the next piece of the body.
    reader: Reader,
    /// Who waits for the body to be read, to see from then on whether the client leaves.
    watcher: Option<Waker>,
    /// Of the answer under way.
    pub(super) taken: Pace,
    /// The client took an answer too slowly.
    pub(super) too_slow: bool,
    /// Most bytes of the body under way.
    max_body: u64,
}

/// Why no request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In good order, or the client is gone.
    Quiet,
    /// The client is to be told.
    Refused(Reason),
}

impl Channel {
    pub(crate) fn new(transport: Transport, ahead: BytesMut, limits: Limits, deadline: Deadline) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Inner {
            received: Patience::new(deadline.all(), limits.body_timeout, limits.body_min_rate),
            turn: 0,
            reader: Reader::default(),
            watcher: None,
            pipe: Pipe::new(transport, ahead),
            deadline,
            limits,
            receiving: Remaining::Nothing,
            awaited: false,
            taken: Pace::default(),
            too_slow: false,
            max_body: u64::MAX,
        })))
    }

    /// Does something with the connection, between two polls.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.borrow_mut())
    }

    /// The head of the next request.
    pub(super) async fn head(&self, connection: &Connection) -> Result<RequestHead, End> {
        let mut scan = HeadScan::default();
        let mut blank = false;
        let first = connection.is_first();
        if !first {
            self.with(|inner| match inner.pipe.input.is_empty() {
                true => inner.deadline.reset(inner.limits.idle_timeout),
                false => inner.deadline.reset(inner.limits.head_timeout),
            });
        }
        poll_fn(|cx| {
            let inner = &mut *self.0.borrow_mut();
            loop {
                if let Some(head) = inner.parse(&mut scan, &mut blank).map_err(End::Refused)? {
                    inner.deadline.disarm();
                    return Poll::Ready(Ok(head));
                }
                let idle = inner.pipe.input.is_empty();
                match inner.pipe.poll_fill(cx) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(End::Quiet)),
                    Poll::Ready(Ok(_)) if idle && !first => inner.deadline.reset(inner.limits.head_timeout),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending => {
                        if idle {
                            inner.pipe.rest();
                        }
                        return match inner.deadline.poll_elapsed(cx) {
                            Poll::Ready(()) if idle => Poll::Ready(Err(End::Quiet)),
                            Poll::Ready(()) => Poll::Ready(Err(End::Refused(Reason::HeadTimeout))),
                            Poll::Pending if idle && connection.port.is_closing() => {
                                Poll::Ready(Err(End::Quiet))
                            }
                            Poll::Pending => Poll::Pending,
                        };
                    }
                }
            }
        })
        .await
    }

    /// What came is no request: whatever follows is nothing that could be read.
    pub(super) fn give_up(&self) {
        self.with(|inner| inner.receiving = Remaining::UntilClose);
    }

    /// The request whose head was read begins. Returns its body.
    pub(super) fn begin(self: &Rc<Self>, head: &RequestHead) -> Upload {
        self.with(|inner| {
            inner.receiving = head.length.into();
            inner.awaited = head.expects_continue;
            inner.received.reset();
            inner.taken = Pace::default();
            inner.max_body = inner.limits.body_bytes;
            inner.turn += 1;
        });
        Upload::new(self, self.with(|inner| inner.turn))
    }

    /// The request is over: whoever still holds its body gets nothing more of it, and is told.
    pub(super) fn take_back(&self) {
        self.with(|inner| {
            inner.turn += 1;
            inner.reader = Reader::default();
        });
    }

    /// Whether the request of `turn` is under way.
    pub(super) fn is_at(&self, turn: u64) -> bool {
        self.with(|inner| inner.turn == turn)
    }

    /// Most bytes that the body under way may have.
    ///
    /// # Errors
    /// When it says itself that it has more.
    pub(super) fn limit_body(&self, bytes: u64) -> Result<(), Reason> {
        self.with(|inner| {
            inner.max_body = bytes;
            match inner.receiving.size_hint().exact() {
                Some(length) if length > bytes => Err(Reason::BodyTooLarge),
                _ => Ok(()),
            }
        })
    }

    /// The next piece of the request's body.
    ///
    /// # Errors
    /// When it breaks off, is malformed, too large or too slow.
    pub(super) fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        let inner = &mut *self.0.borrow_mut();
        let polled = inner.poll_frame(cx);
        if polled.is_pending() {
            inner.reader.set(cx);
        } else if inner.receiving.is_done() {
            inner.reader.forget();
            if let Some(watcher) = inner.watcher.take_if(|watcher| !watcher.will_wake(cx.waker())) {
                watcher.wake();
            }
        }
        polled
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.0.borrow().receiving.size_hint()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.0.borrow().receiving.is_done()
    }

    /// Ready when the client has gone while its request is under way. What it sends ahead is kept,
    /// within bounds.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.0.borrow_mut();
        // Somebody has to be woken when the port closes.
        let _ = inner.deadline.poll_elapsed(cx);
        if !inner.receiving.is_done() {
            // Whoever reads the body will see it.
            inner
                .watcher
                .get_or_insert_with(|| cx.waker().clone())
                .clone_from(cx.waker());
            return Poll::Pending;
        }
        while inner.pipe.input.len() < MAX_AHEAD {
            match ready!(inner.pipe.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Reads the rest of a body that nobody wants, if there is little of it. Whether that was all.
    pub(super) async fn skip_body(&self) -> bool {
        let mut left = LINGER.0;
        poll_fn(|cx| {
            while let Some(frame) = ready!(self.poll_frame(cx)) {
                let Ok(frame) = frame else {
                    return Poll::Ready(false);
                };
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => return Poll::Ready(false),
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// The connection itself, for the other protocol that it becomes.
    pub(super) fn into_pipe(self: Rc<Self>) -> Option<Pipe> {
        Rc::into_inner(self).map(|channel| channel.0.into_inner().pipe)
    }
}

impl Inner {
    fn parse(&mut self, scan: &mut HeadScan, blank: &mut bool) -> Result<Option<RequestHead>, Reason> {
        let limits = sluice_http1::HeadLimits {
            bytes: self.limits.header_bytes as usize,
            lines: self.limits.header_count as usize,
            target: self.limits.uri_bytes as usize,
        };
        loop {
            let input = &mut self.pipe.input;
            let Some(length) = scan.advance(input, &limits)? else {
                return Ok(None);
            };
            *scan = HeadScan::default();
            if !*blank && RequestHead::is_blank(&input[..length]) {
                *blank = true;
                input.advance(length);
                continue;
            }
            let head = input.split_to(length).freeze();
            return Ok(Some(RequestHead::read(&head, &limits)?));
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        if std::mem::take(&mut self.awaited) {
            // RFC 9110 section 10.1.1. Written here, as whoever reads may be another task than the
            // loop's. What is left, and errors, are the loop's.
            self.pipe.output.extend_from_slice(CONTINUE);
            if self.pipe.poll_drain(cx).is_pending() {
                self.watcher.iter().for_each(Waker::wake_by_ref);
            }
        }
        loop {
            match self.receiving.take(&mut self.pipe.input) {
                Ok(Step::Frame(frame)) => {
                    self.count(&frame)?;
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::Read) => {}
                Err(error) => return Poll::Ready(Some(Err(error.into()))),
            }
            match self.pipe.poll_fill(cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Some(Err(Reason::RequestBody))),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => {
                    ready!(self.received.poll_late(cx));
                    return Poll::Ready(Some(Err(Reason::BodyTimeout)));
                }
            }
        }
    }

    /// Counts a piece of the request's body.
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Reason> {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let fast = self.received.came(length);
        match (self.received.bytes() > self.max_body, self.receiving.is_done()) {
            (true, _) => Err(Reason::BodyTooLarge),
            (false, true) => {
                self.received.reset();
                Ok(())
            }
            (false, false) if !fast => Err(Reason::BodyTooSlow),
            (false, false) => Ok(()),
        }
    }

    /// The answer begins: whoever reads the body from now on must not ask the client for it.
    pub(super) fn stop_asking(&mut self) {
        self.awaited = false;
    }

    /// Whether another request can follow: the body has been read, or will be soon.
    pub(super) fn can_go_on(&self) -> bool {
        let little = |length: u64| length <= self.max_body.min(LINGER.0 as u64);
        self.receiving.is_done() || !self.awaited && self.receiving.size_hint().exact().is_some_and(little)
    }

    /// Writes what is to be written; the client must keep taking it.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pipe.is_drained() {
            return Poll::Ready(Ok(()));
        }
        let before = self.pipe.left();
        if let Poll::Ready(done) = self.pipe.poll_drain(cx) {
            self.taken.moved(before as u64, 0);
            return Poll::Ready(done);
        }
        let moved = before - self.pipe.left();
        if moved != 0 || !self.taken.is_waiting() {
            self.deadline.reset(self.limits.body_timeout);
            self.too_slow |= !self.taken.moved(moved as u64, self.limits.response_min_rate);
            self.taken.wait();
        }
        self.too_slow |= self.deadline.poll_elapsed(cx).is_ready();
        match self.too_slow {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}
