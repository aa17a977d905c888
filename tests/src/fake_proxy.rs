//! A proxy that says what a test tells it to say.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sluice_core::complete;
use sluice_model::HistoryId;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::fleet_client::FleetClient;
use sluice_proto::v1::{
    Ack, ControlMessage, Goodbye, Hello, Label, Nack, Position, ProxyMessage, Update, Violation,
    control_message, proxy_message,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Largest update that is taken, in bytes.
const MESSAGE: usize = 64 << 20;

/// Longest wait for a message that is on its way.
const SOON: Duration = Duration::from_secs(10);

/// One stream to a control plane.
#[derive(Debug)]
pub struct FakeProxy {
    to_control: mpsc::Sender<ProxyMessage>,
    from_control: Streaming<ControlMessage>,
    /// That of what it was sent last.
    history: HistoryId,
}

impl FakeProxy {
    /// Subscribes as `id`, holding nothing, and takes the welcome.
    ///
    /// # Errors
    /// When the control plane does not welcome it.
    pub async fn join(grpc: SocketAddr, id: &str) -> anyhow::Result<Self> {
        Self::say_hello(grpc, newcomer(id)).await
    }

    /// As [`FakeProxy::join`], with labels.
    ///
    /// # Errors
    /// When the control plane does not welcome it.
    pub async fn labelled(grpc: SocketAddr, id: &str, labels: &[(&str, &str)]) -> anyhow::Result<Self> {
        let label = |(name, value): &(&str, &str)| Label {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let hello = Hello {
            labels: labels.iter().map(label).collect(),
            ..newcomer(id)
        };
        Self::say_hello(grpc, hello).await
    }

    /// Subscribes with this hello and takes the welcome.
    ///
    /// # Errors
    /// When the control plane does not welcome it.
    pub async fn say_hello(grpc: SocketAddr, hello: Hello) -> anyhow::Result<Self> {
        let client = FleetClient::connect(format!("http://{grpc}")).await?;
        let (to_control, outgoing) = mpsc::channel(16);
        let history = HistoryId::try_from(&*hello.history).unwrap_or_default();
        to_control
            .send(message(proxy_message::Body::Hello(hello)))
            .await?;
        let mut client = client.max_decoding_message_size(MESSAGE);
        let from_control = client
            .subscribe(ReceiverStream::new(outgoing))
            .await?
            .into_inner();
        let mut proxy = Self {
            to_control,
            from_control,
            history,
        };
        match proxy.next().await? {
            control_message::Body::Welcome(_) => Ok(proxy),
            other => bail!("no welcome but {other:?}"),
        }
    }

    /// The next update; whom to trust is passed over.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn update(&mut self) -> anyhow::Result<Update> {
        loop {
            match self.next().await? {
                control_message::Body::Update(mut update) => {
                    complete(&mut update, self.history);
                    self.history = HistoryId::try_from(&*update.history)?;
                    return Ok(update);
                }
                control_message::Body::Bundle(_) => {}
                other => bail!("no update but {other:?}"),
            }
        }
    }

    /// Takes this update as its own.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn ack(&self, update: &Update) -> anyhow::Result<()> {
        let ack = Ack {
            history: update.history.clone(),
            position: update.target.clone(),
            build_us: 1,
            ..Ack::default()
        };
        Ok(self
            .to_control
            .send(message(proxy_message::Body::Ack(ack)))
            .await?)
    }

    /// Refuses this update for one reason.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn nack(&self, update: &Update, violation: Violation) -> anyhow::Result<()> {
        let nack = Nack {
            history: update.history.clone(),
            position: update.target.clone(),
            violations: vec![violation],
            retrying: false,
        };
        Ok(self
            .to_control
            .send(message(proxy_message::Body::Nack(nack)))
            .await?)
    }

    /// Says goodbye and waits for the end of the stream.
    ///
    /// # Errors
    /// When the stream has ended before.
    pub async fn leave(mut self) -> anyhow::Result<()> {
        let reason = String::from("it was here to look");
        let goodbye = proxy_message::Body::Goodbye(Goodbye { reason });
        self.to_control.send(message(goodbye)).await?;
        drop(self.to_control);
        // In good order or not: it is over.
        while let Ok(Some(_)) = self.from_control.message().await {}
        Ok(())
    }

    /// Waits for `span`, in which nothing may come.
    ///
    /// # Errors
    /// When something does, or the stream ends.
    pub async fn quiet(&mut self, span: Duration) -> anyhow::Result<()> {
        match timeout(span, self.from_control.message()).await {
            Err(_) => Ok(()),
            Ok(message) => bail!("not quiet: {message:?}"),
        }
    }

    /// The next message, as it travels.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn next(&mut self) -> anyhow::Result<control_message::Body> {
        let message = timeout(SOON, self.from_control.message())
            .await
            .context("no message")??;
        message
            .and_then(|message| message.body)
            .context("the stream has ended")
    }
}

fn newcomer(id: &str) -> Hello {
    Hello {
        proxy_id: id.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wire_version: WIRE_VERSION,
        instance: vec![7; 16],
        ..Hello::default()
    }
}

/// The revision of an update's target; 0 without one.
pub fn revision(update: &Update) -> u64 {
    update
        .target
        .as_ref()
        .map_or(0, |Position { revision, .. }| *revision)
}

fn message(body: proxy_message::Body) -> ProxyMessage {
    ProxyMessage { body: Some(body) }
}
