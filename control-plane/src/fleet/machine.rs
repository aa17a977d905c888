//! One stream as a state machine: what to send to one proxy, and when.
//!
//! ```text
//! Silent -- Hello --> Introduced -- let in by the registry --> Admitted
//! ```
//!
//! - The proxy speaks first. Until it is let in nothing is sent.
//! - One update is in flight at a time; the next one goes to the newest version then, so what lies
//!   between is skipped and nothing queues.
//! - A proxy never goes back within a history: one that is ahead of what is published here waits until
//!   that is behind no more, or has another history.
//! - An update starts from what the proxy acknowledged. What it says it holds when it comes may be
//!   older than what is in memory: then that is looked for first.
//! - When that is not found everything is sent, and for that the stream waits for its turn: whole
//!   snapshots are large, and a fleet comes all at once.
//! - What is refused is sent exactly once: the config of that revision is parked until the revision
//!   changes. Endpoints go on moving meanwhile, on the config that the proxy has; but only those
//!   that the refused revision did not change itself, so that it is not applied by half.
//! - A proxy whose labels are others now, or match other selectors, moves to another view: with a
//!   difference, like to another version. What it refused in the one is not parked in the other.
//! - A proxy that holds nothing starts at what others accepted, and goes on from there.
//! - A proxy that refuses for a local fault keeps what it was sent and tries by itself. Nothing is
//!   parked then: what comes next takes the place of what it tries.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::position_from_wire;
use sluice_intent::Labels;
use sluice_model::{Code, HistoryId, Key, Position, Revision};
use sluice_proto::v1::{self, proxy_message::Body};
use tokio::time::Instant;

use crate::compile::ViewKey;
use crate::live::{self, Published, Version};

/// Longest wait for the Hello.
const HELLO: Duration = Duration::from_secs(10);
/// Longest wait for the answer to an update. Then the stream ends, and the proxy says anew what it
/// holds.
const ANSWER: Duration = Duration::from_secs(30);

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    Message(v1::ProxyMessage),
    /// The proxy is part of the fleet now.
    Admitted(Admitted),
    /// What the proxy holds, if that can be told: the answer to [`Action::Find`].
    Found(Option<Arc<Version>>),
    /// A whole snapshot may be sent: the answer to [`Action::Queue`]. The turn lasts for as long as
    /// [`Machine::has_turn`] says so.
    Turn,
    Published(Arc<Published>),
    /// A deadline may have passed.
    Tick,
}

/// What is known of a proxy that is let in.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// It refused the config of this revision before, on another stream.
    pub(super) parked: Option<Parked>,
    /// It holds nothing: this comes before what is newest, which others refused or have not tried.
    pub(super) first: Option<Arc<Version>>,
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Action {
    /// Let the proxy in, then say so.
    Join(Box<v1::Hello>, Option<(HistoryId, Position)>, ViewKey),
    Welcome,
    /// Look for the version that the proxy says it holds.
    Find(HistoryId, Position),
    /// Wait for the turn to send everything, which is about that many resources.
    Queue(usize),
    Send {
        base: Option<Arc<Version>>,
        target: Arc<Version>,
    },
    Note(Fact),
    /// End the stream.
    Close(Closed),
}

/// What is learnt about the proxy.
#[derive(Debug)]
pub(super) enum Fact {
    Applied(Box<v1::Ack>, HistoryId, Position),
    Refused(Box<v1::Nack>, HistoryId, Revision),
    /// Its labels give it this view.
    Viewed(ViewKey),
    Reported(Box<v1::Report>),
    Left,
}

/// A revision whose config is not sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) history: HistoryId,
    pub(super) revision: Revision,
}

/// Why a stream is ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    #[error("no Hello within 10 s")]
    NoHello,
    #[error("no answer to an update within 30 s")]
    NoAnswer,
    #[error("a message out of order")]
    OutOfOrder,
    #[error("a message that does not read")]
    Malformed,
    #[error("goodbye")]
    Goodbye,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Silent,
    Introduced,
    Admitted,
}

