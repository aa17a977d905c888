//! A connection to an endpoint, lent to one request at a time.
//!
//! It has no task of its own: whoever waits for the answer also sends the rest of the request, and
//! hears at once when the endpoint closes.

use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, header::CONTENT_LENGTH};
use http_body::{Body as _, Frame, SizeHint};
use sluice_http1::{
    Answered, Framing, HeadLimits, HeadScan, ResponseHead, write_chunk_head, write_last_chunk, write_request,
};

use super::{
    body::{Remaining, Step},
    pipe::Pipe,
};
use crate::{
    request::{Reason, RequestBody},
    transport::Transport,
};

/// Bounds on an endpoint's heads.
const LIMITS: HeadLimits = HeadLimits {
    bytes: 64 * 1024,
    lines: 256,
    target: usize::MAX,
};
/// Room for a head, so that it is written without growing the buffer.
const HEAD: usize = 1024;
/// Heads of 1xx before the one that counts.
const MAX_INTERIM: u32 = 16;

/// A head of 1xx that is not the answer yet.
pub(crate) type Interim<'a> = dyn FnMut(ResponseHead) + 'a;

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct Client {
    pipe: Pipe,
    sending: Sending,
    answered: Answered,
    scan: HeadScan,
    interim: u32,
    /// A byte of the answer has been seen.
    heard: bool,
    receiving: Remaining,
    persistent: bool,
}

/// What of the request is still to be sent.
#[derive(Debug)]
enum Sending {
    Nothing,
    Body {
        body: RequestBody,
        chunked: bool,
    },
    /// The endpoint takes no more of it; it may have answered before.
    Refused {
        /// Some of the body may have been lost.
        lossy: bool,
    },
}

