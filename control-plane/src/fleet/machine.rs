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
//!   snapshots are large, and a fleet comes all at once ([`Awaited`]).
//! - What is refused is not sent again ([`Parking`]).
//! - A proxy whose labels are others now, or match other selectors, moves to another view: with a
//!   difference, like to another version. What it refused in the one is not parked in the other.
//! - A proxy that holds nothing starts at what others accepted, and goes on from there.

use std::sync::Arc;

use sluice_core::position_from_wire;
use sluice_model::{Code, HistoryId, Position, Revision};
use sluice_proto::v1::{self, proxy_message::Body};
use tokio::time::Instant;

use super::errand::Awaited;
use super::parking::{Parked, Parking};
use super::patience::{Missed, Patience};
use super::viewer::Viewer;
use crate::compile::ViewKey;
use crate::live::{Published, Version};

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
    /// What others accepted before what the proxy refused: the answer to [`Action::Retreat`].
    Before(Option<Arc<Version>>),
    Published(Arc<Published>),
    /// What [`Action::Send`] asked for is on its way: so many bytes are left to be taken.
    Sent(u64),
    /// A deadline may have passed, and so many bytes are left to be taken.
    Tick(u64),
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
    /// Look for what others accepted before this revision, for a proxy that refused it and has nothing.
    Retreat(Parked),
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

/// Why a stream is ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    #[error("no Hello within 10 s")]
    NoHello,
    #[error("no answer to an update in time")]
    NoAnswer,
    #[error("less than 64 KiB/s of an update is taken")]
    TooSlow,
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

#[derive(Debug)]
pub(super) struct Machine {
    published: Arc<Published>,
    phase: Phase,
    viewer: Viewer,
    /// What the proxy has, as far as that is known here.
    held: Option<Arc<Version>>,
    awaited: Awaited,
    /// What the proxy says it has.
    said: Option<(HistoryId, Revision)>,
    in_flight: Option<Arc<Version>>,
    parking: Parking,
    /// Where a proxy that holds nothing goes next.
    first: Option<Arc<Version>>,
    /// For the Hello, and then for the answer to what is in flight. When that fails the stream ends, and
    /// the proxy says anew what it holds.
    patience: Option<Patience>,
}

impl Machine {
    pub(super) fn new(published: Arc<Published>, now: Instant) -> Self {
        Self {
            published,
            phase: Phase::Silent,
            viewer: Viewer::default(),
            held: None,
            awaited: Awaited::default(),
            said: None,
            in_flight: None,
            parking: Parking::default(),
            first: None,
            patience: Some(Patience::for_hello(now)),
        }
    }