/// Whether this stream may send a whole snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Unasked,
    Asked,
    Mine,
}

#[derive(Debug)]
pub(super) struct Machine {
    published: Arc<Published>,
    phase: Phase,
    proxy: String,
    /// What it says of itself.
    labels: Labels,
    view: ViewKey,
    /// The publication's, when the view was looked up.
    membership: u64,
    /// What the proxy has, as far as that is known here.
    held: Option<Arc<Version>>,
    /// What it says it has, until that is found or not.
    sought: Option<(HistoryId, Position)>,
    /// Whether it is being looked for.
    seeking: bool,
    turn: Turn,
    /// What the proxy says it has.
    said: Option<(HistoryId, Revision)>,
    in_flight: Option<Arc<Version>>,
    /// What the proxy tries by itself to apply.
    waiting: Option<Arc<Version>>,
    /// What it refused last, and will not be sent again.
    refused: Option<Arc<Version>>,
    parked: Option<Parked>,
    /// The step that was refused: from, and to.
    refused_step: Option<(Arc<Version>, Arc<Version>)>,
    /// Where a proxy that holds nothing starts.
    first: Option<Arc<Version>>,
    deadline: Option<Instant>,
}

impl Machine {
    pub(super) fn new(published: Arc<Published>, now: Instant) -> Self {
        Self {
            membership: published.membership(),
            published,
            phase: Phase::Silent,
            proxy: String::new(),
            labels: Labels::default(),
            view: ViewKey::default(),
            held: None,
            sought: None,
            seeking: false,
            turn: Turn::Unasked,
            said: None,
            in_flight: None,
            waiting: None,
            refused: None,
            parked: None,
            refused_step: None,
            first: None,
            deadline: Some(now + HELLO),
        }
    }

    /// When a [`Event::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a whole snapshot is on its way, or about to be.
    pub(super) fn has_turn(&self) -> bool {
        self.turn == Turn::Mine
    }

    pub(super) fn on(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let result = match event {
            Event::Message(message) => self.message(message.body),
            Event::Admitted(admitted) => Ok(self.admitted(admitted)),
            Event::Found(found) => {
                self.found(found);
                Ok(Vec::new())
            }
            Event::Turn => {
                self.turn = Turn::Mine;
                Ok(Vec::new())
            }
            Event::Published(published) => {
                self.published = published;
                Ok(self.look_up_view().into_iter().collect())
            }
            Event::Tick => self.tick(now),
        };
        match result {
            Ok(mut actions) => {
                actions.extend(self.next_update(now));
                if self.turn == Turn::Mine && self.in_flight.is_none() {
                    self.turn = Turn::Unasked;
                }
                actions
            }
            Err(Closed::Goodbye) => vec![Action::Note(Fact::Left), Action::Close(Closed::Goodbye)],
            Err(closed) => vec![Action::Close(closed)],
        }
    }

    fn message(&mut self, body: Option<Body>) -> Result<Vec<Action>, Closed> {
        match (body, self.phase) {
            (Some(Body::Hello(hello)), Phase::Silent) => self.hello(hello),
            (Some(Body::Ack(ack)), Phase::Admitted) => self.ack(ack),
            (Some(Body::Nack(nack)), Phase::Admitted) => self.nack(nack),
            (Some(Body::Report(report)), Phase::Admitted) => {
                Ok(vec![Action::Note(Fact::Reported(Box::new(report)))])
            }
            (Some(Body::Goodbye(_)), Phase::Admitted) => Err(Closed::Goodbye),
            // A kind of message that is newer than this build.
            (None, Phase::Admitted) => Ok(Vec::new()),
            (_, Phase::Silent | Phase::Introduced) | (Some(Body::Hello(_)), Phase::Admitted) => {
                Err(Closed::OutOfOrder)
            }
        }
    }

