//! Does what the machine decides: connects, sends, receives, waits.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use sluice_core::Millis;
use sluice_proto::v1;
use sluice_tls::Verifiers;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Identity, Order, Outcome,
    link::Link,
    machine::{Action, Event, Machine, Moment},
};
use crate::{
    clock::Clock,
    debug::Signers,
    identity::Credentials,
    status::{ControlLink, Status},
    worker::Random,
};

/// What the stream is tied to.
pub(crate) struct Channels {
    /// Updates to build.
    pub(crate) updates: mpsc::Sender<Order>,
    /// What became of them.
    pub(crate) outcomes: mpsc::Receiver<Outcome>,
    /// Reports to send.
    pub(crate) reports: mpsc::Receiver<v1::Report>,
    pub(crate) status: watch::Sender<Status>,
    /// Who this proxy is.
    pub(crate) credentials: Credentials,
    /// Told who signs, whenever the stream says it.
    pub(crate) signers: watch::Sender<Signers>,
}

/// Keeps the stream to one of `control` until `leave`; then says goodbye. `restoring` says that the
/// first outcome will be that of the snapshot that was saved.
pub(crate) async fn run(
    identity: Identity,
    control: Vec<String>,
    restoring: bool,
    clock: Clock,
    mut channels: Channels,
    leave: CancellationToken,
) {
    let mut task = Task {
        machine: Machine::new(identity, control.len(), restoring),
        control,
        clock,
        random: Random::seeded(),
        link: Link::Down,
        telling: 0,
        verifiers: None,
    };
    while !leave.is_cancelled() {
        let wake = task.machine.wake_at().map(|at| instant(clock, at));
        let outbound = task.link.outbound();
        let event = tokio::select! {
            () = leave.cancelled() => break,
            event = task.link.next() => event,
            Some(outcome) = channels.outcomes.recv() => Event::Built(outcome),
            Some(report) = next_report(outbound, &mut channels.reports) => Event::Report(report),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Event::Time,
        };
        task.handle(event, &channels).await;
    }
    task.handle(Event::Leave, &channels).await;
    task.link.close().await;
}

/// The next of `reports` once the stream has room for it. Until then what the proxy counts goes into a later
/// report, and nothing is missed; without a stream there is nobody to miss it. Cancel-safe.
async fn next_report(
    outbound: Option<mpsc::Sender<v1::ProxyMessage>>,
    reports: &mut mpsc::Receiver<v1::Report>,
) -> Option<v1::Report> {
    if let Some(outbound) = outbound {
        // Only this task sends, so the room stays; a stream that ended is told of by what it says next.
        let _ = outbound.reserve().await;
    }
    reports.recv().await
}

fn instant(clock: Clock, at: Millis) -> Instant {
    let now = clock.now();
    Instant::now() + Duration::from_millis(at.0.saturating_sub(now.0))
}

struct Task {
    machine: Machine,
    control: Vec<String>,
    clock: Clock,
    random: Random,
    link: Link,
    telling: u64,
    /// Who may sign updates on this stream; `None` where nothing is signed.
    verifiers: Option<Arc<Verifiers>>,
}

impl Task {
    async fn handle(&mut self, event: Event, channels: &Channels) {
        if matches!(event, Event::Lost) {
            self.link = Link::Down;
        }
        let at = Moment {
            now: self.clock.now(),
            random: self.random.next(),
        };
        for action in self.machine.on(event, at) {
            self.act(action, channels).await;
        }
        if matches!(self.link, Link::Down) {
            // What could not be sent tells of the loss, too; otherwise this is known, and nothing to do.
            for action in self.machine.on(Event::Lost, at) {
                self.act(action, channels).await;
            }
            channels
                .status
                .send_if_modified(|status| status.control.take().is_some());
        }
    }

    async fn act(&mut self, action: Action, channels: &Channels) {
        match action {
            Action::Connect(address) => self.connect(address, &channels.credentials),
            Action::Disconnect => self.link = Link::Down,
            Action::Send(body) => self.link.send(body),
            Action::Build(update) => {
                // Gone only when the proxy stops, and then nobody waits for the answer.
                let verifiers = self.verifiers.clone();
                let _ = channels.updates.send(Order { update, verifiers }).await;
            }
            Action::Trust(bundle) => {
                self.trust(bundle, &channels.credentials).await;
                channels.signers.send_replace(self.verifiers.clone());
            }
            Action::Recount => {
                self.telling += 1;
                channels.status.send_modify(|status| {
                    if let Some(link) = &mut status.control {
                        link.telling = self.telling;
                    }
                });
            }
            Action::Welcomed {
                report_interval,
                sample_key,
                sample_kinds,
            } => {
                channels.credentials.welcomed();
                self.telling += 1;
                let (Link::Up { address, .. }, telling) = (&self.link, self.telling) else {
                    return;
                };
                let address = self.control[*address].clone();
                tracing::info!(%address, "control plane connected");
                let link = ControlLink {
                    address,
                    telling,
                    report_interval,
                    sample_key,
                    sample_kinds,
                };
                channels.status.send_modify(|status| status.control = Some(link));
            }
        }
    }

    fn connect(&mut self, address: usize, credentials: &Credentials) {
        let (target, credentials) = (self.control[address].clone(), credentials.clone());
        let connecting = async move { credentials.connect(&target).await };
        self.link = Link::Connecting(address, connecting.boxed());
    }

