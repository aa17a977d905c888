//! A control plane that says what a test tells it to say.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::fleet_server::{Fleet, FleetServer};
use sluice_proto::v1::{
    ControlMessage, Hello, ProxyMessage, Report, Update, Welcome, control_message, proxy_message,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::servers::{DataPlane, command};

/// Longest wait for a message that is on its way.
const SOON: Duration = Duration::from_secs(10);

/// Listens on a free port of 127.0.0.1, until dropped.
#[derive(Debug)]
pub struct FakeControl {
    /// Where proxies connect.
    pub grpc: SocketAddr,
    /// The version of the wire format that it says it speaks.
    pub wire_version: u32,
    streams: mpsc::Receiver<Stream>,
    serving: AbortHandle,
}

/// One proxy's stream, after its hello.
#[derive(Debug)]
pub struct Stream {
    /// What the proxy said first.
    pub hello: Hello,
    to_proxy: mpsc::Sender<Result<ControlMessage, Status>>,
    from_proxy: Streaming<ProxyMessage>,
    /// Reports that came while something else was waited for, the first one first.
    passed_over: VecDeque<Report>,
}

#[derive(Debug)]
struct Service(mpsc::Sender<Stream>);

impl FakeControl {
    /// Listens.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let grpc = listener.local_addr()?;
        let (sender, streams) = mpsc::channel(16);
        let serving = tokio::spawn(
            Server::builder()
                .add_service(FleetServer::new(Service(sender)))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Ok(Self {
            grpc,
            wire_version: WIRE_VERSION,
            streams,
            serving: serving.abort_handle(),
        })
    }

    /// Starts the proxy `edge-1`, which connects here and has its state under `directory`, on free ports of
    /// 127.0.0.1. `options` are further ones; they say how many workers it has.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn proxy(&self, directory: &Path, options: &[&str]) -> anyhow::Result<DataPlane> {
        let mut binary = command("sluice-proxy", None)?;
        binary.args(["--bind", "127.0.0.1", "--port-map", "80=0"]);
        binary.args(options);
        DataPlane::start(binary, "edge-1", self.grpc, directory).await
    }

    /// The next proxy that subscribes; it has been welcomed to `history`.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn subscribed(&mut self, history: [u8; 16]) -> anyhow::Result<Stream> {
        let stream = timeout(SOON, self.streams.recv())
            .await
            .context("nobody subscribes")?;
        let stream = stream.context("the server has ended")?;
        let welcome = Welcome {
            history: history.to_vec(),
            wire_version: self.wire_version,
            report_interval_ms: 1_000,
            control_id: "fake".to_owned(),
            bundle: None,
            reconnect_spread_ms: 0,
            sample_key: Vec::new(),
            sample_kinds: 0,
        };
        stream.say(control_message::Body::Welcome(welcome)).await?;
        Ok(stream)
    }
}

impl Drop for FakeControl {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stream {
    /// Sends an update.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn update(&self, update: Update) -> anyhow::Result<()> {
        self.say(control_message::Body::Update(update)).await
    }

    /// Sends a message of a kind that the proxy does not know, which reads like one that says nothing.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn unknown(&self) -> anyhow::Result<()> {
        Ok(self.to_proxy.send(Ok(ControlMessage { body: None })).await?)
    }

    /// What the proxy says next, other than reports.
    ///
    /// # Errors
    /// When it says nothing soon.
    pub async fn next(&mut self) -> anyhow::Result<proxy_message::Body> {
        let next = async {
            loop {
                match self.any().await? {
                    proxy_message::Body::Report(report) => self.passed_over.push_back(report),
                    other => return Ok(other),
                }
            }
        };
        timeout(SOON, next).await.context("the proxy says nothing")?
    }

    /// The proxy's next report that was not taken yet.
    ///
    /// # Errors
    /// When there is none soon.
    pub async fn report(&mut self) -> anyhow::Result<Report> {
        if let Some(report) = self.passed_over.pop_front() {
            return Ok(report);
        }
        let next = async {
            loop {
                if let proxy_message::Body::Report(report) = self.any().await? {
                    return Ok(report);
                }
            }
        };
        timeout(SOON, next).await.context("the proxy does not report")?
    }

    async fn any(&mut self) -> anyhow::Result<proxy_message::Body> {
        let message = self.from_proxy.message().await?;
        message
            .and_then(|message| message.body)
            .context("the stream has ended")
    }

    async fn say(&self, body: control_message::Body) -> anyhow::Result<()> {
        Ok(self
            .to_proxy
            .send(Ok(ControlMessage { body: Some(body) }))
            .await?)
    }
}

#[tonic::async_trait]
impl Fleet for Service {
    type SubscribeStream = ReceiverStream<Result<ControlMessage, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let mut from_proxy = request.into_inner();
        let first = from_proxy.message().await?.and_then(|message| message.body);
        let Some(proxy_message::Body::Hello(hello)) = first else {
            return Err(Status::invalid_argument("no hello"));
        };
        let (to_proxy, outgoing) = mpsc::channel(16);
        let stream = Stream {
            hello,
            to_proxy,
            from_proxy,
            passed_over: VecDeque::new(),
        };
        self.0
            .send(stream)
            .await
            .map_err(|_| Status::unavailable("the test has ended"))?;
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}
