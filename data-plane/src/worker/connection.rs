//! One client connection, from its first byte to its last.

use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use sluice_http1::{Facts, Framing, Persistence, ResponseHead, write_response};
use sluice_model::{Limits, Listener};
use tokio::net::TcpStream;

use super::{
    Deadline, Worker,
    accept::{Port, Seats, Terms},
    ahead::Ahead,
    http2,
    io::{Spoken, listen_first},
    load::{Full, Seat},
};
use crate::{
    http1::{self, Channel},
    live::Pinned,
    request,
    socket::Socket,
    tls::{self, HandshakeFailure, Secured},
    transport::Transport,
};

/// What requests know of the connection they came on.
pub(crate) struct Connection {
    pub(crate) worker: Rc<Worker>,
    pub(crate) port: Rc<Port>,
    /// The client; an IPv4 address that is written as IPv6 is an IPv4 address.
    pub(crate) peer: SocketAddr,
    /// The client's address as `X-Forwarded-For` has it.
    pub(crate) forwarded_for: HeaderValue,
    /// What TLS says of the connection; nothing, when it is plain.
    pub(crate) secured: Option<Secured>,
    limits: Limits,
    /// Its place at the listener; none, until a request has named that.
    seat: OnceCell<Seat>,
    /// The listener had no place for it.
    turned_away: Cell<bool>,
    /// Requests under way.
    active: Cell<u32>,
    /// Requests begun.
    served: Cell<u64>,
    /// Pieces of answers that wait for the client; over HTTP/2 alone.
    offers: Cell<u32>,
    /// Who sees that the client takes them.
    watcher: RefCell<Option<Waker>>,
    /// Heads of 1xx that wait to be written.
    interim: RefCell<Vec<u8>>,
}

impl Connection {
    pub(super) fn new(
        worker: Rc<Worker>,
        port: Rc<Port>,
        peer: SocketAddr,
        limits: Limits,
        secured: Option<Secured>,
    ) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Self {
            worker,
            port,
            forwarded_for: header_value(peer.ip()),
            peer,
            secured,
            limits,
            seat: OnceCell::new(),
            turned_away: Cell::new(false),
            active: Cell::new(0),
            served: Cell::new(0),
            offers: Cell::new(0),
            watcher: RefCell::default(),
            interim: RefCell::default(),
        }
    }

    /// A request begins.
    #[inline]
    pub(crate) fn enter(&self) {
        self.active.set(self.active.get() + 1);
        self.served.set(self.served.get() + 1);
        let requests = &self.worker.stats.requests;
        requests.set(requests.get() + 1);
    }

    /// It has ended.
    #[inline]
    pub(crate) fn leave(&self) {
        self.active.set(self.active.get() - 1);
        let requests = &self.worker.stats.requests;
        requests.set(requests.get() - 1);
    }

    /// Takes a place at `listener`, which the connection's first request names, where that was not
    /// known before. Later requests, whichever listener they are for, come on a place that is taken.
    ///
    /// # Errors
    /// When there is none; the connection ends then.
    #[inline]
    pub(crate) fn seat<'l>(
        &self,
        snapshot: &Pinned,
        listener: impl FnOnce() -> Option<&'l Arc<Listener>>,
    ) -> Result<(), Full> {
        match self.seat.get() {
            Some(_) => Ok(()),
            None => listener().map_or(Ok(()), |listener| self.seat_at(snapshot, listener)),
        }
    }

    #[cold]
    fn seat_at(&self, snapshot: &Pinned, listener: &Listener) -> Result<(), Full> {
        let seat = match self.turned_away.get() {
            true => return Err(Full),
            false => snapshot
                .loads()
                .seat(&listener.key, &listener.limits, self.peer.ip()),
        };
        if let Some(seat) = seat.inspect_err(|_| self.turn_away(listener))? {
            let _ = self.seat.set(seat);
        }
        Ok(())
    }

    fn turn_away(&self, listener: &Listener) {
        self.turned_away.set(true);
        self.worker.stats.over_limit(Some(&listener.key));
    }

    /// What its client may do.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.active.get() == 0
    }

    /// Requests begun.
    pub(super) fn served(&self) -> u64 {
        self.served.get()
    }

    /// Whether the client has anything of an answer to take. When it has for the first time, the task
    /// of `cx` is woken.
    pub(super) fn has_offers(&self, cx: &Context<'_>) -> bool {
        let mut watcher = self.watcher.borrow_mut();
        match &mut *watcher {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.offers.get() != 0
    }

    /// Whether no request has begun yet.
    pub(crate) fn is_first(&self) -> bool {
        self.served.get() == 0
    }

    /// Whether another request may follow the one under way.
    pub(crate) fn may_go_on(&self) -> bool {
        !self.port.is_closing()
            && !self.turned_away.get()
            && self.served.get() < self.limits.requests_per_connection
            && !self.worker.is_overloaded()
    }

    /// Takes a head of 1xx on its way to the client. Clients that speak 1.0 know none (RFC 9110
    /// section 15.2), and hyper cannot send them over HTTP/2.
    pub(crate) fn interim(&self, version: Version, mut head: ResponseHead) {
        if version != Version::HTTP_11 || head.status == StatusCode::CONTINUE {
            return;
        }
        strip(&mut head.headers);
        let mut waiting = self.interim.borrow_mut();
        write_response(
            &mut waiting,
            head.status,
            &head.headers,
            Framing::Silent,
            Persistence::Implied,
            None,
        );
    }

    /// Moves heads of 1xx to the end of `output`.
    #[inline]
    pub(crate) fn take_interim(&self, output: &mut Vec<u8>) {
        let mut waiting = self.interim.borrow_mut();
        if !waiting.is_empty() {
            output.append(&mut waiting);
        }
    }
}