    /// What comes over a stream that is certain on both ends is believed, and kept. On one that is, and
    /// says nothing, nobody is trusted.
    async fn trust(&mut self, bundle: Option<v1::Bundle>, credentials: &Credentials) {
        let is_certain = credentials.are_used();
        let keys = bundle.as_ref().map(|bundle| &bundle.signing_keys);
        self.verifiers = match keys {
            Some(keys) => Some(Verifiers::new(keys).unwrap_or_default().into()),
            None => is_certain.then(Arc::default),
        };
        if let (Some(bundle), true) = (&bundle, is_certain) {
            credentials.trust(bundle).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use sluice_model::{CommitId, CommitSeal, Digest, HistoryId, Position, Revision};
    use sluice_proto::v1::{control_message, proxy_message::Body};

    use super::super::Held;
    use super::*;

    fn applied() -> Outcome {
        let held = Held {
            history: HistoryId([7; 16]),
            position: Position {
                revision: Revision(1),
                config: Digest::of(b"config"),
                runtime: Digest::EMPTY,
            },
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            listeners: vec![],
        };
        Outcome::Applied { held, build_us: 1 }
    }

    /// A stream that is as good as gone: its messages are not taken, and nothing comes.
    fn deaf() -> Link {
        Link::Up {
            address: 0,
            outbound: mpsc::channel(1).0,
            inbound: Box::pin(stream::pending()),
        }
    }

    #[tokio::test]
    async fn a_proxy_whose_acknowledgement_cannot_be_sent_connects_again() {
        let identity = Identity {
            id: "edge-1".into(),
            labels: vec![],
            admin: "127.0.0.1:9000".into(),
            instance: [1; 16],
        };
        let clock = Clock::start();
        let mut task = Task {
            machine: Machine::new(identity, 1, false),
            control: vec!["127.0.0.1:1".to_owned()],
            clock,
            random: Random::seeded(),
            link: Link::Down,
            telling: 0,
            verifiers: None,
        };
        let (updates, mut orders) = mpsc::channel(1);
        let (_built, outcomes) = mpsc::channel(1);
        let (_told, reports) = mpsc::channel(1);
        let (status, seen) = watch::channel(Status::default());
        let channels = Channels {
            updates,
            outcomes,
            reports,
            status,
            credentials: Credentials::open("edge-1", None, None),
            signers: watch::channel(None).0,
        };
        task.handle(Event::Time, &channels).await;
        assert!(matches!(task.link, Link::Connecting(..)));
        let (outbound, mut said) = mpsc::channel(4);
        task.link = Link::Up {
            address: 0,
            outbound,
            inbound: Box::pin(stream::pending()),
        };
        task.handle(Event::Connected, &channels).await;
        assert!(said.recv().await.is_some(), "its hello");
        for body in [
            control_message::Body::Welcome(v1::Welcome::default()),
            control_message::Body::Update(v1::Update::default()),
        ] {
            task.handle(Event::Received(body), &channels).await;
        }
        assert!(orders.recv().await.is_some() && seen.borrow().control.is_some());
        let telling = || seen.borrow().control.as_ref().map(|link| link.telling);
        assert_eq!(telling(), Some(1));
        let recount = control_message::Body::Recount(v1::Recount {});
        task.handle(Event::Received(recount), &channels).await;
        assert_eq!(telling(), Some(2), "all is told again");

        task.link = deaf();
        task.handle(Event::Built(applied()), &channels).await;
        assert!(matches!(task.link, Link::Down) && seen.borrow().control.is_none());
        let at = task.machine.wake_at().expect("it never connects again");
        let moment = Moment { now: at, random: 0 };
        let next = task.machine.on(Event::Time, moment);
        assert!(matches!(next[..], [Action::Connect(0)]), "{next:?}");
    }

    #[tokio::test]
    async fn reports_wait_for_room_in_the_stream() {
        let (outbound, mut messages) = mpsc::channel(1);
        let mut link = Link::Up {
            address: 0,
            outbound,
            inbound: Box::pin(stream::pending()),
        };
        let (tell, mut reports) = mpsc::channel(2);
        for interval_ms in [1, 2] {
            let report = v1::Report {
                interval_ms,
                ..Default::default()
            };
            tell.try_send(report).unwrap();
        }
        let first = next_report(link.outbound(), &mut reports).await.unwrap();
        link.send(Body::Report(first));
        let no_room = next_report(link.outbound(), &mut reports).now_or_never();
        assert_eq!(no_room, None, "a report was taken that cannot be sent");
        assert!(messages.recv().await.is_some(), "the first one arrives");
        let second = next_report(link.outbound(), &mut reports).await.unwrap();
        assert_eq!(second.interval_ms, 2);
        link.send(Body::Report(second));
        assert!(matches!(link, Link::Up { .. }), "both went over the one stream");
    }

    #[tokio::test]
    async fn a_stream_that_takes_no_acknowledgement_is_down_and_reports_then_go_nowhere() {
        let mut link = deaf();
        link.send(Body::Ack(v1::Ack::default()));
        assert!(matches!(link, Link::Down));
        let (tell, mut reports) = mpsc::channel(1);
        tell.try_send(v1::Report::default()).unwrap();
        assert!(next_report(link.outbound(), &mut reports).await.is_some());
    }
}