    /// When a [`Event::Tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.patience.as_ref().map(Patience::deadline)
    }

    /// Whether an update is on its way.
    pub(super) fn has_sent(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether a whole snapshot is on its way, or about to be.
    pub(super) fn has_turn(&self) -> bool {
        self.awaited.has_turn()
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
                self.awaited.take_turn();
                Ok(Vec::new())
            }
            Event::Before(version) => {
                self.first = version;
                Ok(Vec::new())
            }
            Event::Published(published) => {
                self.published = published;
                Ok(self.look_up_view().into_iter().collect())
            }
            Event::Sent(left) => {
                self.patience = Some(Patience::new(left, self.has_turn(), now));
                Ok(Vec::new())
            }
            Event::Tick(left) => self.tick(left, now),
        };
        match result {
            Ok(mut actions) => {
                actions.extend(self.next_update(now));
                if self.in_flight.is_none() {
                    self.awaited.pass_turn_on();
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
        self.patience = None;
        self.said = holds.map(|(history, position)| (history, position.revision));
        self.held = holds.and_then(|(history, position)| self.published.find(history, position).cloned());
        self.awaited.seek(holds.filter(|_| self.held.is_none()));
        self.viewer = Viewer::new(&hello, &self.published);
        let view = self.viewer.view().clone();
        Ok(vec![Action::Join(Box::new(hello), holds, view)])
    }

    /// Finds out whether the proxy has another view now.
    fn look_up_view(&mut self) -> Option<Action> {
        if self.phase == Phase::Silent || !self.viewer.look_up(&self.published) {
            return None;
        }
        self.first = None;
        self.parking.clear();
        Some(Action::Note(Fact::Viewed(self.viewer.view().clone())))
    }

    fn admitted(&mut self, Admitted { parked, first }: Admitted) -> Vec<Action> {
        self.phase = Phase::Admitted;
        self.first = first;
        if let Some(parked) = parked {
            let version = parked.version(self.viewer.view(), &self.published);
            self.parking.resume(parked, self.held.as_ref(), version.as_ref());
        }
        vec![Action::Welcome]
    }

    fn found(&mut self, found: Option<Arc<Version>>) {
        self.awaited.found();
        if self.held.is_none()
            && let Some(found) = found
        {
            self.parking.found(&found);
            self.held = Some(found);
        }
    }

    fn ack(&mut self, ack: v1::Ack) -> Result<Vec<Action>, Closed> {
        let (history, position) = read(&ack.history, ack.position.as_ref())?;
        self.said = Some((history, position.revision));
        let is_it = |version: &mut Arc<Version>| version.history == history && version.position == position;
        if let Some(target) = self.in_flight.take_if(is_it) {
            self.patience = None;
            self.parking.stop_waiting();
            self.hold(target);
        } else if let Some(target) = self.parking.take_waiting(history, position) {
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

    fn hold(&mut self, version: Arc<Version>) {
        self.parking.hold(&version);
        self.held = Some(version);
    }

    fn nack(&mut self, nack: v1::Nack) -> Result<Vec<Action>, Closed> {
        let (history, position) = read(&nack.history, nack.position.as_ref())?;
        let is_it = |version: &mut Arc<Version>| version.history == history && version.position == position;
        let Some(target) = self.in_flight.take_if(is_it) else {
            // What a proxy tries again and again may fail in another way than before.
            let again = self.parking.has(history, position);
            let fact = Action::Note(Fact::Refused(Box::new(nack), history, position.revision));
            return Ok(again.then_some(fact).into_iter().collect());
        };
        self.patience = None;
        self.parking.stop_waiting();
        let wrong_base = nack
            .violations
            .iter()
            .any(|violation| violation.code == Code::WrongBase.as_str());
        if wrong_base && self.held.take().is_some() {
            // Not the content is refused, only the way there: everything is sent.
            return Ok(Vec::new());
        }
        match nack.retrying {
            true => self.parking.wait(target),
            false => self.parking.refuse(target, self.held.as_ref()),
        }
        Ok(vec![Action::Note(Fact::Refused(
            Box::new(nack),
            history,
            position.revision,
        ))])
    }

    fn tick(&mut self, left: u64, now: Instant) -> Result<Vec<Action>, Closed> {
        let checked = self.patience.as_mut().map(|patience| patience.check(left, now));
        match (checked, self.phase) {
            (Some(Err(_)), Phase::Silent) => Err(Closed::NoHello),
            (Some(Err(Missed::Answer)), _) => Err(Closed::NoAnswer),
            (Some(Err(Missed::Pace)), _) => Err(Closed::TooSlow),
            (Some(Ok(())) | None, _) => Ok(Vec::new()),
        }
    }

    /// The update that is due, if one is.
    fn next_update(&mut self, now: Instant) -> Option<Action> {
        if self.phase != Phase::Admitted || self.in_flight.is_some() {
            return None;
        }
        if let Some(sought) = self.awaited.sought() {
            // What is found is of a view that is made.
            let can_begin = self.published.view(self.viewer.view()).is_some();
            let (history, position) = sought;
            return (can_begin && self.awaited.begin_to_seek()).then_some(Action::Find(history, position));
        }
        let latest = self.published.view(self.viewer.view())?;
        let target = self.start(latest);
        let Some(target) = target.or_else(|| self.parking.target(latest, self.held.as_ref())) else {
            return self.retreat();
        };
        let is_ahead = |(history, revision)| history == target.history && revision > target.position.revision;
        if self.said.is_some_and(is_ahead) {
            return None;
        }
        let (history, position) = (target.history, target.position);
        let is_held = |held: &Arc<Version>| held.history == history && held.position == position;
        if self.held.as_ref().is_some_and(is_held) || self.parking.has(history, position) {
            return None;
        }
        // Nothing of another history can be a base.
        let base = self.held.clone().filter(|base| base.history == target.history);
        if base.is_none() && !self.awaited.has_turn() {
            let resources = target.resources.len();
            return self.awaited.ask_for_turn().then_some(Action::Queue(resources));
        }
        self.first = None;
        self.in_flight = Some(Arc::clone(&target));
        // Until it is said how much it is.
        self.patience = Some(Patience::new(0, self.has_turn(), now));
        Some(Action::Send { base, target })
    }

    /// Where a proxy that has nothing goes, once: whatever becomes of it, then it goes on like all.
    fn start(&self, latest: &Version) -> Option<Arc<Version>> {
        let first = self.first.as_ref()?;
        (self.held.is_none() && first.history == latest.history).then(|| Arc::clone(first))
    }

    /// Goes back from what is refused, if the proxy has nothing at all.
    fn retreat(&mut self) -> Option<Action> {
        let has_nothing = self.held.is_none() && self.said.is_none();
        let refused = has_nothing.then(|| self.parking.retreat()).flatten();
        refused.map(Action::Retreat)
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
