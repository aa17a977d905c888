//! The connection to a control plane: what is said and heard over it.

use std::{pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use sluice_proto::v1::{self, fleet_client::FleetClient, proxy_message::Body};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::machine::Event;
use crate::identity::ConnectError;

/// Largest message: a full snapshot of a very large table.
const MAX_MESSAGE: usize = 256 * 1024 * 1024;
/// Messages on their way out. One update is under way at a time, so only reports could fill it.
const OUTBOUND: usize = 16;
/// Time for Goodbye to get out.
const FAREWELL: Duration = Duration::from_secs(1);

type Inbound = Pin<Box<dyn Stream<Item = Result<v1::ControlMessage, tonic::Status>> + Send>>;

/// The connection, as far as it is.
pub(super) enum Link {
    Down,
    Connecting(usize, BoxFuture<'static, Result<Channel, ConnectError>>),
    Up {
        address: usize,
        outbound: mpsc::Sender<v1::ProxyMessage>,
        inbound: Inbound,
    },
}

impl Link {
    /// What the connection has to say next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        match self {
            Self::Down => std::future::pending().await,
            Self::Connecting(address, connecting) => match connecting.await {
                Ok(channel) => {
                    *self = Self::up(*address, channel);
                    Event::Connected
                }
                Err(error) => {
                    match error.is_routine() {
                        true => tracing::debug!(%error, "no connection to the control plane"),
                        false => tracing::warn!(%error, "no connection to the control plane"),
                    }
                    Event::Lost
                }
            },
            Self::Up { inbound, .. } => match inbound.next().await {
                Some(Ok(v1::ControlMessage { body: Some(body) })) => Event::Received(body),
                // From a newer control plane than this: it is passed over.
                Some(Ok(v1::ControlMessage { body: None })) => Event::Time,
                None => Event::Lost,
                Some(Err(status)) => {
                    tracing::info!(code = %status.code(), message = status.message(), "control plane lost");
                    Event::Lost
                }
            },
        }
    }

    fn up(address: usize, channel: Channel) -> Self {
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let mut client = FleetClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        // The answer may only come once Hello has: it is waited for together with the messages.
        let subscribing = async move { client.subscribe(ReceiverStream::new(messages)).await };
        let inbound = stream::once(subscribing)
            .map_ok(tonic::Response::into_inner)
            .try_flatten();
        Self::Up {
            address,
            outbound,
            inbound: Box::pin(inbound),
        }
    }

    /// What the stream's messages are put into.
    pub(super) fn outbound(&self) -> Option<mpsc::Sender<v1::ProxyMessage>> {
        match self {
            Self::Up { outbound, .. } => Some(outbound.clone()),
            Self::Down | Self::Connecting(..) => None,
        }
    }

    /// Sends; a peer that takes nothing is as good as gone, and its keep-alive will tell.
    pub(super) fn send(&mut self, body: Body) {
        if let Self::Up { outbound, .. } = self
            && outbound.try_send(v1::ProxyMessage { body: Some(body) }).is_err()
        {
            *self = Self::Down;
        }
    }

    /// Ends the stream in order: what was sent arrives.
    pub(super) async fn close(self) {
        if let Self::Up {
            outbound,
            mut inbound,
            ..
        } = self
        {
            drop(outbound);
            let end = async { while let Some(Ok(_)) = inbound.next().await {} };
            let _ = tokio::time::timeout(FAREWELL, end).await;
        }
    }
}