impl Client {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            pipe: Pipe::new(transport, BytesMut::new()),
            sending: Sending::Nothing,
            answered: Answered::Other,
            scan: HeadScan::default(),
            interim: 0,
            heard: false,
            receiving: Remaining::Nothing,
            persistent: true,
        }
    }

    /// Begins a request. Its body is taken; its head is only looked at.
    pub(crate) fn begin(&mut self, request: &mut Request<RequestBody>) {
        self.answered = Answered::from(request.method());
        self.scan = HeadScan::default();
        (self.interim, self.heard, self.persistent) = (0, false, true);
        let body = request.body();
        let framing = match (body.size_hint().exact(), body.is_end_stream()) {
            // GET and the like have no body and say nothing; POST says that it is empty.
            (_, true) if !request.headers().contains_key(CONTENT_LENGTH) => Framing::Silent,
            (Some(length), _) => Framing::Length(length),
            (None, _) => Framing::Chunked,
        };
        let uri = request.uri();
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        self.pipe.output.reserve(HEAD);
        write_request(
            &mut self.pipe.output,
            request.method(),
            target,
            request.headers(),
            framing,
        );
        self.sending = match body.is_end_stream() {
            true => Sending::Nothing,
            false => Sending::Body {
                body: std::mem::replace(request.body_mut(), RequestBody::Empty),
                chunked: framing == Framing::Chunked,
            },
        };
    }

    /// The head of the answer.
    ///
    /// # Errors
    /// When there is none, or none that can be trusted.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        interim: &mut Interim<'_>,
    ) -> Poll<Result<ResponseHead, Reason>> {
        loop {
            self.poll_send(cx)?;
            if let Some(head) = self.parse()? {
                match head.status {
                    StatusCode::SWITCHING_PROTOCOLS => {
                        if !self.is_sent() {
                            return Poll::Ready(Err(Reason::UpstreamMalformed));
                        }
                        // Asked for or not: it speaks no HTTP any more.
                        self.persistent = false;
                        return Poll::Ready(Ok(head));
                    }
                    status if !status.is_informational() => {
                        self.persistent = head.persistent;
                        self.receiving = head.length.into();
                        return Poll::Ready(Ok(head));
                    }
                    _ => {
                        self.interim += 1;
                        if self.interim > MAX_INTERIM {
                            return Poll::Ready(Err(Reason::UpstreamMalformed));
                        }
                        interim(head);
                        continue;
                    }
                }
            }
            match ready!(self.pipe.poll_fill(cx)) {
                Ok(0) | Err(_) if self.heard => return Poll::Ready(Err(Reason::UpstreamTruncated)),
                Ok(0) | Err(_) => return Poll::Ready(Err(Reason::UpstreamReset)),
                Ok(_) => self.heard = true,
            }
        }
    }

    fn parse(&mut self) -> Result<Option<ResponseHead>, Reason> {
        let malformed = |error| {
            tracing::debug!(%error, "malformed answer");
            Reason::UpstreamMalformed
        };
        let input = &mut self.pipe.input;
        let Some(length) = self.scan.advance(input, &LIMITS).map_err(malformed)? else {
            return Ok(None);
        };
        self.scan = HeadScan::default();
        let head = input.split_to(length).freeze();
        ResponseHead::read(&head, self.answered)
            .map(Some)
            .map_err(malformed)
    }

    /// The next piece of the answer's body; `None` at its end.
    ///
    /// # Errors
    /// When it breaks off before its end, or is malformed.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        loop {
            // The client may still be sending, and the answer may depend on what it sends.
            self.poll_send(cx)?;
            match self.receiving.take(&mut self.pipe.input) {
                Ok(Step::Frame(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(Step::End) => return Poll::Ready(None),
                Ok(Step::Read) => {}
                Err(error) => {
                    tracing::debug!(%error, "malformed answer");
                    return Poll::Ready(Some(Err(Reason::UpstreamMalformed)));
                }
            }
            match ready!(self.pipe.poll_fill(cx)) {
                Ok(0) if self.receiving.close() => return Poll::Ready(None),
                Ok(0) | Err(_) => return Poll::Ready(Some(Err(Reason::UpstreamTruncated))),
                Ok(_) => {}
            }
        }
    }

    /// Sends what can be sent right now.
    ///
    /// # Errors
    /// What is wrong with the client's body. That the endpoint takes no more is no error: its
    /// answer tells, or that there is none.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        if matches!(self.sending, Sending::Nothing) && self.pipe.is_drained() {
            return Ok(());
        }
        loop {
            let waiting = self.gather(cx)?;
            match self.pipe.poll_drain(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => {
                    if !matches!(self.sending, Sending::Refused { .. }) {
                        let lossy = matches!(self.sending, Sending::Body { .. });
                        self.sending = Sending::Refused { lossy };
                    }
                    self.pipe.discard();
                    return Ok(());
                }
                Poll::Ready(Ok(())) if waiting || !matches!(self.sending, Sending::Body { .. }) => {
                    return Ok(());
                }
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    /// Takes as much of the request's body as may wait to be written. Whether more is to come that
    /// is not there yet.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, Reason> {
        while self.pipe.has_room()
            && let Sending::Body { body, chunked } = &mut self.sending
        {
            let Poll::Ready(frame) = body.poll_next(cx) else {
                return Ok(true);
            };
            let chunked = *chunked;
            match frame.transpose()? {
                None => {
                    if chunked {
                        write_last_chunk(&mut self.pipe.output, None);
                    }
                    self.sending = Sending::Nothing;
                }
                Some(frame) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) if chunked => {
                        write_chunk_head(&mut self.pipe.output, data.len());
                        self.pipe.put(data, b"\r\n");
                    }
                    Ok(data) => self.pipe.put(data, b""),
                    Err(frame) => {
                        if chunked {
                            write_last_chunk(&mut self.pipe.output, frame.trailers_ref());
                        }
                        self.sending = Sending::Nothing;
                    }
                },
            }
        }
        Ok(false)
    }

    /// Takes back what [`Client::begin`] took. Whether `request` is then as it was, but for what was
    /// read of its body.
    pub(crate) fn give_up(&mut self, request: &mut Request<RequestBody>) -> bool {
        match std::mem::replace(&mut self.sending, Sending::Refused { lossy: true }) {
            Sending::Body { body, .. } => {
                *request.body_mut() = body;
                true
            }
            Sending::Nothing => true,
            Sending::Refused { lossy } => !lossy,
        }
    }

    /// What is known of the rest of the answer's length.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.receiving.size_hint()
    }

    /// Whether the answer has been read to its end.
    pub(crate) fn is_done(&self) -> bool {
        self.receiving.is_done()
    }

    /// Whether the next request may be sent: both messages are complete, and nothing follows them.
    pub(crate) fn is_reusable(&self) -> bool {
        self.persistent && self.is_sent() && self.is_done() && self.pipe.input.is_empty()
    }

    /// Whether the whole request is on its way.
    fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Nothing) && self.pipe.is_drained()
    }

    /// Lets go of what an idle connection does not need.
    pub(crate) fn rest(&mut self) {
        self.pipe.rest();
    }

    /// Whether an idle connection still stands: not closed, and silent. Asks the runtime, which
    /// knows without a system call as long as nothing happens.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.pipe.poll_fill(&mut cx).is_pending()
    }

    /// Everything that came and comes, for the other protocol that the connection has become.
    pub(crate) fn into_pipe(self) -> Pipe {
        self.pipe
    }
}
