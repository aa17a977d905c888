//! Connections through memory, and a clock that only moves when nothing else does.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use sluice_proto::v1;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex},
    task::LocalSet,
    time::{Instant, timeout},
};

use super::snapshot::Site;
use crate::transport::Transport;

/// What fits into a connection before somebody reads it.
pub(crate) const BUFFER: usize = 64 * 1024;
/// The clock moves this far when nothing else does.
pub(crate) const MOMENT: Duration = Duration::from_millis(1);

/// One end of a connection.
pub(crate) struct End {
    pub(crate) stream: DuplexStream,
    /// The proxy has broken the connection off.
    reset: Arc<AtomicBool>,
}

/// The proxy's end of a connection.
#[derive(Debug)]
pub(crate) struct Memory {
    stream: DuplexStream,
    /// Taken, and not written yet: what a layer such as TLS holds back until it is flushed.
    held: BytesMut,
    /// Most bytes of that.
    holds: usize,
    /// The proxy has broken the connection off.
    reset: Arc<AtomicBool>,
}

/// Runs `test` with a clock that is stopped.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// A connection of which one end is a [`Transport`].
pub(crate) fn wire(buffer: usize) -> (Transport, End) {
    wire_that_holds(buffer, 0)
}

/// A connection that takes `holds` more bytes than there is room for, as TLS does.
pub(crate) fn wire_that_holds(buffer: usize, holds: usize) -> (Transport, End) {
    let (near, stream) = duplex(buffer);
    let reset = Arc::new(AtomicBool::new(false));
    let memory = Memory {
        stream: near,
        held: BytesMut::new(),
        holds,
        reset: Arc::clone(&reset),
    };
    (Transport::Memory(memory), End { stream, reset })
}

/// One route for everything, to one endpoint.
pub(crate) fn site(limits: v1::Limits) -> Site {
    Site {
        limits,
        // Nobody listens there: connections are given.
        ..Site::to(&["127.0.0.1:1"])
    }
}

impl End {
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything that is there once nothing moves any more.
    pub(crate) async fn hear(&mut self) -> String {
        let mut heard = Vec::new();
        while let Ok(Ok(1..)) = timeout(MOMENT, self.stream.read_buf(&mut heard)).await {}
        String::from_utf8(heard).unwrap()
    }

    /// Everything until the proxy closes, and how long that took.
    pub(crate) async fn hear_all(&mut self) -> (String, Duration) {
        let (mut heard, start) = (Vec::new(), Instant::now());
        self.stream.read_to_end(&mut heard).await.unwrap();
        (String::from_utf8(heard).unwrap(), start.elapsed())
    }

    /// Whether the proxy has closed without saying more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        matches!(timeout(MOMENT, self.stream.read(&mut byte)).await, Ok(Ok(0)))
    }

    pub(crate) fn was_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }
}

impl Memory {
    pub(crate) fn reset_on_drop(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))?;
            self.held.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Memory {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.holds == 0 {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        let _ = self.poll_release(cx)?;
        let take = buf.len().min(self.holds - self.held.len());
        if take == 0 && !buf.is_empty() {
            return Poll::Pending;
        }
        self.held.extend_from_slice(&buf[..take]);
        let _ = self.poll_release(cx)?;
        Poll::Ready(Ok(take))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
