//! A proxy that speaks the fleet's protocol and says what a test tells it to.

use std::time::Duration;

use sluice_core::complete;
use sluice_model::HistoryId;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::control_message::Body as FromControl;
use sluice_proto::v1::fleet_client::FleetClient;
use sluice_proto::v1::proxy_message::Body as ToControl;
use sluice_proto::v1::{
    Ack, BoundListener, ControlMessage, Hello, Label, Nack, ProxyMessage, Update, Violation,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::server::Server;

/// Longest wait for what is on its way.
const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Proxy {
    outgoing: mpsc::Sender<ProxyMessage>,
    incoming: Streaming<ControlMessage>,
    /// That of what it was sent last.
    history: HistoryId,
}

impl Proxy {
    /// Connects as `id`, holding nothing.
    pub(crate) async fn join(server: &Server, id: &str) -> Self {
        Self::labelled(server, id, &[]).await
    }

    /// Connects as `id` with these labels, holding nothing.
    pub(crate) async fn labelled(server: &Server, id: &str, labels: &[(&str, &str)]) -> Self {
        let mut client = FleetClient::connect(server.grpc().await).await.unwrap();
        let (outgoing, messages) = mpsc::channel(4);
        let hello = Hello {
            proxy_id: id.into(),
            version: "1.2.3".into(),
            wire_version: WIRE_VERSION,
            instance: vec![1; 16],
            labels: labels
                .iter()
                .map(|(name, value)| Label {
                    name: (*name).into(),
                    value: (*value).into(),
                })
                .collect(),
            ..Hello::default()
        };
        let body = Some(ToControl::Hello(hello));
        outgoing.send(ProxyMessage { body }).await.unwrap();
        let incoming = client.subscribe(ReceiverStream::new(messages)).await.unwrap();
        let mut proxy = Self {
            outgoing,
            incoming: incoming.into_inner(),
            history: HistoryId::default(),
        };
        assert!(matches!(proxy.next().await, FromControl::Welcome(_)));
        proxy
    }

    /// The next update.
    pub(crate) async fn update(&mut self) -> Update {
        match self.next().await {
            FromControl::Update(mut update) => {
                complete(&mut update, self.history);
                self.history = HistoryId::try_from(&*update.history).unwrap();
                update
            }
            other => panic!("no update but {other:?}"),
        }
    }

    /// Takes the update as its own.
    pub(crate) async fn ack(&self, update: &Update) {
        let listener = BoundListener {
            listener: "listener/default/edge/http".into(),
            address: "127.0.0.1:7480".into(),
        };
        let ack = Ack {
            history: update.history.clone(),
            position: update.target.clone(),
            listeners: vec![listener],
            ..Ack::default()
        };
        self.send(ToControl::Ack(ack)).await;
    }

    /// Refuses the update for good.
    pub(crate) async fn nack(&self, update: &Update) {
        let violation = Violation {
            resource: "listener/default/edge/http".into(),
            field: "port".into(),
            code: "local".into(),
            message: "taken".into(),
        };
        let nack = Nack {
            history: update.history.clone(),
            position: update.target.clone(),
            violations: vec![violation],
            retrying: false,
        };
        self.send(ToControl::Nack(nack)).await;
    }

    async fn send(&self, body: ToControl) {
        let message = ProxyMessage { body: Some(body) };
        self.outgoing.send(message).await.unwrap();
    }

    async fn next(&mut self) -> FromControl {
        let message = tokio::time::timeout(SOON, self.incoming.message()).await;
        message.unwrap().unwrap().unwrap().body.unwrap()
    }
}
