//! Takes connections from one listening socket.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::spawn_local,
};

use sluice_core::Snapshot;
use sluice_model::{HistoryId, Limits, Listener, Position};

use super::{
    Worker, connection,
    load::{Full, Load, Room, Seat},
};

/// Pause after an error that the next call would have too: no descriptors, no memory.
const PAUSE: Duration = Duration::from_millis(50);

/// A port that a Gateway names. Connections belong to it; the listener is chosen per request.
pub(crate) struct Port {
    /// As the Gateway names it, not as it is bound.
    pub(crate) number: u16,
    /// Its connections, of all workers.
    load: Arc<Load>,
    /// What its listeners say, and at which place in which history.
    terms: RefCell<Option<((HistoryId, Position), Terms)>>,
    closing: Cell<bool>,
    stop: Notify,
}

/// The places of one connection.
pub(super) struct Seats {
    _port: Seat,
    /// At the listener; none, while it is not known which.
    pub(super) listener: Option<Seat>,
}

/// What the listeners of a port say before a request names one of them.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The strictest of each.
    pub(super) limits: Limits,
    /// As many connections as the listeners may have together.
    room: Room,
    /// Whether connections begin with TLS.
    pub(super) tls: bool,
    /// The listener that connections belong to, where there is only one.
    only: Option<Arc<Listener>>,
}

impl Terms {
    fn of(port: u16, snapshot: &Snapshot) -> Self {
        let listeners = || snapshot.listeners().filter(move |listener| listener.port == port);
        let rooms = listeners().map(|listener| Room::of(&listener.limits));
        let mut first_two = listeners();
        Self {
            limits: snapshot.port_limits(port),
            room: rooms.fold(Room::NONE, Room::with),
            // One port is all TLS or none of it.
            tls: listeners().any(|listener| listener.tls.is_some()),
            only: first_two.next().filter(|_| first_two.next().is_none()).cloned(),
        }
    }
}

impl Port {
    pub(super) fn new(number: u16, load: Arc<Load>) -> Rc<Self> {
        Rc::new(Self {
            number,
            load,
            terms: RefCell::default(),
            closing: Cell::new(false),
            stop: Notify::new(),
        })
    }

    /// What its listeners say, looked up once per snapshot.
    pub(super) fn terms(&self, worker: &Worker) -> Terms {
        let newest = worker.view.pin();
        let place = (newest.history(), newest.position());
        let mut held = self.terms.borrow_mut();
        match &*held {
            Some((looked_up, terms)) if *looked_up == place => terms.clone(),
            _ => {
                let terms = Terms::of(self.number, &newest);
                *held = Some((place, terms.clone()));
                terms
            }
        }
    }

    /// Takes no more connections, and asks for those it has to end. They see it when next woken.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.stop.notify_one();
    }

    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }
}

/// Takes connections until the port closes, and then those that already wait: closing the socket
/// would reset them.
pub(super) async fn accept_all(worker: Rc<Worker>, port: Rc<Port>, listener: TcpListener) {
    loop {
        tokio::select! {
            biased;
            () = port.stop.notified() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => take(&worker, &port, accepted),
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, port = port.number, "cannot accept");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    while let Some(Ok(accepted)) = listener.accept().now_or_never() {
        take(&worker, &port, accepted);
    }
}

fn take(worker: &Rc<Worker>, port: &Rc<Port>, (stream, peer): (TcpStream, SocketAddr)) {
    if worker.stats.connections.get() >= worker.settings.max_connections {
        worker.stats.count(|counters| counters.refused += 1);
        return;
    }
    let terms = port.terms(worker);
    let Ok(seats) = seats(worker, port, &terms, peer) else {
        worker.stats.over_limit(terms.only.as_ref().map(|only| &only.key));
        if !terms.tls {
            turn_away(&stream);
        }
        return;
    };
    worker.stats.count(|counters| counters.accepted += 1);
    spawn_local(connection::serve(
        Rc::clone(worker),
        Rc::clone(port),
        stream,
        peer,
        seats,
    ));
}

/// A place at the port, and at its listener, if that is known before the client has said anything.
fn seats(worker: &Worker, port: &Port, terms: &Terms, peer: SocketAddr) -> Result<Seats, Full> {
    let seat = port.load.seat(peer.ip(), terms.room)?;
    let only = terms.only.as_ref().filter(|_| !terms.tls);
    let listener = only.map(|only| {
        let snapshot = worker.view.pin();
        snapshot.loads().seat(&only.key, &only.limits, peer.ip())
    });
    Ok(Seats {
        _port: seat,
        listener: listener.transpose()?.flatten(),
    })
}

/// Tells a client that there is no place for it, as far as that can be done without waiting.
fn turn_away(stream: &TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let _ = stream.try_write(answer);
}

/// Errors that belong to the connection that was to be accepted (accept(2)).
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
