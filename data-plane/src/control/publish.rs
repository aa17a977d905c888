//! One change, from the stream to the workers: build, bind, publish, tell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sluice_core::{Backoff, Update, complete};
use sluice_model::Violation;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};

use crate::{
    listen::Ports,
    live::{Generation, Live},
    status::{BoundListener, Status},
    stream::{Held, Order, Outcome, Refused},
    tls::Builder,
    worker::{Fleet, Loads, Random},
};

/// Makes updates live. There is one, so changes happen one after the other.
pub(super) struct Publisher {
    pub(super) live: Live,
    pub(super) ports: Ports,
    pub(super) fleet: Fleet,
    pub(super) status: watch::Sender<Status>,
    pub(super) outcomes: mpsc::Sender<Outcome>,
    pub(super) random: Random,
    pub(super) tls: Arc<Builder>,
}

/// A snapshot that is right, and not live.
struct Candidate {
    generation: Arc<Generation>,
    build: Duration,
}

impl Publisher {
    /// Builds and publishes what comes, and retries what could not be bound, until nobody sends.
    pub(super) async fn run(mut self, mut updates: mpsc::Receiver<Order>) {
        let mut waiting: Option<Candidate> = None;
        let mut backoff = Backoff::default();
        let mut pause = Duration::ZERO;
        loop {
            let update = tokio::select! {
                update = updates.recv() => match update {
                    Some(update) => Some(update),
                    None => return,
                },
                () = sleep(pause), if waiting.is_some() => None,
            };
            let outcome = match update {
                Some(update) => {
                    backoff.reset(Duration::ZERO);
                    // Whatever waited is older than what comes now.
                    waiting = None;
                    Some(self.change(update, &mut waiting).await)
                }
                None => match waiting.take() {
                    Some(candidate) => self.retry(candidate, &mut waiting).await,
                    None => None,
                },
            };
            pause = backoff.next(self.random.next());
            if let Some(outcome) = outcome
                && self.outcomes.send(outcome).await.is_err()
            {
                return;
            }
        }
    }

    /// The change path, whole: read, verify and build (off this thread), bind what is new, swap,
    /// accept, close what is gone.
    async fn change(&mut self, mut order: Order, waiting: &mut Option<Candidate>) -> Outcome {
        let start = Instant::now();
        let base = self.live.current();
        complete(&mut order.update, base.history());
        let (history, position) = (order.update.history.clone(), order.update.target.clone());
        let refused = |violations| Refused {
            history,
            position,
            violations,
        };
        let tls = Arc::clone(&self.tls);
        let built = match spawn_blocking(move || build(&base, order, &tls)).await {
            Ok(built) => built,
            Err(error) => {
                tracing::error!(%error, "building a snapshot failed");
                Err(vec![Violation::new(
                    "update",
                    "",
                    sluice_model::Code::Local,
                    "the build failed",
                )])
            }
        };
        let generation = match built {
            Ok(generation) => generation,
            Err(violations) => {
                tracing::warn!(count = violations.len(), first = ?violations.first(), "update refused");
                return Outcome::Refused(refused(violations));
            }
        };
        let candidate = Candidate {
            generation,
            build: start.elapsed(),
        };
        match self.install(&candidate).await {
            Ok(held) => Outcome::Applied {
                held,
                build_us: micros(start.elapsed()),
            },
            Err(violations) => {
                self.wait(&violations);
                *waiting = Some(candidate);
                Outcome::Waiting(refused(violations))
            }
        }
    }

    async fn retry(&mut self, candidate: Candidate, waiting: &mut Option<Candidate>) -> Option<Outcome> {
        match self.install(&candidate).await {
            Ok(held) => Some(Outcome::Freed {
                held,
                build_us: micros(candidate.build),
            }),
            Err(violations) => {
                self.wait(&violations);
                *waiting = Some(candidate);
                None
            }
        }
    }

    async fn install(&mut self, candidate: &Candidate) -> Result<Held, Vec<Violation>> {
        let snapshot = &candidate.generation;
        let new = self.ports.bind_new(snapshot)?;
        let gone = self.ports.keep(snapshot, &new);
        // An equal snapshot is no swap at all.
        let current = self.live.current();
        let place = |of: &Generation| (of.history(), of.position(), of.commit(), of.commit_seal());
        if place(&current) != place(snapshot) {
            self.live.publish(Arc::clone(snapshot));
        }
        for bound in new {
            self.fleet.listen(bound.port, bound.sockets).await;
        }
        for port in gone {
            self.fleet.close(port).await;
        }
        Ok(self.tell(candidate))
    }

    fn tell(&self, candidate: &Candidate) -> Held {
        let snapshot = &candidate.generation;
        let bound = self.ports.listeners(snapshot).into_iter();
        let listeners: Vec<_> = bound
            .map(|(listener, address)| BoundListener { listener, address })
            .collect();
        let position = snapshot.position();
        tracing::info!(revision = position.revision.0, "snapshot live");
        self.status.send_modify(|status| {
            status.complete = true;
            status.history = snapshot.history();
            status.position = position;
            status.listeners = listeners.clone().into();
            status.build_us = micros(candidate.build);
            status.waiting = Arc::default();
        });
        Held {
            history: snapshot.history(),
            position,
            commit: snapshot.commit(),
            commit_seal: snapshot.commit_seal(),
            listeners,
        }
    }

    fn wait(&self, violations: &[Violation]) {
        self.status.send_if_modified(|status| {
            let changed = *status.waiting != *violations;
            if changed {
                tracing::warn!(first = ?violations.first(), "a port cannot be bound; trying again");
                status.waiting = violations.into();
            }
            changed
        });
    }
}

fn build(base: &Generation, order: Order, tls: &Builder) -> Result<Arc<Generation>, Vec<Violation>> {
    let update = Update::from_wire(order.verified()?)?;
    let snapshot = base.apply(&update)?;
    let tls = tls.build(&snapshot, &base.tls)?;
    let loads = Loads::of(&snapshot, &base.loads);
    Ok(Arc::new(Generation { snapshot, tls, loads }))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
