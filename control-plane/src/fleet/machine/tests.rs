mod parked;

use std::time::Duration;

use sluice_core::{Entry, position_to_wire};
use sluice_intent::Format;
use sluice_model::Violation;

use super::*;
use crate::compile::{Change, DanglingRefs, Findings, Found, NO_PORT, Source, World};
use crate::live;

/// A control plane's end of one stream, and the publications it hears of.
struct Site {
    published: Arc<Published>,
    machine: Machine,
    now: Instant,
    /// What others accepted, newest last, that a proxy may go back to.
    before: Vec<Arc<Version>>,
}

/// An update as the proxy sees it.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    base: Option<Position>,
    target: Position,
}

impl Site {
    /// A machine that waits for its Hello, at revision 0.
    fn start() -> Self {
        let now = Instant::now();
        let published = Arc::new(Published::first(World::empty(HistoryId([1; 16])), now));
        Self {
            machine: Machine::new(Arc::clone(&published), now),
            published,
            now,
            before: Vec::new(),
        }
    }

    /// A machine whose proxy has acknowledged everything so far.
    fn in_step() -> (Self, Position) {
        let mut site = Self::start();
        let first = site.hello(None).unwrap();
        assert_eq!(site.ack(first.target), None);
        let second = site.change("{address: 10.0.0.1, port: 80}").unwrap();
        assert_eq!(site.ack(second.target), None);
        (site, second.target)
    }

    fn hello(&mut self, holds: Option<Position>) -> Option<Sent> {
        self.introduce(holds);
        self.admit(None)
    }

    fn introduce(&mut self, holds: Option<Position>) {
        let hello = v1::Hello {
            proxy_id: "edge-1".into(),
            history: holds.map(|_| vec![1; 16]).unwrap_or_default(),
            holds: holds.map(position_to_wire),
            ..v1::Hello::default()
        };
        let actions = self.say(Body::Hello(hello));
        assert!(matches!(&actions[..], [Action::Join(..)]), "{actions:?}");
    }

    fn admit(&mut self, parked: Option<Parked>) -> Option<Sent> {
        let mut actions = self.machine.on(
            Event::Admitted(Admitted {
                parked,
                ..Admitted::default()
            }),
            self.now,
        );
        assert!(matches!(actions.remove(0), Action::Welcome));
        self.sent(actions)
    }

    fn say(&mut self, body: Body) -> Vec<Action> {
        self.machine
            .on(Event::Message(v1::ProxyMessage { body: Some(body) }), self.now)
    }

    fn ack(&mut self, position: Position) -> Option<Sent> {
        let ack = v1::Ack {
            history: vec![1; 16],
            position: Some(position_to_wire(position)),
            ..v1::Ack::default()
        };
        let mut actions = self.say(Body::Ack(ack));
        assert!(matches!(actions.remove(0), Action::Note(Fact::Applied(..))));
        self.sent(actions)
    }

    /// A refusal; the update that follows it, and whether it was noted.
    fn nack(&mut self, position: Position, code: Code, retrying: bool) -> (Option<Sent>, bool) {
        let violation = Violation::new("update", "", code, "no");
        let violation = v1::Violation {
            resource: violation.resource,
            field: violation.field,
            code: violation.code.to_string(),
            message: violation.message,
        };
        let nack = v1::Nack {
            history: vec![1; 16],
            position: Some(position_to_wire(position)),
            violations: vec![violation],
            retrying,
        };
        let mut actions = self.say(Body::Nack(nack));
        let noted = actions
            .first()
            .is_some_and(|first| matches!(first, Action::Note(Fact::Refused(..))));
        if noted {
            actions.remove(0);
        }
        (self.sent(actions), noted)
    }

    /// A new revision: the Backend `a` with these endpoints, and one more Backend.
    fn change(&mut self, endpoint: &str) -> Option<Sent> {
        let next = self.published.revision().0 + 1;
        let backend = |name: &str, endpoint: &str| {
            format!(
                "\napiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}}}\nspec: {{endpoints: [{endpoint}]}}\n"
            )
        };
        let yaml = [backend("a", endpoint), backend(&format!("b{next}"), "")].join("---");
        let resources = sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default").unwrap();
        let changes = resources.into_iter().map(Change::Put).collect();
        let changed = self
            .published
            .world
            .change(changes, Revision(next), DanglingRefs::Refuse)
            .unwrap();
        self.publish(changed.world)
    }

