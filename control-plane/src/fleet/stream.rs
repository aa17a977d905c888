//! The thin task around one stream's [`Machine`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sluice_model::{HistoryId, Position};
use sluice_proto::v1::{self, control_message::Body};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::encode::{Encoder, message};
use super::machine::{Action, Admitted, Closed, Event, Fact, Machine};
use super::registry::{Fleet, Joining, StreamId};
use crate::compile::ViewKey;
use crate::live::Published;

/// How often proxies report, in milliseconds.
const REPORT_INTERVAL_MS: u32 = 1_000;

/// How streams end with the control plane.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Proxies are to move to other replicas.
    pub drain: CancellationToken,
    /// Streams end.
    pub shutdown: CancellationToken,
}

pub(super) struct Stream {
    fleet: Arc<Fleet>,
    encoder: Arc<Encoder>,
    published: watch::Receiver<Arc<Published>>,
    outbound: mpsc::Sender<Result<bytes::Bytes, Status>>,
    id: StreamId,
    /// Cancelled when another process takes over the proxy's id, or it is forgotten.
    displaced: CancellationToken,
}

/// Time in which the proxies are told to move when the control plane stops, one after the other.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);

/// Nothing more is to be done.
struct Ended;

impl Stream {
    pub(super) fn new(
        fleet: Arc<Fleet>,
        encoder: Arc<Encoder>,
        published: watch::Receiver<Arc<Published>>,
        outbound: mpsc::Sender<Result<bytes::Bytes, Status>>,
    ) -> Self {
        let id = fleet.next_stream();
        Self {
            fleet,
            encoder,
            published,
            outbound,
            id,
            displaced: CancellationToken::new(),
        }
    }

    /// Serves until either side ends it.
    pub(super) async fn run(mut self, mut inbound: Streaming<v1::ProxyMessage>, ends: Ends) {
        let Ends { drain, shutdown } = ends;
        let (mut move_at, mut told) = (None, false);
        let published = Arc::clone(&self.published.borrow_and_update());
        let mut machine = Machine::new(published, Instant::now());
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => break,
                () = drain.cancelled(), if move_at.is_none() => {
                    move_at = Some(Instant::now() + self.id.share_of(DRAIN));
                    continue;
                }
                () = until(move_at), if !told => {
                    told = true;
                    let tell = self.send(message(Body::Drain(v1::Drain {})));
                    match shutdown.run_until_cancelled(tell).await {
                        Some(Ok(())) => continue,
                        Some(Err(Ended)) | None => break,
                    }
                }
                () = self.displaced.cancelled() => {
                    self.end(Status::aborted("another process has this id, or it was forgotten")).await;
                    break;
                }
                () = self.outbound.closed() => break,
                message = inbound.message() => match message {
                    Ok(Some(message)) => Event::Message(message),
                    Ok(None) | Err(_) => break,
                },
                changed = self.published.changed() => match changed {
                    Ok(()) => Event::Published(Arc::clone(&self.published.borrow_and_update())),
                    Err(_) => break,
                },
                () = until(machine.deadline()) => Event::Tick,
            };
            let actions = machine.on(event, Instant::now());
            match shutdown
                .run_until_cancelled(self.perform(&mut machine, actions))
                .await
            {
                Some(Ok(())) => {}
                Some(Err(Ended)) | None => break,
            }
        }
        self.fleet.disconnected(self.id, Instant::now());
    }

    async fn perform(&self, machine: &mut Machine, actions: Vec<Action>) -> Result<(), Ended> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Join(hello, holds, view) => {
                    let admitted = self.join(&hello, holds, view).await?;
                    actions.extend(machine.on(Event::Admitted(admitted), Instant::now()));
                }
                Action::Welcome => self.send(message(Body::Welcome(self.welcome()))).await?,
                Action::Send { base, target } => {
                    self.send(self.encoder.update(base.as_deref(), &target)).await?;
                }
                Action::Note(fact) => self.note(fact),
                Action::Close(Closed::Goodbye) => return Err(Ended),
                Action::Close(reason) => {
                    self.end(Status::failed_precondition(reason.to_string())).await;
                    return Err(Ended);
                }
            }
        }
        Ok(())
    }

    async fn join(
        &self,
        hello: &v1::Hello,
        holds: Option<(HistoryId, Position)>,
        view: ViewKey,
    ) -> Result<Admitted, Ended> {
        let published = Arc::clone(&self.published.borrow());
        let stream = Joining {
            stream: self.id,
            holds,
            view,
            displace: self.displaced.clone(),
        };
        match self.fleet.join(hello, stream, &published, Instant::now()) {
            Ok(admitted) => Ok(admitted),
            Err(refusal) => {
                self.end(Status::failed_precondition(refusal.to_string())).await;
                Err(Ended)
            }
        }
    }

    fn note(&self, fact: Fact) {
        let now = Instant::now();
        match fact {
            Fact::Applied(ack, history, position) => {
                let published = Arc::clone(&self.published.borrow());
                self.fleet
                    .applied(self.id, *ack, (history, position), &published, now);
            }
            Fact::Refused(nack, history, revision) => self.fleet.refused(self.id, *nack, history, revision),
            Fact::Viewed(view) => self.fleet.viewed(self.id, view),
            Fact::Reported(report) => self.fleet.reported(self.id, *report, now),
            Fact::Left => self.fleet.left(self.id),
        }
    }

    fn welcome(&self) -> v1::Welcome {
        v1::Welcome {
            history: self.published.borrow().version.history.0.to_vec(),
            wire_version: sluice_proto::WIRE_VERSION,
            report_interval_ms: REPORT_INTERVAL_MS,
            control_id: self.fleet.replica().id.clone(),
        }
    }

    /// Waits while the proxy does not read; it only holds itself up. A proxy that is gone is found
    /// out by HTTP/2 pings.
    async fn send(&self, bytes: bytes::Bytes) -> Result<(), Ended> {
        self.outbound.send(Ok(bytes)).await.map_err(|_| Ended)
    }

    async fn end(&self, status: Status) {
        tracing::info!(stream = %self.id, reason = status.message(), "stream ended");
        // The proxy may be gone already.
        let _ = self.outbound.send(Err(status)).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
