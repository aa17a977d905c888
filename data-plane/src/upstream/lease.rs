//! One request's use of an upstream connection.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use sluice_http1::{ResponseHead, retain_trailers};

use super::{InFlight, http2::Stream};
use crate::{
    http1::{Client, Interim, Pipe},
    request::{Reason, RequestBody},
};

/// A connection, or a place on one, for one request.
///
/// Dropping it takes the request back: an HTTP/1.1 connection is closed, an HTTP/2 stream reset.
#[derive(Debug)]
pub(crate) struct Lease {
    counted: InFlight,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Http1(Box<Client>),
    Http2(Stream),
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum UpstreamBody {
    /// Read from the lease that the answer came on.
    Http1,
    Http2(Incoming),
}

/// A request that got no response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendError {
    pub(crate) reason: Reason,
    /// The request is as it was, but for what was read of its body.
    pub(crate) whole: bool,
}

impl Lease {
    pub(super) fn http1(counted: InFlight, client: Box<Client>) -> Self {
        let link = Link::Http1(client);
        Self { counted, link }
    }

    pub(super) fn http2(counted: InFlight, stream: Stream) -> Self {
        let link = Link::Http2(stream);
        Self { counted, link }
    }

    /// Sends `request`; resolves with the head of the response. `keep` has the request kept for a
    /// second attempt where that costs something.
    ///
    /// # Errors
    /// What kept the response from coming.
    pub(crate) async fn send(
        &mut self,
        request: &mut Request<RequestBody>,
        keep: bool,
        interim: &mut Interim<'_>,
    ) -> Result<Response<UpstreamBody>, SendError> {
        match &mut self.link {
            Link::Http1(client) => {
                client.begin(request);
                match poll_fn(|cx| client.poll_head(cx, interim)).await {
                    Ok(head) => Ok(to_response(head)),
                    Err(reason) => {
                        let whole = client.give_up(request);
                        Err(SendError { reason, whole })
                    }
                }
            }
            Link::Http2(stream) => {
                let response = stream.send(request, keep).await?;
                Ok(response.map(UpstreamBody::Http2))
            }
        }
    }

    /// The response has been read to its end: the connection can take the next request.
    #[inline]
    pub(crate) fn give_back(self, now: Instant) {
        let Self { counted, link } = self;
        match link {
            Link::Http1(client) if client.is_reusable() => {
                if let Some(upstream) = counted.current() {
                    upstream.http1.put(client, now);
                }
            }
            Link::Http1(_) | Link::Http2(_) => {}
        }
    }

    /// The connection itself, for another protocol.
    pub(crate) fn into_pipe(self) -> Option<Pipe> {
        match self.link {
            Link::Http1(client) => Some(client.into_pipe()),
            Link::Http2(_) => None,
        }
    }

    fn client(&self) -> Option<&Client> {
        match &self.link {
            Link::Http1(client) => Some(client),
            Link::Http2(_) => None,
        }
    }
}

fn to_response(head: ResponseHead) -> Response<UpstreamBody> {
    let mut response = Response::new(UpstreamBody::Http1);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

impl UpstreamBody {
    /// The next piece of it, read from `lease`.
    ///
    /// # Errors
    /// When it breaks off.
    pub(crate) fn poll_frame(
        &mut self,
        lease: Option<&mut Lease>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        match (self, lease.map(|lease| &mut lease.link)) {
            (Self::Http1, Some(Link::Http1(client))) => client.poll_frame(cx),
            (Self::Http1, _) => Poll::Ready(None),
            (Self::Http2(body), _) => {
                let mut frame = ready!(Pin::new(body).poll_frame(cx));
                if let Some(Ok(frame)) = &mut frame
                    && let Some(trailers) = frame.trailers_mut()
                {
                    retain_trailers(trailers);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|error| super::http2::reason(&error))))
            }
        }
    }

    pub(crate) fn is_end_stream(&self, lease: Option<&Lease>) -> bool {
        match self {
            Self::Http1 => lease.and_then(Lease::client).is_none_or(Client::is_done),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self, lease: Option<&Lease>) -> SizeHint {
        match self {
            Self::Http1 => lease
                .and_then(Lease::client)
                .map_or(SizeHint::with_exact(0), Client::size_hint),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