    /// Where `a.internal` leads, without a revision.
    fn resolve(&mut self, address: &str) -> Option<Sent> {
        let found = Found {
            address: address.parse().unwrap(),
            port: NO_PORT,
            weight: 1,
        };
        let findings = Findings::from([(Source::Addresses("a.internal".into()), vec![found])]);
        let world = self.published.world.with_found(&findings).unwrap().unwrap();
        self.publish(world)
    }

    fn publish(&mut self, world: World) -> Option<Sent> {
        let actions = self.publish_only(world);
        self.sent(actions)
    }

    fn publish_only(&mut self, world: World) -> Vec<Action> {
        self.published = Arc::new(self.published.next(world, self.now));
        let published = Event::Published(Arc::clone(&self.published));
        self.machine.on(published, self.now)
    }

    /// What is sent, once it is this stream's turn and nothing is found of what has to be looked for.
    fn sent(&mut self, actions: Vec<Action>) -> Option<Sent> {
        match &actions[..] {
            [Action::Find(..)] => {
                let next = self.machine.on(Event::Found(None), self.now);
                self.sent(next)
            }
            [Action::Queue(_)] => sent(self.machine.on(Event::Turn, self.now)),
            [Action::Retreat(_)] => {
                let before = Event::Before(self.before.pop());
                let next = self.machine.on(before, self.now);
                self.sent(next)
            }
            _ => sent(actions),
        }
    }

    fn newest(&self) -> Position {
        self.published.version.position
    }
}

fn sent(actions: Vec<Action>) -> Option<Sent> {
    assert!(actions.len() <= 1, "{actions:?}");
    actions.into_iter().next().map(|action| match action {
        Action::Send { base, target } => Sent {
            base: base.map(|base| base.position),
            target: target.position,
        },
        other => panic!("{other:?}"),
    })
}

fn closed(actions: &[Action]) -> Option<Closed> {
    actions.iter().find_map(|action| match action {
        Action::Close(reason) => Some(*reason),
        _ => None,
    })
}

const NAMED: &str = "{address: a.internal, port: 80}";

#[test]
fn a_proxy_that_holds_nothing_gets_everything_even_when_that_is_nothing() {
    let mut site = Site::start();
    let target = site.newest();
    assert_eq!(site.hello(None), Some(Sent { base: None, target }));
}

#[test]
fn a_proxy_gets_the_difference_from_what_it_holds_and_nothing_when_it_is_up_to_date() {
    let (mut site, held) = Site::in_step();
    site.machine = Machine::new(Arc::clone(&site.published), site.now);
    assert_eq!(site.hello(Some(held)), None);

    site.change(NAMED);
    site.machine = Machine::new(Arc::clone(&site.published), site.now);
    let target = site.newest();
    assert_eq!(
        site.hello(Some(held)),
        Some(Sent {
            base: Some(held),
            target
        })
    );
}

#[test]
fn a_position_that_is_not_recent_any_more_is_looked_for_and_a_base_when_it_is_found() {
    let (mut site, held) = Site::in_step();
    let version = Arc::clone(&site.published.version);
    for _ in 0..=live::RECENT {
        site.change(NAMED);
    }
    site.machine = Machine::new(Arc::clone(&site.published), site.now);
    assert_eq!(site.hello(Some(held)).unwrap().base, None);

    site.machine = Machine::new(Arc::clone(&site.published), site.now);
    site.introduce(Some(held));
    let actions = site.machine.on(Event::Admitted(Admitted::default()), site.now);
    assert!(
        matches!(actions[..], [Action::Welcome, Action::Find(_, position)] if position == held),
        "{actions:?}"
    );
    // Nothing is sent while it is looked for, whatever is published meanwhile.
    let world = site.published.world.clone();
    assert!(site.publish_only(world).is_empty());
    let found = sent(site.machine.on(Event::Found(Some(version)), site.now));
    let target = site.newest();
    assert_eq!(
        found,
        Some(Sent {
            base: Some(held),
            target
        })
    );
}

