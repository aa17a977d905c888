//! A proxy as a control plane sees it.

use std::net::SocketAddr;

use sluice_core::{Snapshot, Update};
use sluice_model::HistoryId;
use sluice_proto::v1::{self, control_message, fleet_client::FleetClient, proxy_message::Body};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::site::PATIENCE;

/// A proxy that applies what it gets with the proxies' own code.
pub(crate) struct Proxy {
    outbound: mpsc::Sender<v1::ProxyMessage>,
    inbound: Streaming<v1::ControlMessage>,
    pub(crate) snapshot: Snapshot,
}

impl Proxy {
    /// Says hello, and takes the welcome.
    pub(crate) async fn join(grpc: SocketAddr, id: &str, instance: u8) -> Self {
        let channel = Channel::from_shared(format!("http://{grpc}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let (outbound, messages) = mpsc::channel(8);
        let hello = v1::Hello {
            proxy_id: id.into(),
            instance: vec![instance; 16],
            ..v1::Hello::default()
        };
        outbound
            .send(v1::ProxyMessage {
                body: Some(Body::Hello(hello)),
            })
            .await
            .unwrap();
        let inbound = FleetClient::new(channel)
            .subscribe(ReceiverStream::new(messages))
            .await
            .unwrap();
        let mut proxy = Self {
            outbound,
            inbound: inbound.into_inner(),
            snapshot: Snapshot::empty(HistoryId::default()),
        };
        let Some(control_message::Body::Welcome(welcome)) = proxy.receive().await else {
            panic!("the first answer is Welcome")
        };
        assert_eq!(welcome.history.len(), 16);
        proxy
    }

    /// The next message; none at the end of the stream.
    pub(crate) async fn receive(&mut self) -> Option<control_message::Body> {
        let message = tokio::time::timeout(PATIENCE, self.inbound.message())
            .await
            .expect("an answer in time");
        message.ok()?.and_then(|message| message.body)
    }

    /// Applies the next update; the number of resources that it changes.
    pub(crate) async fn step(&mut self) -> usize {
        let Some(control_message::Body::Update(update)) = self.receive().await else {
            panic!("no update")
        };
        let ack = v1::Ack {
            history: update.history.clone(),
            position: update.target.clone(),
            build_us: 7,
            ..v1::Ack::default()
        };
        let update = Update::from_wire(update).unwrap();
        self.snapshot = self.snapshot.apply(&update).unwrap();
        self.say(Body::Ack(ack)).await;
        update.difference.upserts.len()
    }

    pub(crate) async fn say(&self, body: Body) {
        self.outbound
            .send(v1::ProxyMessage { body: Some(body) })
            .await
            .unwrap();
    }

    /// Refuses the next update; the revision that it was to.
    pub(crate) async fn refuse(&mut self) -> u64 {
        let Some(control_message::Body::Update(update)) = self.receive().await else {
            panic!("no update")
        };
        let revision = update.target.as_ref().map_or(0, |target| target.revision);
        let violation = v1::Violation {
            resource: "backend/default/two".into(),
            code: "invalid".into(),
            ..v1::Violation::default()
        };
        let nack = v1::Nack {
            history: update.history,
            position: update.target,
            violations: vec![violation],
            retrying: false,
        };
        self.say(Body::Nack(nack)).await;
        revision
    }
}
