//! The thin task around one stream's [`Machine`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sluice_model::{HistoryId, Position};
use sluice_proto::v1::{self, control_message::Body, proxy_message};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::answers::{Gone, Outbound};
use super::encode::{Encoder, Form, message};
use super::errand::{Errands, Turns};
use super::machine::{Action, Admitted, Closed, Event, Fact, Machine};
use super::registry::{Fleet, Joining, StreamId};
use super::stopwatch::Stopwatch;
use crate::clock;
use crate::compile::ViewKey;
use crate::live::{Published, Versions};
use crate::measures::Measures;
use crate::trust::{self, Line, Peer, Standing, Stranger, Trust};

/// How often proxies report, in milliseconds.
const REPORT_INTERVAL_MS: u32 = 1_000;

/// What all streams share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) fleet: Arc<Fleet>,
    pub(super) encoder: Encoder,
    pub(super) versions: Versions,
    pub(super) turns: Turns,
    pub(super) measures: Measures,
}

/// How streams end with the control plane.
#[derive(Clone, Debug)]
pub struct Ends {
    /// Proxies are to move to other replicas.
    pub drain: CancellationToken,
    /// Streams end.
    pub shutdown: CancellationToken,
}

pub(super) struct Stream {
    common: Arc<Common>,
    errands: Errands,
    stopwatch: Stopwatch,
    published: watch::Receiver<Arc<Published>>,
    trust: Trust,
    line: Line,
    standing: watch::Receiver<Option<Arc<Standing>>>,
    /// What the proxy was last told to trust, and what its updates are signed with.
    told: Option<Arc<Standing>>,
    outbound: Outbound,
    id: StreamId,
    /// Cancelled when another process takes over the proxy's id, or it is forgotten or revoked.
    displaced: CancellationToken,
    /// There is room for what the proxy told of its endpoints, and was not before.
    recount: Arc<Notify>,
    /// How its proxy reads updates.
    form: Form,
}

/// Time in which the proxies are told to move when the control plane stops, one after the other.
pub(crate) const DRAIN: Duration = Duration::from_secs(2);

/// How long a proxy may take to hear why its stream ends.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Messages that a stream may still have waiting when a deadline is over: they were in time, maybe.
const MAX_LATE: u8 = 16;

/// Nothing more is to be done.
struct Ended;

impl Stream {
    /// A stream of `peer`. `displaced` ends it, and has to be cancelled with everything.
    pub(super) fn new(
        common: Arc<Common>,
        published: watch::Receiver<Arc<Published>>,
        (trust, line): (Trust, Line),
        outbound: Outbound,
        displaced: CancellationToken,
    ) -> Self {
        let id = common.fleet.next_stream();
        Self {
            stopwatch: Stopwatch::new(common.measures.clone()),
            common,
            errands: Errands::default(),
            published,
            standing: trust.watch(),
            told: None,
            trust,
            line,
            outbound,
            id,
            displaced,
            recount: Arc::default(),
            form: Form::Whole,
        }
    }

