//! What is said on the stream, and when: pure decisions.
//!
//! ```text
//!            time                connected            welcome
//! Waiting ---------> Connecting -----------> Greeting --------> Talking
//!    ^                   |                      |                  |
//!    '---- lost, or no answer in time ----------+------------------'
//! ```
//!
//! Every loss moves on to the next control plane. Hello says what is held, so nothing about a
//! former stream has to be remembered; while an update is being built Hello waits for it, so that
//! it does not ask for what is about to be there. A control plane that says Drain is left at once for
//! the next one.

use std::{num::NonZeroU32, time::Duration};

use sluice_core::{Backoff, Millis};
use sluice_model::Code;
use sluice_proto::v1::{self, control_message, proxy_message::Body};

use super::messages::{self, Held, Identity, Refused};

/// Longest time to connect, and again to be welcomed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Reports come this often at most, and at least.
const REPORTS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// What happens to the stream.
#[derive(Debug)]
pub(super) enum Event {
    /// The time of [`Machine::wake_at`] has come.
    Time,
    /// The connection stands.
    Connected,
    /// It is gone, or could not be made.
    Lost,
    Received(control_message::Body),
    /// The update that was to be built is live, or is not.
    Built(Outcome),
    Report(v1::Report),
    /// The proxy stops.
    Leave,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Applied {
        held: Held,
        /// Microseconds to verify, build and publish.
        build_us: u64,
    },
    /// It is wrong.
    Refused(Refused),
    /// It is right, but a port of this machine is not free: `Freed` may follow.
    Waiting(Refused),
    /// The port was free at last, and the update is live. Nobody has asked just now.
    Freed {
        held: Held,
        /// Microseconds to verify, build and publish, without the wait.
        build_us: u64,
    },
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Connect to the control plane of that index.
    Connect(usize),
    Disconnect,
    Send(Body),
    Build(Box<v1::Update>),
    /// Trust these from now on; without any, nothing is signed on this stream.
    Trust(Option<v1::Bundle>),
    /// Tell of all endpoints again.
    Recount,
    /// The control plane has said welcome, and wants reports that often, with values in samples hashed so.
    Welcomed {
        report_interval: Duration,
        sample_key: Option<[u8; 32]>,
        /// Of so many kinds in a report, if it says how many.
        sample_kinds: Option<NonZeroU32>,
    },
}

/// When an event happens, and a uniform random number to go with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Millis,
    pub(super) random: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting {
        until: Millis,
    },
    Connecting {
        until: Millis,
    },
    /// `said`: Hello is out.
    Greeting {
        until: Millis,
        said: bool,
    },
    Talking,
    Left,
}

/// One proxy's side of the stream.
#[derive(Debug)]
pub(super) struct Machine {
    identity: Identity,
    addresses: usize,
    address: usize,
    state: State,
    backoff: Backoff,
    held: Option<Held>,
    building: bool,
}

impl Machine {
    /// For a proxy that holds nothing, with that many control planes to choose from; `building` says
    /// that it is just building what it had saved. Starts with the first [`Event::Time`].
    pub(super) fn new(identity: Identity, addresses: usize, building: bool) -> Self {
        let until = match addresses {
            0 => Millis(u64::MAX),
            _ => Millis(0),
        };
        Self {
            identity,
            addresses,
            address: 0,
            state: State::Waiting { until },
            backoff: Backoff::default(),
            held: None,
            building,
        }
    }

