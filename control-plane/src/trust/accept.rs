//! Connections of proxies, from the socket to the gRPC server.
//!
//! TLS is told by its first byte. Without it, only those are served who come from a loopback address
//! to a loopback address: whoever can listen there can read the keys on disk as well. Handshakes are
//! bounded in number and time; those without a certificate may stay only long enough to join.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tonic::transport::server::Connected;

use super::lines::{Line, Noted};
use super::standing::PeerError;
use super::{Peer, Stranger, Trust};
use crate::clock;

/// Handshakes at a time.
const MAX_HANDSHAKES: usize = 1_024;
/// Longest time for the first byte and the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections at a time of those without a certificate that stands, and how long each may last.
const MAX_STRANGERS: usize = 512;
const STRANGER: Duration = Duration::from_secs(15);
/// Pause when no connection can be taken, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections that wait for the gRPC server.
const WAITING: usize = 16;
/// First byte of a TLS record that carries a handshake (RFC 8446 section 5.1).
const TLS: u8 = 22;

/// A connection, and who is at its other end.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    line: Line,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Of one without a certificate, or with one that was revoked.
    stay: Option<Stay>,
    /// Of one with a certificate.
    _noted: Option<Noted>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
struct Stay {
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

/// Why a connection is closed again.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("plain text is taken from loopback addresses only")]
    Plain,
    #[error("no certificates are issued here: there is no envelope key")]
    NoAuthority,
    #[error("too many connections without a certificate")]
    TooMany,
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("it ended before it said anything")]
    Silent,
    #[error("no handshake within 5 s")]
    Slow,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refused {
    /// The label in metrics.
    fn label(&self) -> &'static str {
        match self {
            Self::Plain => "plain_text",
            Self::NoAuthority => "no_authority",
            Self::TooMany => "too_many",
            Self::Peer(PeerError::Invalid) => "invalid_certificate",
            Self::Peer(PeerError::Nameless) => "nameless_certificate",
            Self::Silent => "nothing_said",
            Self::Slow => "timeout",
            Self::Io(_) => "handshake",
        }
    }
}

struct Door {
    trust: Trust,
    /// Whether this address takes plain text.
    plain: bool,
    strangers: Arc<Semaphore>,
}

/// The connections that come in on `listener`, which is bound to `address`, until `shutdown`.
pub fn incoming(
    listener: TcpListener,
    address: SocketAddr,
    trust: Trust,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, connections) = mpsc::channel(WAITING);
    let door = Arc::new(Door {
        trust,
        plain: is_loopback(address),
        strangers: Arc::new(Semaphore::new(MAX_STRANGERS)),
    });
    let accepting = accept(listener, door, sender, tasks.clone(), shutdown.clone());
    tasks.spawn(shutdown.run_until_cancelled_owned(accepting));
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    door: Arc<Door>,
    sender: mpsc::Sender<io::Result<Connection>>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let Ok(turn) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection of a proxy can be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (door, sender) = (Arc::clone(&door), sender.clone());
        let greeting = async move {
            let greeted = timeout(HANDSHAKE, door.greet(stream, from)).await;
            drop(turn);
            match greeted {
                // The gRPC server has ended when nobody takes it.
                Ok(Ok(connection)) => drop(sender.send(Ok(connection)).await),
                Ok(Err(reason)) => door.refuse(from, &reason),
                Err(_) => door.refuse(from, &Refused::Slow),
            }
        };
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(greeting));
    }
}

impl Door {
    fn refuse(&self, from: SocketAddr, reason: &Refused) {
        tracing::info!(%from, %reason, "connection closed");
        self.trust.shared.counters.turned_away(reason.label());
    }

    async fn greet(&self, stream: TcpStream, from: SocketAddr) -> Result<Connection, Refused> {
        stream.set_nodelay(true)?;
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(Refused::Silent);
        }
        if first != [TLS] {
            return match self.plain && is_loopback(from) {
                true => Ok(self.connection(Io::Plain(stream), Peer::Local, None)),
                false => Err(Refused::Plain),
            };
        }
        let standing = self.trust.standing().ok_or(Refused::NoAuthority)?;
        let stream = TlsAcceptor::from(standing.server()).accept(stream).await?;
        let peer = match stream.get_ref().1.peer_certificates() {
            Some(chain) => Peer::Proxy(standing.proxy(chain, clock::since_1970())?),
            None => Peer::Stranger,
        };
        let may_stay = match &peer {
            Peer::Proxy(proxy) => self.trust.check(proxy) != Err(Stranger::Revoked),
            Peer::Local => true,
            Peer::Stranger => false,
        };
        let stay = if may_stay { None } else { Some(self.stay()?) };
        Ok(self.connection(Io::Tls(Box::new(stream)), peer, stay))
    }

    fn connection(&self, io: Io, peer: Peer, stay: Option<Stay>) -> Connection {
        let line = Line::new(peer);
        let is_certain = matches!(line.peer, Peer::Proxy(_));
        Connection {
            io,
            cut: Box::pin(line.is_cut().cancelled_owned()),
            stay,
            _noted: is_certain.then(|| self.trust.shared.lines.note(line.clone())),
            line,
        }
    }

    fn stay(&self) -> Result<Stay, Refused> {
        let place = Arc::clone(&self.strangers).try_acquire_owned();
        Ok(Stay {
            end: Box::pin(sleep(STRANGER)),
            _place: place.map_err(|_| Refused::TooMany)?,
        })
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

impl Connection {
    /// Fails once the connection has to end, and else has the task woken when it does. Asked whatever is done:
    /// HTTP/2 does not read while it waits to write, and whoever reads nothing lets it write nothing.
    fn poll_stands(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if let Some(stay) = &mut self.stay
            && stay.end.as_mut().poll(cx).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Line;

    fn connect_info(&self) -> Line {
        self.line.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_stands(cx)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_stands(cx)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_stands(cx)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stands(cx)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_stands(cx)?;
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    /// HTTP/2 reads nothing while it waits to write, and whoever reads nothing keeps it waiting.
    #[tokio::test]
    async fn a_connection_that_is_cut_ends_though_the_other_side_takes_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_deaf, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let line = Line::new(Peer::Local);
        let mut connection = Connection {
            io: Io::Plain(accepted.unwrap().0),
            cut: Box::pin(line.is_cut().cancelled_owned()),
            line: line.clone(),
            stay: None,
            _noted: None,
        };
        let mut writing = pin!(async { while connection.write_all(&[0; 64 * 1024]).await.is_ok() {} });
        for _ in 0..1_000 {
            assert!(poll!(&mut writing).is_pending());
            tokio::task::yield_now().await;
        }
        tokio::spawn(async move { line.cut() });
        assert!(timeout(HANDSHAKE, writing).await.is_ok(), "it waits for ever");
    }
}