    fn hello(&mut self, hello: v1::Hello) -> Result<Vec<Action>, Closed> {
        let holds = match &hello.holds {
            None => None,
            Some(position) => Some(read(&hello.history, Some(position))?),
        };
        self.phase = Phase::Introduced;
        self.deadline = None;
        self.said = holds.map(|(history, position)| (history, position.revision));
        self.held = holds.and_then(|(history, position)| self.published.find(history, position).cloned());
        self.sought = holds.filter(|_| self.held.is_none());
        let labels = hello.labels.iter();
        self.labels = live::readable(labels.map(|label| (&*label.name, &*label.value)));
        self.proxy.clone_from(&hello.proxy_id);
        self.view = self.published.view_of(&self.proxy, &self.labels);
        self.membership = self.published.membership();
        Ok(vec![Action::Join(Box::new(hello), holds, self.view.clone())])
    }

    /// Finds out whether the proxy has another view now.
    fn look_up_view(&mut self) -> Option<Action> {
        let membership = self.published.membership();
        if self.phase == Phase::Silent || self.membership == membership {
            return None;
        }
        self.membership = membership;
        let view = self.published.view_of(&self.proxy, &self.labels);
        if view == self.view {
            return None;
        }
        self.view = view.clone();
        (self.parked, self.refused, self.refused_step, self.first) = (None, None, None, None);
        Some(Action::Note(Fact::Viewed(view)))
    }

    fn admitted(&mut self, Admitted { parked, first }: Admitted) -> Vec<Action> {
        self.phase = Phase::Admitted;
        self.parked = parked;
        self.first = first;
        self.find_refused_step();
        vec![Action::Welcome]
    }

    fn found(&mut self, found: Option<Arc<Version>>) {
        self.sought = None;
        if self.held.is_none() {
            self.held = found;
            self.find_refused_step();
        }
    }

    fn find_refused_step(&mut self) {
        let first_of = |parked: Parked| {
            self.published
                .first_of(&self.view, parked.history, parked.revision)
        };
        let refused = self.parked.and_then(first_of);
        self.refused_step = self.held.clone().zip(refused.cloned());
    }

    fn ack(&mut self, ack: v1::Ack) -> Result<Vec<Action>, Closed> {
        let (history, position) = read(&ack.history, ack.position.as_ref())?;
        self.said = Some((history, position.revision));
        let is_it = |version: &mut Arc<Version>| version.history == history && version.position == position;
        if let Some(target) = self.in_flight.take_if(is_it) {
            self.deadline = None;
            self.waiting = None;
            self.hold(target);
        } else if let Some(target) = self.waiting.take_if(is_it) {
            self.hold(target);
        } else if !self.held.as_mut().is_some_and(is_it) {
            self.held = self.published.find(history, position).cloned();
        }
        Ok(vec![Action::Note(Fact::Applied(
            Box::new(ack),
            history,
            position,
        ))])
    }

    /// The proxy has `version`: nothing before it is parked any more.
    fn hold(&mut self, version: Arc<Version>) {
        let (history, revision) = (version.history, version.position.revision);
        self.parked = self
            .parked
            .filter(|parked| parked.history == history && parked.revision > revision);
        if self.parked.is_none() {
            self.refused = None;
        }
        self.held = Some(version);
    }

    fn nack(&mut self, nack: v1::Nack) -> Result<Vec<Action>, Closed> {
        let (history, position) = read(&nack.history, nack.position.as_ref())?;
        let is_it = |version: &mut Arc<Version>| version.history == history && version.position == position;
        let Some(target) = self.in_flight.take_if(is_it) else {
            // What a proxy tries again and again may fail in another way than before.
            let again = self.waiting.as_mut().is_some_and(is_it) || self.refused.as_mut().is_some_and(is_it);
            let fact = Action::Note(Fact::Refused(Box::new(nack), history, position.revision));
            return Ok(again.then_some(fact).into_iter().collect());
        };
        self.deadline = None;
        self.waiting = None;
        let wrong_base = nack
            .violations
            .iter()
            .any(|violation| violation.code == Code::WrongBase.as_str());
        if wrong_base && self.held.take().is_some() {
            // Not the content is refused, only the way there: everything is sent.
            return Ok(Vec::new());
        }
        if nack.retrying {
            self.waiting = Some(target);
        } else {
            self.refuse(target);
        }
        Ok(vec![Action::Note(Fact::Refused(
            Box::new(nack),
            history,
            position.revision,
        ))])
    }

