//! A control plane that does what a test says.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _};
use sluice_core::Update;
use sluice_proto::v1::{
    self, ControlMessage, ProxyMessage, control_message,
    fleet_server::{Fleet, FleetServer},
    proxy_message::Body,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

const PATIENCE: Duration = Duration::from_secs(20);

/// The control plane, as the test holds it.
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    messages: mpsc::Receiver<Body>,
    /// Where the newest stream is written to.
    stream: watch::Receiver<Option<mpsc::Sender<Result<ControlMessage, Status>>>>,
    server: JoinHandle<()>,
}

struct Service {
    messages: mpsc::Sender<Body>,
    stream: watch::Sender<Option<mpsc::Sender<Result<ControlMessage, Status>>>>,
}

#[tonic::async_trait]
impl Fleet for Service {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<ControlMessage, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<ProxyMessage>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let (sender, receiver) = mpsc::channel(16);
        self.stream.send_replace(Some(sender.clone()));
        let messages = self.messages.clone();
        let mut inbound = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(message)) = inbound.next().await {
                let body = message.body.expect("a message has a body");
                if matches!(body, Body::Hello(_)) {
                    let welcome = control_message::Body::Welcome(v1::Welcome {
                        report_interval_ms: 100,
                        ..v1::Welcome::default()
                    });
                    let _ = sender.send(Ok(ControlMessage { body: Some(welcome) })).await;
                }
                if messages.send(body).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl Control {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (messages, received) = mpsc::channel(1024);
        let (stream, newest) = watch::channel(None);
        let service = FleetServer::new(Service { messages, stream });
        let incoming = TcpListenerStream::new(listener);
        let server = tokio::spawn(async move {
            tonic::transport::Server::builder()
                .serve_with_incoming(service, incoming)
                .await
                .unwrap();
        });
        Self {
            address,
            messages: received,
            stream: newest,
            server,
        }
    }

    /// The next message that is no report.
    async fn next(&mut self) -> Body {
        let next = async {
            loop {
                match self.messages.recv().await.expect("the server runs") {
                    Body::Report(_) => {}
                    body => return body,
                }
            }
        };
        timeout(PATIENCE, next).await.expect("the proxy says nothing")
    }

    pub(crate) async fn hello(&mut self) -> v1::Hello {
        match self.next().await {
            Body::Hello(hello) => hello,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn ack(&mut self) -> v1::Ack {
        match self.next().await {
            Body::Ack(ack) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn nack(&mut self) -> v1::Nack {
        match self.next().await {
            Body::Nack(nack) => nack,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn goodbye(&mut self) {
        match self.next().await {
            Body::Goodbye(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// The next report that `wanted` finds something in.
    pub(crate) async fn report<T>(&mut self, mut wanted: impl FnMut(&v1::Report) -> Option<T>) -> T {
        let next = async {
            loop {
                if let Body::Report(report) = self.messages.recv().await.expect("the server runs")
                    && let Some(found) = wanted(&report)
                {
                    return found;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("no report says so")
    }

    pub(crate) async fn send(&self, update: &Update) {
        self.send_wire(update.to_wire()).await;
    }

    pub(crate) async fn send_wire(&self, update: v1::Update) {
        let stream = self.stream.borrow().clone().expect("a stream is open");
        let body = Some(control_message::Body::Update(update));
        stream.send(Ok(ControlMessage { body })).await.unwrap();
    }

    /// Says whose signatures count from now on.
    pub(crate) async fn trust(&self, signing_keys: Vec<Vec<u8>>) {
        let stream = self.stream.borrow().clone().expect("a stream is open");
        let body = Some(control_message::Body::Bundle(v1::Bundle {
            authorities: Vec::new(),
            signing_keys,
        }));
        stream.send(Ok(ControlMessage { body })).await.unwrap();
    }

    /// Goes away with all its streams, as a process that is killed.
    pub(crate) async fn stop(self) -> SocketAddr {
        self.server.abort();
        let _ = self.server.await;
        let stream = self.stream.borrow().clone();
        if let Some(stream) = stream {
            let _ = stream.send(Err(Status::unavailable("killed"))).await;
        }
        self.address
    }
}
