//! A request's body that comes over HTTP/2, and the time that its client has for it. Over HTTP/1 the
//! connection sees to that.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use sluice_http1::retain_trailers;

use super::Reason;
use crate::worker::Patience;

/// The body.
#[derive(Debug)]
pub(crate) struct Http2Body {
    body: Incoming,
    patience: Patience,
}

impl Http2Body {
    pub(super) fn new(body: Incoming, patience: Patience) -> Box<Self> {
        Box::new(Self { body, patience })
    }

    /// The next piece of it.
    ///
    /// # Errors
    /// When it breaks off, or comes too slowly.
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.patience.poll_late(cx));
            return Poll::Ready(Some(Err(Reason::BodyTimeout)));
        };
        let mut frame = frame.transpose().map_err(|_| Reason::RequestBody)?;
        if let Some(trailers) = frame.as_mut().and_then(Frame::trailers_mut) {
            retain_trailers(trailers);
        }
        let data = frame.as_ref().and_then(Frame::data_ref);
        let fast = self.patience.came(data.map_or(0, Bytes::len));
        Poll::Ready(match frame {
            Some(_) if !fast && !self.body.is_end_stream() => Some(Err(Reason::BodyTooSlow)),
            frame => frame.map(Ok),
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