    /// When [`Event::Time`] is due; `None` when there is nothing to wait for.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        match self.state {
            State::Waiting { until } | State::Connecting { until } | State::Greeting { until, .. } => {
                Some(until).filter(|until| *until != Millis(u64::MAX))
            }
            State::Talking | State::Left => None,
        }
    }

    /// Decides.
    pub(super) fn on(&mut self, event: Event, at: Moment) -> Vec<Action> {
        match event {
            Event::Time => self.time(at),
            Event::Connected => self.connected(at),
            Event::Lost => self.lost(at),
            Event::Received(message) => self.received(message, at),
            Event::Built(outcome) => self.built(outcome, at),
            Event::Report(report) if self.state == State::Talking => vec![Action::Send(Body::Report(report))],
            Event::Report(_) => vec![],
            Event::Leave => self.leave(),
        }
    }

    fn time(&mut self, at: Moment) -> Vec<Action> {
        match self.state {
            State::Waiting { until } if until <= at.now => {
                self.state = State::Connecting {
                    until: after(at, PATIENCE),
                };
                vec![Action::Connect(self.address)]
            }
            State::Connecting { until } | State::Greeting { until, .. } if until <= at.now => {
                self.pause(at);
                vec![Action::Disconnect]
            }
            State::Waiting { .. }
            | State::Connecting { .. }
            | State::Greeting { .. }
            | State::Talking
            | State::Left => vec![],
        }
    }

    fn connected(&mut self, at: Moment) -> Vec<Action> {
        let State::Connecting { .. } = self.state else {
            return vec![];
        };
        let said = !self.building;
        self.state = State::Greeting {
            until: after(at, PATIENCE),
            said,
        };
        if said { vec![self.hello()] } else { vec![] }
    }

    fn lost(&mut self, at: Moment) -> Vec<Action> {
        match self.state {
            State::Connecting { .. } | State::Greeting { .. } | State::Talking => self.pause(at),
            State::Waiting { .. } | State::Left => {}
        }
        vec![]
    }

    fn received(&mut self, message: control_message::Body, at: Moment) -> Vec<Action> {
        match (message, self.state) {
            (control_message::Body::Welcome(welcome), State::Greeting { said: true, .. }) => {
                self.state = State::Talking;
                let spread = Duration::from_millis(u64::from(welcome.reconnect_spread_ms));
                self.backoff.reset(spread);
                let [least, most] = REPORTS;
                let wanted = Duration::from_millis(u64::from(welcome.report_interval_ms));
                let report_interval = wanted.clamp(least, most);
                vec![
                    Action::Trust(welcome.bundle),
                    Action::Welcomed {
                        report_interval,
                        sample_key: welcome.sample_key.try_into().ok(),
                        sample_kinds: NonZeroU32::new(welcome.sample_kinds),
                    },
                ]
            }
            (control_message::Body::Bundle(bundle), State::Talking) => vec![Action::Trust(Some(bundle))],
            (control_message::Body::Recount(_), State::Talking) => vec![Action::Recount],
            (control_message::Body::Update(update), State::Talking) if !self.building => {
                self.building = true;
                vec![Action::Build(Box::new(update))]
            }
            // With nowhere else to go, the stream is used to its end.
            (control_message::Body::Drain(_), State::Talking | State::Greeting { .. })
                if self.addresses < 2 =>
            {
                vec![]
            }
            (control_message::Body::Drain(_), State::Talking | State::Greeting { .. }) => {
                self.address = (self.address + 1) % self.addresses;
                self.state = State::Waiting { until: at.now };
                vec![Action::Disconnect]
            }
            // Whoever breaks the order is not understood: start over.
            (_, State::Greeting { .. } | State::Talking) => {
                self.pause(at);
                vec![Action::Disconnect]
            }
            (_, State::Waiting { .. } | State::Connecting { .. } | State::Left) => vec![],
        }
    }

    fn built(&mut self, outcome: Outcome, at: Moment) -> Vec<Action> {
        if !matches!(outcome, Outcome::Freed { .. }) {
            self.building = false;
        }
        let answer = match outcome {
            Outcome::Applied { held, build_us } | Outcome::Freed { held, build_us } => {
                let ack = messages::ack(&held, build_us);
                self.held = Some(held);
                ack
            }
            // What it holds is not what the control plane thinks: Hello tells.
            Outcome::Refused(refused) if is_wrong_base(&refused) => {
                return match self.state {
                    State::Talking => {
                        self.state = State::Waiting { until: at.now };
                        vec![Action::Disconnect]
                    }
                    State::Waiting { .. }
                    | State::Connecting { .. }
                    | State::Greeting { .. }
                    | State::Left => self.say_hello(at),
                };
            }
            Outcome::Refused(refused) => messages::nack(&refused, false),
            Outcome::Waiting(refused) => messages::nack(&refused, true),
        };
        match self.state {
            State::Talking => vec![Action::Send(answer)],
            // The update came on a stream that is gone.
            State::Waiting { .. } | State::Connecting { .. } | State::Greeting { .. } | State::Left => {
                self.say_hello(at)
            }
        }
    }

    fn leave(&mut self) -> Vec<Action> {
        let talking = self.state == State::Talking;
        self.state = State::Left;
        let reason = "the proxy stops".to_owned();
        match talking {
            true => vec![Action::Send(Body::Goodbye(v1::Goodbye { reason }))],
            false => vec![Action::Disconnect],
        }
    }

    fn say_hello(&mut self, at: Moment) -> Vec<Action> {
        match self.state {
            State::Greeting { said: false, .. } if !self.building => {
                self.state = State::Greeting {
                    until: after(at, PATIENCE),
                    said: true,
                };
                vec![self.hello()]
            }
            State::Waiting { .. }
            | State::Connecting { .. }
            | State::Greeting { .. }
            | State::Talking
            | State::Left => vec![],
        }
    }

    fn hello(&self) -> Action {
        Action::Send(messages::hello(&self.identity, self.held.as_ref()))
    }

    /// Tries the next control plane after a pause.
    fn pause(&mut self, at: Moment) {
        self.address = (self.address + 1) % self.addresses.max(1);
        self.state = State::Waiting {
            until: after(at, self.backoff.next(at.random)),
        };
    }
}

fn is_wrong_base(refused: &Refused) -> bool {
    refused
        .violations
        .iter()
        .any(|violation| violation.code == Code::WrongBase)
}

fn after(at: Moment, pause: Duration) -> Millis {
    Millis(
        at.now
            .0
            .saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
    )
}

#[cfg(test)]
mod tests;
