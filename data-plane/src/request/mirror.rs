//! Mirrors: copies of requests whose answers nobody sees.
//!
//! A copy costs the request nothing but the cloning of its head and of references to its body. It
//! never holds the request up: a mirror that takes its body too slowly loses it.

use std::{
    cell::Cell,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{
    Request,
    header::{CONNECTION, TE, UPGRADE},
};
use http_body::{Body as _, Frame};
use sluice_core::{BackendState, EndpointState, balance};
use sluice_http1::Facts;
use tokio::{sync::mpsc, task::spawn_local};

use super::{Reason, RequestBody, choose::Plan, headers};
use crate::worker::Worker;

/// Copies under way at a time, of one worker.
const MAX_COPIES: u32 = 1024;
/// Pieces of a body that wait for a mirror.
const MAX_WAITING: usize = 16;

/// A body that is read once and sent several times.
#[derive(Debug)]
pub(crate) struct Tee {
    body: RequestBody,
    copies: Vec<mpsc::Sender<Piece>>,
}

/// The body of a copy.
#[derive(Debug)]
pub(crate) struct Copied {
    pieces: mpsc::Receiver<Piece>,
    length: Option<u64>,
    done: bool,
}

#[derive(Clone, Debug)]
enum Piece {
    Data(Bytes),
    End,
}

/// Starts the copies of `request`, which is ready but for the form of its target.
pub(super) fn send(worker: &Rc<Worker>, plan: &Plan<'_>, request: &mut Request<RequestBody>) {
    let bare = request.body().is_end_stream();
    let length = request.body().size_hint().exact();
    let mut copies = Vec::new();
    for backend in &plan.mirrors {
        let Some(place) = Place::take(worker) else {
            worker.stats.count(|counters| counters.mirrors_dropped += 1);
            continue;
        };
        let body = if bare {
            RequestBody::Empty
        } else {
            let (copy, pieces) = mpsc::channel(MAX_WAITING);
            copies.push(copy);
            RequestBody::Copied(Copied {
                pieces,
                length,
                done: false,
            })
        };
        let copy = copy_of(request, plan, backend, body);
        worker.stats.count(|counters| counters.mirrored += 1);
        spawn_local(deliver(place, Arc::clone(backend), copy));
    }
    if !copies.is_empty() {
        let body = std::mem::replace(request.body_mut(), RequestBody::Empty);
        *request.body_mut() = RequestBody::Teed(Box::new(Tee { body, copies }));
    }
}

fn copy_of(
    request: &Request<RequestBody>,
    plan: &Plan<'_>,
    backend: &BackendState,
    body: RequestBody,
) -> Request<RequestBody> {
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    // A mirror answers nobody: it has nothing to switch to, and no trailers to send.
    for name in [CONNECTION, UPGRADE, TE] {
        copy.headers_mut().remove(name);
    }
    headers::set_protocol(&mut copy, Facts::default(), plan, backend);
    copy
}

/// Sends a copy, and reads its answer to the end so that the connection can be used again.
async fn deliver(place: Place, backend: Arc<BackendState>, mut request: Request<RequestBody>) {
    let worker = &place.0;
    let deadline = worker.deadlines.after(worker.settings.timeouts.response_head);
    let delivered = deadline.limit(exchange(worker, &backend, &mut request)).await;
    if !matches!(delivered, Ok(Ok(()))) {
        worker.stats.count(|counters| counters.mirrors_dropped += 1);
        tracing::debug!(backend = %backend.backend.key, "a mirror failed");
    }
}

async fn exchange(
    worker: &Worker,
    backend: &BackendState,
    request: &mut Request<RequestBody>,
) -> Result<(), Reason> {
    let in_flight = |endpoint: &EndpointState| worker.upstreams.in_flight(endpoint);
    let now = worker.clock.now();
    let endpoint = balance::pick(backend, in_flight, now, worker.random.next(), None);
    let endpoint = endpoint.ok_or(Reason::NoEndpoints)?;
    let upstream = worker.upstreams.of(backend, endpoint);
    let settings = &backend.backend;
    // The newest snapshot's: the request's own may be gone by now.
    let dial = worker.view.pin().security(settings)?.cloned();
    let mut lease = match upstream.kept(settings.protocol, dial.as_ref()) {
        Some(lease) => lease,
        None => {
            let timeout = settings.connect_timeout;
            upstream
                .connect(settings.protocol, timeout, dial.as_ref())
                .await?
                .0
        }
    };
    let response = lease
        .send(request, false, &mut |_| {})
        .await
        .map_err(|error| error.reason)?;
    let mut body = response.into_body();
    while let Some(frame) = std::future::poll_fn(|cx| body.poll_frame(Some(&mut lease), cx)).await {
        frame?;
    }
    lease.give_back(Instant::now());
    Ok(())
}

impl Tee {
    /// The next piece, of which every copy gets one, too.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        let frame = ready!(self.body.poll_next(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let piece = Piece::Data(data.clone());
                    self.copies.retain(|copy| copy.try_send(piece.clone()).is_ok());
                }
                // A body of known length has ended with its last byte: nobody will ask for more.
                if frame.is_trailers() || self.body.is_end_stream() {
                    self.end();
                }
            }
            Some(Err(_)) => self.copies.clear(),
            None => self.end(),
        }
        Poll::Ready(frame)
    }

    fn end(&mut self) {
        for copy in self.copies.drain(..) {
            // One that has no room left is cut off, and its body breaks off.
            let _ = copy.try_send(Piece::End);
        }
    }

    pub(super) fn body(&self) -> &RequestBody {
        &self.body
    }
}

impl Copied {
    /// The next piece; a body that was not copied to its end breaks off.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Reason>>> {
        if self.done {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.pieces.poll_recv(cx)) {
            Some(Piece::Data(data)) => Some(Ok(Frame::data(data))),
            Some(Piece::End) => {
                self.done = true;
                None
            }
            None => Some(Err(Reason::RequestBody)),
        })
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

/// One of the copies that a worker may have under way.
struct Place(Rc<Worker>);

impl Place {
    fn take(worker: &Rc<Worker>) -> Option<Self> {
        let copies: &Cell<u32> = &worker.copies;
        (copies.get() < MAX_COPIES).then(|| {
            copies.set(copies.get() + 1);
            Self(Rc::clone(worker))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.copies.set(self.0.copies.get() - 1);
    }
}
