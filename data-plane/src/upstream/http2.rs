//! HTTP/2 connections of one endpoint, shared by requests.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::Notify, task::spawn_local};

use super::{connect::connect as connect_transport, lease::SendError};
use crate::{
    request::{BodyError, Reason, RequestBody},
    tls::Dial,
    worker::LocalExecutor,
};

/// Requests on one connection before another is made.
const MAX_STREAMS: usize = 100;
/// Connections to one endpoint; past it the least busy one takes what comes.
const MAX_CONNECTIONS: usize = 16;
/// How long a connection may be silent before it is asked whether it still stands, and how long
/// the answer may take.
const PING: Duration = Duration::from_secs(20);
/// Read ahead of a slow client, per stream.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same per connection.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Connections of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Http2Pool {
    connections: RefCell<Vec<Rc<Connection>>>,
    /// A connection is being made; whoever needs one too waits for it.
    connecting: Cell<bool>,
    connected: Notify,
    /// How often the pool was cleared.
    cleared: Cell<u32>,
}

#[derive(Debug)]
struct Connection {
    sender: SendRequest<RequestBody>,
    /// What the other side allows at a time.
    allowed: Rc<Cell<usize>>,
    streams: Cell<usize>,
    used: Cell<Instant>,
}

/// One request's place on a connection.
#[derive(Debug)]
pub(super) struct Stream(Rc<Connection>);

impl Http2Pool {
    /// A place on a connection that is there.
    pub(super) fn stream(&self) -> Option<Stream> {
        self.free().map(Stream::new)
    }

    /// A place on a new connection; on that of another request, if that is just making one. Says
    /// whether it was made for this one.
    pub(super) async fn connect(
        &self,
        address: SocketAddr,
        timeout: Duration,
        dial: Option<&Dial>,
    ) -> Result<(Stream, bool), Reason> {
        while self.connecting.get() {
            self.connected.notified().await;
            if let Some(stream) = self.stream() {
                return Ok((stream, false));
            }
        }
        let connection = self.make(address, timeout, dial).await?;
        Ok((Stream::new(connection), true))
    }

    /// Lends none of the connections from now on, nor those that are being made; requests on them
    /// go on.
    pub(super) fn clear(&self) {
        self.cleared.set(self.cleared.get().wrapping_add(1));
        drop(self.connections.take());
    }

    pub(super) fn sweep(&self, idle: Duration) {
        let now = Instant::now();
        let kept = |one: &Rc<Connection>| {
            let old = one.streams.get() == 0 && now.duration_since(one.used.get()) >= idle;
            !one.sender.is_closed() && !old
        };
        self.connections.borrow_mut().retain(kept);
    }

    /// The least busy connection, unless another one is to be made.
    fn free(&self) -> Option<Rc<Connection>> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|one| !one.sender.is_closed());
        let full = connections.len() >= MAX_CONNECTIONS;
        let least = connections.iter().min_by_key(|one| one.streams.get())?;
        let limit = MAX_STREAMS.min(least.allowed.get());
        (full || least.streams.get() < limit).then(|| Rc::clone(least))
    }

    async fn make(
        &self,
        address: SocketAddr,
        timeout: Duration,
        dial: Option<&Dial>,
    ) -> Result<Rc<Connection>, Reason> {
        let _connecting = Connecting::new(self);
        let cleared = self.cleared.get();
        let transport = connect_transport(address, timeout, dial).await?;
        let handshake = Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(transport));
        let (sender, mut connection) = handshake.await.map_err(|_| Reason::ConnectFailed)?;
        let allowed = Rc::new(Cell::new(MAX_STREAMS));
        let learned = Rc::clone(&allowed);
        spawn_local(poll_fn(move |cx| {
            let polled = Pin::new(&mut connection).poll(cx).map(drop);
            learned.set(connection.current_max_send_streams());
            polled
        }));
        let connection = Rc::new(Connection {
            sender,
            allowed,
            streams: Cell::new(0),
            used: Cell::new(Instant::now()),
        });
        if cleared == self.cleared.get() {
            self.connections.borrow_mut().push(Rc::clone(&connection));
        }
        Ok(connection)
    }
}

/// Says that a connection is being made, until it is or cannot be.
struct Connecting<'a>(&'a Http2Pool);

impl<'a> Connecting<'a> {
    fn new(pool: &'a Http2Pool) -> Self {
        pool.connecting.set(true);
        Self(pool)
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.set(false);
        self.0.connected.notify_waiters();
    }
}

impl Stream {
    fn new(connection: Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self(connection)
    }

    /// Sends `request`; with `keep`, it is put back as it was when that failed, if it can be.
    pub(super) async fn send(
        &self,
        request: &mut Request<RequestBody>,
        keep: bool,
    ) -> Result<Response<Incoming>, SendError> {
        let copy = keep.then(|| Copied::of(request)).flatten();
        let taken = std::mem::replace(request, Request::new(RequestBody::Empty));
        let mut sender = self.0.sender.clone();
        match sender.try_send_request(taken).await {
            Ok(response) => Ok(response),
            Err(mut failed) => {
                let reason = reason(failed.error());
                let unsent = failed.take_message();
                let whole = unsent.or_else(|| copy.as_ref().map(Copied::to_request));
                let error = SendError {
                    reason,
                    whole: whole.is_some(),
                };
                if let Some(whole) = whole {
                    *request = whole;
                }
                Err(error)
            }
        }
    }
}

/// A request without a body, kept because hyper takes the head apart as it writes it. Cheaper than
/// a second map: names and values are shared.
struct Copied {
    method: Method,
    uri: Uri,
    version: Version,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Copied {
    fn of(request: &Request<RequestBody>) -> Option<Self> {
        if !request.body().is_end_stream() || !request.method().is_idempotent() {
            return None;
        }
        let lines = request.headers().iter();
        Some(Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: lines.map(|(name, value)| (name.clone(), value.clone())).collect(),
        })
    }

    fn to_request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        request.method_mut().clone_from(&self.method);
        request.uri_mut().clone_from(&self.uri);
        *request.version_mut() = self.version;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        request
    }
}

/// What an error of an upstream connection means.
pub(super) fn reason(error: &hyper::Error) -> Reason {
    tracing::debug!(%error, cause = std::error::Error::source(error), "upstream request failed");
    // The body that was being sent is the client's, and says itself what is wrong with it.
    let body = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<BodyError>());
    match body {
        Some(body) => body.reason(),
        None if error.is_user() => Reason::RequestBody,
        None if error.is_parse() => Reason::UpstreamMalformed,
        None => Reason::UpstreamReset,
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.used.set(Instant::now());
    }
}