    /// Serves until either side ends it.
    pub(super) async fn run(mut self, mut inbound: Streaming<v1::ProxyMessage>, ends: Ends) {
        let Ends { drain, shutdown } = ends;
        // Nothing that waits for the proxy outlasts this; what ended it is looked at first of all.
        let cut = self.displaced.clone();
        let (mut move_at, mut told) = (None, false);
        let mut late: u8 = 0;
        let published = Arc::clone(&self.published.borrow_and_update());
        let mut machine = Machine::new(published, Instant::now());
        loop {
            let event = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = cut.cancelled() => {
                    self.end(self.displacement()).await;
                    break;
                }
                () = self.outbound.closed() => break,
                () = drain.cancelled(), if move_at.is_none() => {
                    move_at = Some(Instant::now() + self.id.share_of(DRAIN));
                    continue;
                }
                () = until(move_at), if !told => {
                    told = true;
                    let tell = self.send(message(Body::Drain(v1::Drain {})));
                    match cut.run_until_cancelled(tell).await {
                        Some(Ok(())) | None => continue,
                        Some(Err(Ended)) => break,
                    }
                }
                () = until(machine.deadline()) => {
                    // After a pause of this process the answer may be here already.
                    let waiting = match late < MAX_LATE {
                        true => inbound.message().now_or_never(),
                        false => None,
                    };
                    late = late.saturating_add(1);
                    match waiting {
                        None => Event::Tick(self.outbound.left()),
                        Some(heard) => match self.heard(heard, &cut).await {
                            Ok(Some(event)) => event,
                            Ok(None) => continue,
                            Err(Ended) => break,
                        },
                    }
                }
                heard = inbound.message() => {
                    late = 0;
                    match self.heard(heard, &cut).await {
                        Ok(Some(event)) => event,
                        Ok(None) => continue,
                        Err(Ended) => break,
                    }
                }
                changed = self.published.changed() => match changed {
                    Ok(()) => Event::Published(Arc::clone(&self.published.borrow_and_update())),
                    Err(_) => break,
                },
                Ok(()) = self.standing.changed(), if self.told.is_some() => {
                    match cut.run_until_cancelled(self.tell()).await {
                        Some(Ok(())) | None => continue,
                        Some(Err(Ended)) => break,
                    }
                }
                () = self.recount.notified() => {
                    let ask = self.send(message(Body::Recount(v1::Recount {})));
                    match cut.run_until_cancelled(ask).await {
                        Some(Ok(())) | None => continue,
                        Some(Err(Ended)) => break,
                    }
                }
                event = self.errands.next() => event,
            };
            let actions = machine.on(event, Instant::now());
            let performing = self.perform(&mut machine, actions);
            match cut.run_until_cancelled(performing).await {
                Some(Ok(())) if machine.has_turn() => {}
                Some(Ok(())) => self.errands.done(),
                Some(Err(Ended)) => break,
                None => {}
            }
        }
        self.common.fleet.disconnected(self.id, Instant::now());
        let finishing = self.finish(inbound, machine.has_sent());
        shutdown.run_until_cancelled(finishing).await;
    }

    /// What came over the stream as an event; nothing when the stream is `cut` meanwhile.
    async fn heard(
        &mut self,
        message: Result<Option<v1::ProxyMessage>, Status>,
        cut: &CancellationToken,
    ) -> Result<Option<Event>, Ended> {
        let Ok(Some(message)) = message else {
            return Err(Ended);
        };
        let identified = cut.run_until_cancelled(self.identify(message)).await;
        Ok(identified.transpose()?.map(Event::Message))
    }

    /// Sees to it that nothing is kept for a proxy that does not read: when it has not taken all within
    /// [`LAST_WORD`], nor closed its end although an update `was_sent`, its connection is cut. Only then
    /// another stream has the turn.
    async fn finish(self, mut inbound: Streaming<v1::ProxyMessage>, was_sent: bool) {
        let gone = self.outbound.gone();
        drop(self.outbound);
        let hears = async {
            gone.cancelled().await;
            while was_sent && matches!(inbound.message().await, Ok(Some(_))) {}
        };
        if timeout(LAST_WORD, hears).await.is_err() {
            tracing::info!(stream = %self.id, "connection cut: its proxy does not take what it is sent");
            self.line.cut();
            // The connection has to see it first; others do not wait for one that does not.
            let _ = timeout(LAST_WORD, gone.cancelled()).await;
        }
        drop(self.errands);
    }

    async fn perform(&mut self, machine: &mut Machine, actions: Vec<Action>) -> Result<(), Ended> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Join(hello, holds, view) => {
                    let admitted = self.join(&hello, holds, view).await?;
                    self.stopwatch.admitted(Instant::now());
                    actions.extend(machine.on(Event::Admitted(admitted), Instant::now()));
                }
                Action::Welcome => {
                    let welcome = message(Body::Welcome(self.welcome()));
                    self.send(welcome).await?;
                }
                Action::Find(history, position) => {
                    self.errands.find(self.common.versions.clone(), history, position);
                }
                Action::Retreat(parked) => {
                    let (now, published) = (Instant::now(), Arc::clone(&self.published.borrow()));
                    let before = self.common.fleet.before(self.id, parked, &published, now);
                    actions.extend(machine.on(Event::Before(before), now));
                }
                Action::Queue(resources) => self.errands.queue(self.common.turns.clone(), resources),
                Action::Send { base, target } => {
                    let signer = self.told.as_deref().map(Standing::signer);
                    let update = self
                        .common
                        .encoder
                        .update(base.as_deref(), &target, signer, self.form);
                    self.send(update).await?;
                    let now = Instant::now();
                    self.stopwatch.sent(base.as_deref(), &target, now);
                    actions.extend(machine.on(Event::Sent(self.outbound.left()), now));
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
        &mut self,
        hello: &v1::Hello,
        holds: Option<(HistoryId, Position)>,
        view: ViewKey,
    ) -> Result<Admitted, Ended> {
        self.form = Form::of(hello.wire_version);
        let published = Arc::clone(&self.published.borrow());
        let stream = Joining {
            stream: self.id,
            holds,
            view,
            peer: self.line.peer.clone(),
            displace: self.displaced.clone(),
            recount: Arc::clone(&self.recount),
            standing: self.standing.borrow().clone(),
        };
        let fleet = &self.common.fleet;
        let joined = fleet.join(hello, stream, &published, Instant::now());
        let refusal = match (joined, self.stands()) {
            (Ok(admitted), Ok(())) => return Ok(admitted),
            (Err(refusal), _) => Status::failed_precondition(refusal.to_string()),
            // Revoked just now, while nobody could find the stream yet.
            (Ok(_), Err(reason)) => trust::stranger(reason),
        };
        self.end(refusal).await;
        Err(Ended)
    }

    /// Lets a Hello through of somebody who may be who it says, with the labels that its identity
    /// gives it in the place of those that it says.
    async fn identify(&mut self, mut message: v1::ProxyMessage) -> Result<v1::ProxyMessage, Ended> {
        if let Some(proxy_message::Body::Hello(hello)) = &mut message.body {
            match self.trust.admit(&self.line.peer, &hello.proxy_id).await {
                Ok(Some(identity)) => hello.labels = trust::overlay(&hello.labels, &identity.labels),
                Ok(None) => {}
                Err(reason) => {
                    self.end(trust::stranger(reason)).await;
                    return Err(Ended);
                }
            }
        }
        Ok(message)
    }

    /// Whether the peer may still be here.
    fn stands(&self) -> Result<(), Stranger> {
        match &self.line.peer {
            Peer::Proxy(proxy) => self.trust.check(proxy),
            Peer::Local => Ok(()),
            Peer::Stranger => Err(Stranger::NoCertificate),
        }
    }

    /// Why the stream is cut.
    fn displacement(&self) -> Status {
        match self.stands() {
            Ok(()) => Status::aborted("another process has this id, or it was forgotten"),
            Err(reason) => trust::stranger(reason),
        }
    }

    /// Tells the proxy whom to trust from now on, before anything that needs it.
    async fn tell(&mut self) -> Result<(), Ended> {
        let standing = self.standing.borrow_and_update().clone();
        let bundle = |standing: &Option<Arc<Standing>>| standing.as_ref().map(|one| one.bundle().clone());
        let (before, now) = (bundle(&self.told), bundle(&standing));
        if let Some(now) = now.filter(|now| before.as_ref() != Some(now)) {
            self.send(message(Body::Bundle(now))).await?;
        }
        self.told = standing;
        Ok(())
    }

    fn note(&mut self, fact: Fact) {
        let now = Instant::now();
        match fact {
            Fact::Applied(ack, history, position) => {
                self.stopwatch.applied(&ack, (history, position), now);
                let published = Arc::clone(&self.published.borrow());
                self.common
                    .fleet
                    .applied(self.id, *ack, (history, position), &published, now);
            }
            Fact::Refused(nack, history, revision) => {
                self.stopwatch.refused();
                let at = clock::wall();
                self.common.fleet.refused(self.id, *nack, (history, revision), at);
            }
            Fact::Viewed(view) => self.common.fleet.viewed(self.id, view, Instant::now()),
            Fact::Reported(report) => self.common.fleet.reported(self.id, *report),
            Fact::Left => self.common.fleet.left(self.id),
        }
    }

    fn welcome(&mut self) -> v1::Welcome {
        self.told = self.standing.borrow_and_update().clone();
        let key = self.common.fleet.samples().key();
        v1::Welcome {
            history: self.published.borrow().version.history.0.to_vec(),
            wire_version: sluice_proto::WIRE_VERSION,
            report_interval_ms: REPORT_INTERVAL_MS,
            control_id: self.common.fleet.replica().id.clone(),
            bundle: self.told.as_ref().map(|standing| standing.bundle().clone()),
            reconnect_spread_ms: self.common.fleet.reconnect_spread_ms(),
            sample_key: key.map(|key| key.expose().to_vec()).unwrap_or_default(),
            sample_kinds: self.common.fleet.sample_kinds(),
        }
    }

    /// Waits while the proxy does not read; it only holds itself up. A proxy that is gone is found
    /// out by HTTP/2 pings.
    async fn send(&mut self, bytes: bytes::Bytes) -> Result<(), Ended> {
        self.outbound.send(bytes).await.map_err(|Gone| Ended)
    }

    async fn end(&mut self, status: Status) {
        tracing::info!(stream = %self.id, reason = status.message(), "stream ended");
        // The proxy may be gone already, and whoever reads nothing hears nothing.
        let _ = timeout(LAST_WORD, self.outbound.end(status)).await;
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
