//! HTTP/2 towards a client: hyper's, with the limits that hyper does not have.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::{Connection, Deadline, LocalExecutor, Pace, ahead::Ahead};
use crate::request::{self, Arriving};

/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 200;
/// Bytes of one answer that hyper holds for a client that does not take them.
const SEND_BUFFER: usize = 64 * 1024;
/// Silence after which a client is asked whether it is still there, and time to answer.
const PING: Duration = Duration::from_secs(30);

/// Serves HTTP/2 to its end: in order when nothing was asked for long, the connection has had enough
/// or its port closes; at once when that takes too long, or the client takes answers too slowly.
pub(super) async fn serve(connection: &Rc<Connection>, io: Ahead, deadline: &Deadline) {
    let mut watch = Watch::new(connection, deadline, io.written());
    let served = Rc::clone(connection);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let handled = request::handle(Rc::clone(&served), request.map(Arriving::Http2));
        async move { Ok::<_, Infallible>(handled.await) }
    });
    let http2 = http2::Builder::new(LocalExecutor)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(connection.limits().header_bytes)
        .serve_connection(TokioIo::new(io), service);
    let mut http2 = pin!(http2);
    poll_fn(|cx| {
        let elapsed = deadline.poll_elapsed(cx).is_ready();
        if elapsed && watch.is_last_call() {
            return Poll::Ready(());
        }
        if watch.is_to_end(elapsed) {
            http2.as_mut().graceful_shutdown();
        }
        // Errors say that the client went away or sent no HTTP: hyper has answered what it can.
        if http2.as_mut().poll(cx).is_ready() || !watch.look(cx) {
            return Poll::Ready(());
        }
        let _ = deadline.poll_elapsed(cx);
        Poll::Pending
    })
    .await;
}

/// What a connection waits for right now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// The next request, after so many.
    Request(u64),
    /// Somebody upstream; or a request's body, which has a deadline of its own.
    Upstream,
    /// The client, which has an answer to take, and took so many bytes.
    Client(u64),
}

/// Sees that a client is waited for no longer than its limits say.
struct Watch<'a> {
    connection: &'a Connection,
    deadline: &'a Deadline,
    /// Bytes that the client's connection has taken.
    written: Rc<Cell<u64>>,
    waiting: Option<Waiting>,
    pace: Pace,
    /// No further requests are taken.
    ending: bool,
    /// The deadline is that of a drain.
    draining: bool,
}

impl<'a> Watch<'a> {
    fn new(connection: &'a Connection, deadline: &'a Deadline, written: Rc<Cell<u64>>) -> Self {
        Self {
            connection,
            deadline,
            written,
            waiting: None,
            pace: Pace::default(),
            ending: false,
            draining: false,
        }
    }

    /// Whether nothing is to be waited for once the deadline is reached.
    fn is_last_call(&self) -> bool {
        if !self.draining && matches!(self.waiting, Some(Waiting::Client(_))) {
            self.give_up();
            return true;
        }
        self.draining
    }

    /// Whether the connection is to end in order from now on.
    fn is_to_end(&mut self, elapsed: bool) -> bool {
        if !self.draining && (elapsed || self.connection.port.is_closing()) {
            (self.draining, self.ending) = (true, true);
            let drain = self.connection.worker.settings.timeouts.drain;
            self.deadline.reset(drain);
            return true;
        }
        // What is under way may take as long as it would have.
        !self.ending && !self.connection.may_go_on() && {
            self.ending = true;
            true
        }
    }

    /// Looks at what is waited for. Whether the client is fast enough.
    fn look(&mut self, cx: &Context<'_>) -> bool {
        let now = match (self.connection.is_idle(), self.connection.has_offers(cx)) {
            (true, _) => Waiting::Request(self.connection.served()),
            (false, false) => Waiting::Upstream,
            (false, true) => Waiting::Client(self.written.get()),
        };
        if self.draining || self.waiting == Some(now) {
            return true;
        }
        let limits = self.connection.limits();
        let before = self.waiting.replace(now);
        let fast = match (before, now) {
            (Some(Waiting::Client(before)), Waiting::Client(now)) => {
                self.pace.moved(now - before, limits.response_min_rate)
            }
            _ => {
                self.pace = Pace::default();
                true
            }
        };
        match now {
            Waiting::Request(_) => self.deadline.reset(limits.idle_timeout),
            Waiting::Upstream => self.deadline.disarm(),
            Waiting::Client(_) => {
                self.pace.wait();
                self.deadline.reset(limits.body_timeout);
            }
        }
        if !fast {
            self.give_up();
        }
        fast
    }

    fn give_up(&self) {
        let stats = &self.connection.worker.stats;
        stats.count(|counters| counters.slow_readers += 1);
    }
}

#[cfg(test)]
mod tests;
