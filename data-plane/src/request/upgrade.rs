//! Upgrades (RFC 9110 section 7.8): the client's connection and the upstream's become one.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use http::{HeaderValue, Request, Version, header::UPGRADE};
use http_body::Body;
use sluice_http1::Facts;
use sluice_model::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::{choose::Plan, exchange::Exchange, headers::names};
use crate::{http1::Pipe, transport::Transport, worker::Worker};

/// A client's wish to speak another protocol, as it wrote it.
pub(super) struct Upgrade {
    pub(super) protocol: HeaderValue,
}

/// The wish of a request that came over HTTP/1.1, if the backend can be asked.
///
/// `h2c` is not passed on: the upstream would take the rest of the connection for requests that
/// no rule has seen. Nor is what comes with a body: an upstream that switches before it has read all
/// of that would take the rest for the other protocol.
pub(super) fn requested<B: Body>(request: &Request<B>, facts: Facts, plan: &Plan<'_>) -> Option<Upgrade> {
    if !facts.upgrade || request.version() != Version::HTTP_11 || !request.body().is_end_stream() {
        return None;
    }
    let mut options = request.headers().get_all(http::header::CONNECTION).iter();
    if !options.any(|options| names(options, b"upgrade")) {
        return None;
    }
    let mut lines = request.headers().get_all(UPGRADE).iter();
    let protocol = lines.next()?;
    let several = lines.next().is_some();
    let asked = plan.backend.backend.protocol == Protocol::Http && !several && !names(protocol, b"h2c");
    asked.then(|| Upgrade {
        protocol: protocol.clone(),
    })
}

/// Joins a client and the upstream of `exchange`; ends when both have closed, when neither says
/// anything for long, or with the worker.
pub(crate) async fn tunnel(client: Pipe, mut exchange: Box<Exchange>) {
    exchange.upgraded();
    let worker = Rc::clone(exchange.worker());
    let Some(upstream) = exchange.take_lease().and_then(|lease| lease.into_pipe()) else {
        return;
    };
    let _open = Open::new(&worker);
    let (sent, received) = join(&worker, client, upstream).await;
    exchange.tunnelled(sent, received);
}

/// Copies both ways until both have ended. Returns the bytes to the upstream and from it.
async fn join(worker: &Worker, client: Pipe, upstream: Pipe) -> (u64, u64) {
    let (sent, received) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut client = Counted::new(client, &sent);
    let mut upstream = Counted::new(upstream, &received);
    let mut copied = pin!(copy_bidirectional(&mut client, &mut upstream));
    let idle = worker.settings.timeouts.upgraded_idle;
    let deadline = worker.deadlines.after(idle);
    let mut seen = (0, 0);
    poll_fn(|cx| {
        if copied.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let now = (sent.get(), received.get());
        if now != seen {
            seen = now;
            deadline.reset(idle);
        }
        deadline.poll_elapsed(cx)
    })
    .await;
    (sent.get(), received.get())
}

/// Counts what is read from one side, what was read ahead included.
struct Counted {
    transport: Transport,
    ahead: BytesMut,
    read: Rc<Cell<u64>>,
}

impl Counted {
    fn new(pipe: Pipe, read: &Rc<Cell<u64>>) -> Self {
        let (transport, ahead) = pipe.into_parts();
        Self {
            transport,
            ahead,
            read: Rc::clone(read),
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = if self.ahead.has_remaining() {
            let take = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(take));
            Poll::Ready(Ok(()))
        } else {
            Pin::new(&mut self.transport).poll_read(cx, buf)
        };
        self.read
            .set(self.read.get() + (buf.filled().len() - before) as u64);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

/// Counts an upgraded connection for as long as it is open.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        let upgraded = &worker.stats.upgraded;
        upgraded.set(upgraded.get() + 1);
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let upgraded = &self.0.stats.upgraded;
        upgraded.set(upgraded.get() - 1);
        self.0.client_left();
    }
}
