//! Streams over connections in memory, with clients that read as they like, while time is paused.

use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use sluice_intent::Format;
use sluice_proto::v1::{control_message, fleet_client::FleetClient, proxy_message};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Server};

use super::*;
use crate::live::{Precondition, Wish, WriteRequest};
use crate::store::{KeyRing, Replica, Scope, Store};

/// Bytes of the whole snapshot, at least: more than 30 s of what a slow line takes.
const LARGE: usize = 3 << 20;
/// A bit more than the slowest line that gets everything, in bytes per second.
const SLOW: usize = 72 * 1024;

/// Longer than anything here takes, of time that is paused.
const PATIENCE: Duration = Duration::from_secs(600);

/// A control plane's end of all connections, and the way to make one.
struct Site {
    service: FleetService,
    live: Live,
    connections: mpsc::Sender<io::Result<Wire>>,
    /// Connections of which anything is kept.
    open: Arc<AtomicUsize>,
    _shutdown: DropGuard,
}

/// The control plane's end of one connection, which is cut as those on sockets are.
struct Wire {
    io: DuplexStream,
    line: Line,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    open: Arc<AtomicUsize>,
}

/// A proxy's end that takes [`SLOW`] bytes a second.
struct SlowReader {
    io: DuplexStream,
    /// What may be read before the next tick.
    budget: usize,
    tick: Pin<Box<Sleep>>,
}

/// One proxy.
struct Proxy {
    outbound: mpsc::Sender<v1::ProxyMessage>,
    inbound: Streaming<v1::ControlMessage>,
}

impl Site {
    /// With a table of [`LARGE`] bytes, and turns for one whole snapshot at a time.
    async fn start() -> Self {
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let url = ["sqlite::memory:".to_owned()];
        let store = Store::open(&url, KeyRing::default()).await.unwrap();
        let discovery = crate::discovery::Config::default();
        let live = Live::start(
            store.clone(),
            crate::TICKET_ROTATION,
            discovery,
            &tasks,
            &shutdown,
        );
        let live = live.await.unwrap();
        let lifetime = crate::CERTIFICATE_LIFETIME;
        let trust = Trust::start(store, lifetime, &tasks, &shutdown).await.unwrap();
        fill(&live).await;
        let ends = Ends {
            drain: CancellationToken::new(),
            shutdown: shutdown.clone(),
        };
        let fleet = Arc::new(Fleet::new(Replica::default()));
        let mut service = FleetService::new(fleet, &live, trust, 100, tasks, ends);
        let common = &mut Arc::get_mut(&mut service.shared).unwrap().common;
        Arc::get_mut(common).unwrap().turns = Turns::of(1);
        let (connections, incoming) = mpsc::channel(16);
        let server = Server::builder()
            .add_service(service.clone())
            .serve_with_incoming(ReceiverStream::new(incoming));
        tokio::spawn(shutdown.clone().run_until_cancelled_owned(server));
        // What follows takes no time but that which it waits for.
        tokio::time::pause();
        Self {
            service,
            live,
            connections,
            open: Arc::default(),
            _shutdown: shutdown.drop_guard(),
        }
    }

    fn wire(&self) -> DuplexStream {
        let (near, far) = duplex(16 * 1024);
        let line = Line::new(Peer::Local);
        self.open.fetch_add(1, Ordering::Relaxed);
        let wire = Wire {
            io: near,
            cut: Box::pin(line.is_cut().cancelled_owned()),
            line,
            open: Arc::clone(&self.open),
        };
        self.connections.try_send(Ok(wire)).unwrap();
        far
    }

    async fn join(&self, id: &str) -> Proxy {
        Proxy::join(self.wire(), id).await
    }