    fn refuse(&mut self, target: Arc<Version>) {
        let config = target.position.config;
        let config_is_new = self
            .held
            .as_ref()
            .is_none_or(|held| held.position.config != config);
        if config_is_new {
            self.parked = Some(Parked {
                history: target.history,
                revision: target.position.revision,
            });
            self.refused_step = self.held.clone().zip(Some(Arc::clone(&target)));
        }
        self.refused = Some(target);
    }

    fn tick(&self, now: Instant) -> Result<Vec<Action>, Closed> {
        match (self.deadline, self.phase) {
            (Some(deadline), Phase::Silent) if now >= deadline => Err(Closed::NoHello),
            (Some(deadline), _) if now >= deadline => Err(Closed::NoAnswer),
            _ => Ok(Vec::new()),
        }
    }

    /// The update that is due, if one is.
    fn next_update(&mut self, now: Instant) -> Option<Action> {
        if self.phase != Phase::Admitted || self.in_flight.is_some() {
            return None;
        }
        if let Some((history, position)) = self.sought {
            // What is found is of a view that is made.
            let can_begin = !self.seeking && self.published.view(&self.view).is_some();
            self.seeking |= can_begin;
            return can_begin.then_some(Action::Find(history, position));
        }
        let target = self.start().or_else(|| self.target())?;
        let is_ahead = |(history, revision)| history == target.history && revision > target.position.revision;
        if self.said.is_some_and(is_ahead) {
            return None;
        }
        let is_target =
            |version: &Arc<Version>| version.history == target.history && version.position == target.position;
        if [&self.held, &self.waiting, &self.refused]
            .into_iter()
            .flatten()
            .any(is_target)
        {
            return None;
        }
        // Nothing of another history can be a base.
        let base = self.held.clone().filter(|base| base.history == target.history);
        if base.is_none() && self.turn != Turn::Mine {
            let asked = std::mem::replace(&mut self.turn, Turn::Asked) == Turn::Asked;
            return (!asked).then(|| Action::Queue(target.resources.len()));
        }
        self.first = None;
        self.in_flight = Some(Arc::clone(&target));
        self.deadline = Some(now + ANSWER);
        Some(Action::Send { base, target })
    }

    /// Where the proxy starts, once: whatever becomes of it, then it goes on like all.
    fn start(&self) -> Option<Arc<Version>> {
        let first = self.first.as_ref()?;
        let latest = self.published.view(&self.view)?;
        (self.held.is_none() && first.history == latest.history).then(|| Arc::clone(first))
    }

    /// Where the proxy should be: at the newest version of its view, unless it refused the config of
    /// that. Nowhere else while its view is being made.
    fn target(&self) -> Option<Arc<Version>> {
        let latest = self.published.view(&self.view)?;
        let newest = Parked {
            history: latest.history,
            revision: latest.position.revision,
        };
        if self.parked != Some(newest) {
            return Some(Arc::clone(latest));
        }
        let held = self.held.as_ref().filter(|held| held.history == latest.history)?;
        let (from, to) = self.refused_step.as_ref()?;
        let untouched = |key: &Key| from.resources.get(key) == to.resources.get(key);
        held.with_runtime_of(latest, untouched).map(Arc::new)
    }
}

fn read(history: &[u8], position: Option<&v1::Position>) -> Result<(HistoryId, Position), Closed> {
    let history = HistoryId::try_from(history).map_err(|_| Closed::Malformed)?;
    let position = position.and_then(position_from_wire).ok_or(Closed::Malformed)?;
    Ok((history, position))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod views_tests;