/// A piece of an answer that was handed to hyper, for as long as it does not ask for the next: that is
/// when the client has taken so much that there is room.
pub(crate) struct Offer(Rc<Connection>);

impl Offer {
    pub(crate) fn new(connection: &Rc<Connection>) -> Self {
        let before = connection.offers.replace(connection.offers.get() + 1);
        if before == 0
            && let Some(watcher) = &*connection.watcher.borrow()
        {
            watcher.wake_by_ref();
        }
        Self(Rc::clone(connection))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.0.offers.set(self.0.offers.get() - 1);
    }
}

fn strip(headers: &mut HeaderMap) {
    let hop_by_hop: Vec<_> = headers
        .keys()
        .filter(|name| Facts::is_hop_by_hop(name))
        .cloned()
        .collect();
    for name in hop_by_hop {
        headers.remove(name);
    }
}

fn header_value(ip: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&ip.to_string()).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Serves a client until it leaves, is too slow, or its port has closed.
pub(super) async fn serve(
    worker: Rc<Worker>,
    port: Rc<Port>,
    stream: TcpStream,
    peer: SocketAddr,
    mut seats: Seats,
) {
    let open = Open::new(&worker);
    let Terms { limits, tls, .. } = port.terms(&worker);
    let deadline = worker.deadlines.after(limits.head_timeout);
    let opening = open_transport(&worker, &port, Socket::new(stream), peer, tls);
    let Some(opened) = before_closing(&port, deadline.limit(opening)).await else {
        return;
    };
    let opened = opened.unwrap_or(Err(Some(HandshakeFailure::Timeout).filter(|_| tls)));
    let Opened {
        transport,
        secured,
        seat,
        ahead,
        spoken,
    } = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            count_failure(&worker, failure);
            return;
        }
    };
    let connection = Connection::new(Rc::clone(&worker), port, peer, limits, secured);
    if let Some(seat) = seat.or_else(|| seats.listener.take()) {
        // It has none yet.
        let _ = connection.seat.set(seat);
    }
    let connection = Rc::new(connection);
    match spoken {
        Spoken::Http1 => {
            let channel = Channel::new(transport, ahead, limits, deadline);
            let served = until_drained(&connection, http1::serve(&connection, channel)).await;
            drop(connection);
            if let Some(Some((pipe, exchange))) = served {
                let tunnel = request::tunnel(pipe, exchange);
                drop(open);
                tunnel.await;
            }
        }
        Spoken::Http2 => http2::serve(&connection, Ahead::new(transport, ahead), &deadline).await,
    }
}

/// A connection whose first bytes have been read.
struct Opened {
    transport: Transport,
    secured: Option<Secured>,
    /// At the listener, if the handshake has named it.
    seat: Option<Seat>,
    ahead: BytesMut,
    spoken: Spoken,
}

/// Finds out what a client speaks: by the handshake over TLS, where HTTP/2 has to be agreed on (RFC
/// 9113 section 3.2), and by its first bytes where it is plain.
///
/// # Errors
/// Why the handshake failed; nothing, when the client left before it said anything.
async fn open_transport(
    worker: &Worker,
    port: &Port,
    socket: Socket,
    peer: SocketAddr,
    tls: bool,
) -> Result<Opened, Option<HandshakeFailure>> {
    if tls {
        // Boxed: the state of a handshake is large, and soon gone.
        let accepting = tls::accept(worker, port.number, socket, peer.ip());
        let (transport, secured, seat) = Box::pin(accepting).await?;
        return Ok(Opened {
            transport,
            seat,
            ahead: BytesMut::new(),
            spoken: match secured.http2 {
                true => Spoken::Http2,
                false => Spoken::Http1,
            },
            secured: Some(secured),
        });
    }
    let mut transport = Transport::Plain(socket);
    let (ahead, spoken) = listen_first(&mut transport).await.map_err(|_| None)?;
    Ok(Opened {
        transport,
        secured: None,
        seat: None,
        ahead,
        spoken,
    })
}

fn count_failure(worker: &Worker, failure: Option<HandshakeFailure>) {
    if let Some(failure) = failure {
        tracing::debug!(reason = failure.as_str(), "a TLS handshake failed");
        worker.stats.count(|counters| counters.handshakes.fail(failure));
    }
}

/// `life`, but no longer than a drain may take once the port closes.
async fn until_drained<T>(connection: &Connection, life: impl Future<Output = T>) -> Option<T> {
    let mut life = pin!(life);
    let mut end: Option<Deadline> = None;
    poll_fn(|cx| {
        if connection.port.is_closing() {
            let worker = &connection.worker;
            let end = end.get_or_insert_with(|| worker.deadlines.after(worker.settings.timeouts.drain));
            if end.poll_elapsed(cx).is_ready() {
                return Poll::Ready(None);
            }
        }
        life.as_mut().poll(cx).map(Some)
    })
    .await
}

/// `future`, unless the port closes before.
async fn before_closing<F: Future>(port: &Port, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match port.is_closing() {
        true => Poll::Ready(None),
        false => future.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Counts a connection for as long as it is open.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        let connections = &worker.stats.connections;
        connections.set(connections.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let connections = &self.0.stats.connections;
        connections.set(connections.get() - 1);
        self.0.client_left();
    }
}