    async fn join_slowly(&self, id: &str) -> Proxy {
        let reader = SlowReader {
            io: self.wire(),
            budget: 0,
            tick: Box::pin(sleep(Duration::ZERO)),
        };
        Proxy::join(reader, id).await
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Waits until that many connections are left.
    async fn until_open(&self, count: usize) {
        let closed = async {
            while self.open() > count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, closed).await.expect("closed in time");
    }

    /// Whether nobody has the turn.
    async fn is_idle(&self) -> bool {
        let mut errands = super::super::errand::Errands::default();
        errands.queue(self.service.shared.common.turns.clone(), 1);
        let turn = timeout(Duration::from_millis(1), errands.next());
        turn.await.is_ok()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Proxy {
    /// Says Hello, and reads nothing.
    async fn join(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, id: &str) -> Self {
        let mut io = Some(TokioIo::new(io));
        let connector = tower::service_fn(move |_| {
            let io = io.take().ok_or_else(|| io::Error::other("it connects once"));
            ready(io)
        });
        let endpoint = Endpoint::from_static("http://control").initial_stream_window_size(64 * 1024);
        let channel: Channel = endpoint.connect_with_connector(connector).await.unwrap();
        let (outbound, messages) = mpsc::channel(8);
        let hello = v1::Hello {
            proxy_id: id.into(),
            instance: id.into(),
            ..v1::Hello::default()
        };
        let body = Some(proxy_message::Body::Hello(hello));
        outbound.send(v1::ProxyMessage { body }).await.unwrap();
        let mut client = FleetClient::new(channel).max_decoding_message_size(16 << 20);
        let subscribed = client.subscribe(ReceiverStream::new(messages)).await;
        Self {
            outbound,
            inbound: subscribed.unwrap().into_inner(),
        }
    }

    /// Reads until an update has come; its size.
    async fn update(&mut self) -> Result<usize, Status> {
        loop {
            let message = timeout(PATIENCE, self.inbound.message())
                .await
                .expect("in time")?;
            let message = message.expect("a stream that goes on");
            let size = message.encoded_len();
            if let Some(control_message::Body::Update(update)) = message.body {
                let ack = v1::Ack {
                    history: update.history,
                    position: update.target,
                    ..v1::Ack::default()
                };
                let body = Some(proxy_message::Body::Ack(ack));
                self.outbound.send(v1::ProxyMessage { body }).await.unwrap();
                return Ok(size);
            }
        }
    }
}

/// Routes that answer with long headers.
async fn fill(live: &Live) {
    let mut yaml = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec: \
                    {gatewayClassName: sluice, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
        .to_owned();
    let text = "x".repeat(4_000);
    let headers: Vec<String> = (0..16)
        .map(|number| format!("{{name: x-{number}, value: {text}}}"))
        .collect();
    let headers = headers.join(", ");
    for route in 0..LARGE.div_ceil(16 * 16 * text.len()) {
        write!(
            yaml,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{route}}}\n\
             spec:\n  parentRefs: [{{name: edge}}]\n  rules:\n"
        )
        .unwrap();
        for rule in 0..16 {
            writeln!(
                yaml,
                "  - matches: [{{path: {{type: PathPrefix, value: /r{route}/{rule}}}}}]\n    filters: \
                 [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{headers}]}}}}]"
            )
            .unwrap();
        }
    }
    for resource in sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default").unwrap() {
        let request = WriteRequest {
            wish: Wish::Put(Box::new(resource), Precondition::None),
            dry_run: false,
            dangling: crate::compile::DanglingRefs::Refuse,
            base: None,
            author: "test".into(),
            message: String::new(),
            idempotency_key: None,
            scope: Scope::Everything,
        };
        live.write(request).await.unwrap();
    }
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_the_turn_goes_on() {
    let site = Site::start().await;
    let mut deaf = Vec::new();
    for id in ["deaf-1", "deaf-2", "deaf-3"] {
        deaf.push(site.join(id).await);
    }
    let mut reader = site.join("reader").await;
    assert!(!site.is_idle().await);
    let began = Instant::now();
    assert!(reader.update().await.unwrap() >= LARGE);
    // For each 30 s, and one more in which it could hear why.
    let waited = began.elapsed().as_secs();
    assert!((90..=95).contains(&waited), "{waited}");
    assert_eq!(site.open(), 1, "only the reader's is left");
    for mut proxy in deaf {
        // It has what it had room for, and then the end of its connection.
        assert!(proxy.update().await.is_err());
    }
    drop(reader);
    let ended = async {
        while site.open() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), ended).await.unwrap();
    assert!(site.is_idle().await);
}

#[tokio::test]
async fn a_slow_line_gets_everything_as_long_as_it_takes() {
    let site = Site::start().await;
    let mut slow = site.join_slowly("slow").await;
    let began = Instant::now();
    assert!(slow.update().await.unwrap() >= LARGE);
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(35), "{waited:?}");
    let (published, fleet) = (site.live.watch(), &site.service.shared.common.fleet);
    let (revision, all) = (published.borrow().revision(), "1".parse().unwrap());
    let receipt = fleet.wait(revision, all, PATIENCE, published).await;
    assert_eq!((receipt.fleet, receipt.applied), (1, 1));
    assert_eq!(site.open(), 1);
}

#[tokio::test]
async fn who_comes_again_after_it_was_cut_off_waits_behind_the_others() {
    let site = Site::start().await;
    let first = site.join("deaf").await;
    let other = site.join("other").await;
    // The first is cut off and comes again; the other, which is as deaf, has the turn meanwhile.
    site.until_open(1).await;
    let began = Instant::now();
    let mut again = site.join("deaf").await;
    assert!(again.update().await.unwrap() >= LARGE);
    let waited = began.elapsed().as_secs();
    assert!((29..=32).contains(&waited), "{waited}");
    drop((first, other));
}

impl Connected for Wire {
    type ConnectInfo = Line;

    fn connect_info(&self) -> Line {
        self.line.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncRead for SlowReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const TICK: Duration = Duration::from_millis(100);
        if self.tick.as_mut().poll(cx).is_ready() {
            self.budget = SLOW / 10;
            self.tick.as_mut().reset(Instant::now() + TICK);
            // Asked once more, so that it wakes whoever waits for the budget.
            let _ = self.tick.as_mut().poll(cx);
        }
        if self.budget == 0 {
            return Poll::Pending;
        }
        let mut bytes = vec![0; self.budget.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut part);
        self.budget -= part.filled().len();
        buffer.put_slice(part.filled());
        polled
    }
}

macro_rules! writes_through {
    ($end:ty) => {
        impl AsyncWrite for $end {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.io).poll_write(cx, bytes)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_flush(cx)
            }

            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.io).poll_shutdown(cx)
            }
        }
    };
}

writes_through!(Wire);
writes_through!(SlowReader);