#[test]
fn everything_is_sent_in_turn_and_leads_to_what_is_newest_then() {
    let mut site = Site::start();
    site.introduce(None);
    let actions = site.machine.on(Event::Admitted(Admitted::default()), site.now);
    assert!(
        matches!(actions[..], [Action::Welcome, Action::Queue(_)]),
        "{actions:?}"
    );
    let world = site.published.world.clone();
    assert!(site.publish_only(world).is_empty(), "asked twice");
    assert_eq!(site.change(NAMED), None);
    let target = site.newest();
    let whole = sent(site.machine.on(Event::Turn, site.now));
    assert_eq!(whole, Some(Sent { base: None, target }));
    assert!(site.machine.has_turn());
    assert_eq!(site.ack(target), None);
    assert!(!site.machine.has_turn());
    // A difference needs no turn.
    assert_eq!(site.change(NAMED).unwrap().base, Some(target));
    assert!(!site.machine.has_turn());
}

#[test]
fn one_update_is_in_flight_and_what_lies_between_is_skipped() {
    let (mut site, held) = Site::in_step();
    let first = site.change(NAMED).unwrap();
    assert_eq!(first.base, Some(held));
    assert_eq!(site.change(NAMED), None);
    assert_eq!(site.change(NAMED), None);
    let target = site.newest();
    assert_eq!(
        site.ack(first.target),
        Some(Sent {
            base: Some(first.target),
            target
        })
    );
}

#[test]
fn a_wrong_base_is_no_refusal_everything_is_sent_once() {
    let (mut site, _) = Site::in_step();
    let update = site.change(NAMED).unwrap();
    let (full, noted) = site.nack(update.target, Code::WrongBase, false);
    assert_eq!(
        (full, noted),
        (
            Some(Sent {
                base: None,
                target: update.target
            }),
            false
        )
    );
    assert_eq!(site.nack(update.target, Code::WrongBase, false), (None, true));
}

#[test]
fn a_proxy_that_is_ahead_waits_until_this_replica_has_caught_up() {
    let mut site = Site::start();
    let ahead = Position {
        revision: Revision(2),
        ..site.newest()
    };
    assert_eq!(site.hello(Some(ahead)), None);
    assert_eq!(site.change("{address: 10.0.0.1, port: 80}"), None, "revision 1");
    let third = site
        .change("{address: 10.0.0.2, port: 80}")
        .map(|sent| sent.target);
    assert_eq!(
        third,
        Some(site.newest()),
        "revision 2 of other content is sent whole"
    );
}

#[test]
fn another_history_is_sent_whole() {
    let (mut site, held) = Site::in_step();
    let world = World::empty(HistoryId([2; 16]));
    let sent = site.publish(world).unwrap();
    assert_eq!(sent.base, None);
    assert_ne!(sent.target, held);
}

#[test]
fn silence_and_disorder_end_the_stream() {
    let mut site = Site::start();
    assert_eq!(
        closed(&site.say(Body::Report(v1::Report::default()))),
        Some(Closed::OutOfOrder)
    );

    let mut site = Site::start();
    let late = site.machine.deadline().unwrap();
    assert_eq!(
        closed(&site.machine.on(Event::Tick(0), late)),
        Some(Closed::NoHello)
    );

    let mut site = Site::start();
    site.hello(None).unwrap();
    let late = site.machine.deadline().unwrap();
    assert!(
        site.machine
            .on(Event::Tick(0), late - Duration::from_millis(1))
            .is_empty()
    );
    assert_eq!(
        closed(&site.machine.on(Event::Tick(0), late)),
        Some(Closed::NoAnswer)
    );

    let (mut site, _) = Site::in_step();
    assert_eq!(site.machine.deadline(), None);
    let garbage = v1::Ack {
        history: vec![1],
        ..v1::Ack::default()
    };
    assert_eq!(closed(&site.say(Body::Ack(garbage))), Some(Closed::Malformed));
    let goodbye = site.say(Body::Goodbye(v1::Goodbye::default()));
    assert!(matches!(
        &goodbye[..],
        [Action::Note(Fact::Left), Action::Close(Closed::Goodbye)]
    ));
}
