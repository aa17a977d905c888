//! One gRPC stream over a connection of its own, as lean as it gets: thousands live in one process.
//!
//! It is HTTP/2 on a socket and gRPC's five-byte frames, written by hand, because a generated client
//! takes two tasks and several buffers for each connection, and what is measured is the other end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, bail, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture};
use h2::{RecvStream, SendStream};
use http::{Request, Version};
use prost::Message as _;
use sluice_proto::v1::{ControlMessage, ProxyMessage, control_message, proxy_message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that may come before they are read: a large snapshot should not wait for window updates.
const WINDOW: u32 = 1 << 20;
/// Largest message that is taken, as with the proxies.
const MESSAGE: usize = 256 << 20;
/// Before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Bytes that went over sockets, without what TCP and IP add.
#[derive(Debug, Default)]
pub(super) struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Meter {
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A socket whose bytes are counted.
pub(super) struct Metered {
    socket: TcpStream,
    meter: Arc<Meter>,
}

/// The stream. Its connection has to be polled beside it.
pub(super) struct Link {
    outbound: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    inbound: Option<RecvStream>,
    buffer: BytesMut,
}

impl Link {
    /// Connects and subscribes; the answer is waited for with the first message.
    pub(super) async fn open(
        control: SocketAddr,
        meter: Arc<Meter>,
    ) -> anyhow::Result<(Self, Connection<Metered, Bytes>)> {
        let socket = TcpStream::connect(control).await?;
        socket.set_nodelay(true)?;
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false)
            .handshake(Metered { socket, meter })
            .await?;
        let request = Request::post(format!("http://{control}/sluice.v1.Fleet/Subscribe"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let mut requests = requests.ready().await?;
        let (answer, outbound) = requests.send_request(request, false)?;
        let link = Self {
            outbound,
            answer: Some(answer),
            inbound: None,
            buffer: BytesMut::new(),
        };
        Ok((link, connection))
    }

    /// Sends one message.
    pub(super) fn say(&mut self, body: proxy_message::Body) -> anyhow::Result<()> {
        let message = ProxyMessage { body: Some(body) };
        let length = message.encoded_len();
        let mut frame = BytesMut::with_capacity(PREFIX + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length)?);
        message.encode(&mut frame)?;
        Ok(self.outbound.send_data(frame.freeze(), false)?)
    }

    /// The next message, with its bytes.
    ///
    /// # Errors
    /// When the stream has ended, or what comes is no message.
    pub(super) async fn hear(&mut self) -> anyhow::Result<(control_message::Body, Bytes)> {
        loop {
            if let Some(bytes) = self.whole_message()? {
                let message = ControlMessage::decode(bytes.clone())?;
                return Ok((message.body.context("a message of no known kind")?, bytes));
            }
            self.more().await?;
        }
    }

    fn whole_message(&mut self) -> anyhow::Result<Option<Bytes>> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        ensure!(prefix[0] == 0, "a compressed message");
        ensure!(length <= MESSAGE, "a message of {length} bytes");
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let message = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            // What is read next must not keep a large message's memory.
            self.buffer = BytesMut::new();
        }
        Ok(Some(message))
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        if let Some(answer) = self.answer.as_mut() {
            let response = answer.await?;
            self.answer = None;
            ensure!(response.status() == 200, "status {}", response.status());
            if let Some(status) = response.headers().get("grpc-status") {
                bail!("refused: grpc-status {status:?}");
            }
            self.inbound = Some(response.into_body());
        }
        let inbound = self.inbound.as_mut().context("no stream")?;
        let Some(data) = inbound.data().await else {
            let trailers = inbound.trailers().await?;
            bail!("ended: {trailers:?}");
        };
        let data = data?;
        inbound.flow_control().release_capacity(data.len())?;
        self.buffer.extend_from_slice(&data);
        Ok(())
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        this.meter.received.fetch_add(read as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_write(cx, bytes);
        if let Poll::Ready(Ok(written)) = polled {
            this.meter.sent.fetch_add(written as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
