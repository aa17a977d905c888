//! Asks the workers what they counted.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

use crate::{
    telemetry::{Delta, Totals},
    worker::Fleet,
};

/// How long a worker may take to answer; what comes later counts next time.
const PATIENCE: Duration = Duration::from_millis(200);
/// Questions that may wait.
const QUESTIONS: usize = 64;

/// Sums of all workers. Never borrowed over an await.
pub(super) type Sums = Rc<RefCell<Totals>>;

/// Brings the sums up to date on demand.
#[derive(Clone, Debug)]
pub(super) struct Collector(mpsc::Sender<oneshot::Sender<()>>);

impl Collector {
    /// The collector, and the task that has to run for it.
    pub(super) fn new(
        fleet: Fleet,
        deltas: mpsc::Receiver<Delta>,
        sums: Sums,
    ) -> (Self, impl Future<Output = ()>) {
        let (questions, asked) = mpsc::channel(QUESTIONS);
        (Self(questions), collect(fleet, deltas, sums, asked))
    }

    /// Returns when the sums hold everything that was counted before this call, or what is late is
    /// not waited for any more.
    pub(super) async fn refresh(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.send(answer).await.is_ok() {
            // Only fails when the proxy stops.
            let _ = answered.await;
        }
    }
}

async fn collect(
    fleet: Fleet,
    mut deltas: mpsc::Receiver<Delta>,
    sums: Sums,
    mut questions: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut ticket = 0;
    loop {
        let answer = tokio::select! {
            question = questions.recv() => match question {
                Some(answer) => answer,
                None => return,
            },
            Some(late) = deltas.recv() => {
                sums.borrow_mut().add(late);
                continue;
            }
        };
        ticket += 1;
        let mut missing = fleet.count(ticket);
        let until = Instant::now() + PATIENCE;
        while missing > 0 {
            let Ok(Some(delta)) = timeout_at(until, deltas.recv()).await else {
                break;
            };
            missing -= usize::from(delta.ticket == ticket);
            sums.borrow_mut().add(delta);
        }
        // Whoever asked may have gone.
        let _ = answer.send(());
    }
}
