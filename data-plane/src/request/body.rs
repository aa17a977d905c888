//! Bodies on their way through: passed on frame by frame, never gathered.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use sluice_http1::Facts;
use tokio::time::Sleep;

use super::{
    Reason,
    exchange::{Exchange, Sent},
    http2_body::Http2Body,
    mirror::{Copied, Tee},
};
use crate::{http1::Upload, upstream::UpstreamBody, worker::Offer};

/// A request's body as its connection has it, with what is known of the head.
pub(crate) enum Arriving {
    Http1(Upload, Facts),
    Http2(Incoming),
}

/// A request's body on its way upstream.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    Http1(Upload, Rc<Sent>),
    Http2(Box<Http2Body>, Rc<Sent>),
    /// Sent to mirrors, too.
    Teed(Box<Tee>),
    /// A mirror's.
    Copied(Copied),
}

/// An answer's body on its way to the client. Whatever becomes of it, its [`Exchange`] is finished
/// when it ends or is dropped.
pub(crate) struct ResponseBody {
    content: Content,
    exchange: Option<Box<Exchange>>,
    /// The last piece waits for the client; over HTTP/2 alone.
    offer: Option<Offer>,
}

enum Content {
    Empty,
    Text(Bytes),
    Upstream(UpstreamBody),
    /// With the end of the time that the rule gives.
    Timed(UpstreamBody, Pin<Box<Sleep>>, Reason),
}

/// Why a body broke off.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{}", .0.detail())]
pub(crate) struct BodyError(Reason);

impl BodyError {
    pub(crate) fn reason(&self) -> Reason {
        self.0
    }
}

impl Arriving {
    /// What of the head concerns a proxy.
    pub(super) fn facts(&self, headers: &http::HeaderMap) -> Facts {
        match self {
            Self::Http1(_, facts) => *facts,
            Self::Http2(_) => Facts::of(headers),
        }
    }

    /// Whether there is no body.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Http1(upload, _) => upload.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }
}

impl RequestBody {
    /// The next piece of it.
    ///
    /// # Errors
    /// What is wrong with it, or with the client.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        let (frame, sent) = match self {
            Self::Empty => return Poll::Ready(None),
            Self::Teed(tee) => return tee.poll_next(cx),
            Self::Copied(copy) => return copy.poll_next(cx),
            Self::Http1(upload, sent) => {
                sent.touched.set(true);
                (ready!(upload.poll_frame(cx)), sent)
            }
            Self::Http2(body, sent) => {
                sent.touched.set(true);
                (ready!(body.poll_frame(cx)), sent)
            }
        };
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        let bytes = sent.bytes.get() + data.map_or(0, |data| data.len() as u64);
        sent.bytes.set(bytes);
        let frame = match frame {
            // Over HTTP/1 the connection has seen to it.
            Some(Ok(_)) if bytes > sent.limit.get() => Some(Err(Reason::BodyTooLarge)),
            frame => frame,
        };
        if let Some(Err(reason)) = frame {
            sent.fault.set(Some(reason));
        }
        Poll::Ready(frame)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_next(cx).map_err(BodyError)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(upload, _) => upload.is_end_stream(),
            Self::Http2(body, _) => body.is_end_stream(),
            Self::Teed(tee) => tee.body().is_end_stream(),
            Self::Copied(copy) => copy.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(upload, _) => upload.size_hint(),
            Self::Http2(body, _) => body.size_hint(),
            Self::Teed(tee) => tee.body().size_hint(),
            Self::Copied(copy) => copy.length().map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl ResponseBody {
    /// Nothing. The exchange ends with its head.
    pub(super) fn empty() -> Self {
        Self {
            content: Content::Empty,
            exchange: None,
            offer: None,
        }
    }

    /// A text of our own.
    pub(super) fn text(exchange: Box<Exchange>, text: Bytes) -> Self {
        Self {
            content: Content::Text(text),
            offer: exchange.offer(),
            exchange: Some(exchange),
        }
    }

    /// Nothing; the exchange goes on as another protocol.
    pub(super) fn switch(exchange: Box<Exchange>) -> Self {
        Self {
            content: Content::Empty,
            exchange: Some(exchange),
            offer: None,
        }
    }

    /// What goes on behind the head of an answer that switches protocols.
    pub(crate) fn into_exchange(self) -> Option<Box<Exchange>> {
        self.exchange
    }

    /// What the upstream sends, as long as there is time.
    pub(super) fn upstream(mut exchange: Box<Exchange>, body: UpstreamBody) -> Self {
        if body.is_end_stream(exchange.lease()) {
            exchange.complete();
            return Self::empty();
        }
        let content = match exchange.limit() {
            None => Content::Upstream(body),
            Some(limit) => Content::Timed(body, Box::pin(tokio::time::sleep_until(limit.at)), limit.reason),
        };
        Self {
            content,
            offer: exchange.offer(),
            exchange: Some(exchange),
        }
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = match &mut self.content {
            Content::Empty => return Poll::Ready(None),
            Content::Text(text) => {
                let text = std::mem::take(text);
                self.content = Content::Empty;
                return Poll::Ready(Some(Ok(Frame::data(text))));
            }
            Content::Upstream(body) => body,
            Content::Timed(body, sleep, reason) => {
                if sleep.as_mut().poll(cx).is_ready() {
                    let reason = *reason;
                    return Poll::Ready(Some(Err(self.break_off(reason))));
                }
                body
            }
        };
        let lease = self.exchange.as_mut().and_then(|exchange| exchange.lease_mut());
        let frame = ready!(body.poll_frame(lease, cx));
        Poll::Ready(frame.map(|frame| frame.map_err(|reason| self.break_off(reason))))
    }

    fn break_off(&mut self, reason: Reason) -> BodyError {
        if let Some(mut exchange) = self.exchange.take() {
            exchange.broken(reason);
        }
        BodyError(reason)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // The client has room.
        self.offer = None;
        let frame = ready!(self.poll_upstream(cx));
        if let (Some(Ok(frame)), Some(exchange)) = (&frame, &mut self.exchange) {
            exchange.passed(frame.data_ref().map_or(0, Bytes::len));
        }
        // A body of known length has ended with its last byte: nobody will ask for more.
        if (frame.is_none() || self.is_end_stream())
            && let Some(mut exchange) = self.exchange.take()
        {
            exchange.complete();
        }
        self.offer = self.exchange.as_ref().and_then(|exchange| exchange.offer());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let lease = self.exchange.as_ref().and_then(|exchange| exchange.lease());
        match &self.content {
            Content::Empty => true,
            Content::Text(_) => false,
            Content::Upstream(body) | Content::Timed(body, ..) => body.is_end_stream(lease),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let lease = self.exchange.as_ref().and_then(|exchange| exchange.lease());
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Text(text) => SizeHint::with_exact(text.len() as u64),
            Content::Upstream(body) | Content::Timed(body, ..) => body.size_hint(lease),
        }
    }
}
