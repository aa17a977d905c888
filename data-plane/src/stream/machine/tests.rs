use sluice_model::{CommitId, CommitSeal, Digest, HistoryId, Position, Revision, Violation};

use super::*;

/// A machine with two control planes, and a clock.
struct Script {
    machine: Machine,
    now: u64,
}

fn held(revision: u64) -> Held {
    Held {
        history: HistoryId([7; 16]),
        position: Position {
            revision: Revision(revision),
            config: Digest::of(&revision.to_be_bytes()),
            runtime: Digest::EMPTY,
        },
        commit: CommitId(9),
        commit_seal: CommitSeal(8),
        listeners: vec![],
    }
}

fn refused(code: Code) -> Refused {
    Refused {
        history: vec![7; 16],
        position: Some(sluice_core::position_to_wire(held(2).position)),
        violations: vec![Violation::new("rule/a/b/c", "", code, "no")],
    }
}

fn update() -> control_message::Body {
    control_message::Body::Update(v1::Update::default())
}

fn welcome() -> control_message::Body {
    control_message::Body::Welcome(v1::Welcome {
        report_interval_ms: 1000,
        ..v1::Welcome::default()
    })
}

impl Script {
    fn new(held: Option<Held>) -> Self {
        let identity = Identity {
            id: "edge-1".into(),
            labels: vec![("zone".into(), "a".into())],
            admin: "127.0.0.1:9000".into(),
            instance: [1; 16],
        };
        let mut script = Self {
            machine: Machine::new(identity, 2, held.is_some()),
            now: 0,
        };
        if let Some(held) = held {
            let saved = Outcome::Applied { held, build_us: 1 };
            assert_eq!(script.on(Event::Built(saved)), []);
        }
        script
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        let now = Millis(self.now);
        self.machine.on(
            event,
            Moment {
                now,
                random: u64::MAX,
            },
        )
    }

    /// Waits until the machine wants to be woken; returns how long that was.
    fn wait(&mut self) -> (u64, Vec<Action>) {
        let at = self.machine.wake_at().expect("it waits for nothing").0;
        let waited = at - self.now;
        self.now = at;
        (waited, self.on(Event::Time))
    }

    /// Goes to where updates are taken.
    fn talk(&mut self) -> v1::Hello {
        assert!(matches!(self.wait().1[..], [Action::Connect(_)]));
        let hello = self.on(Event::Connected);
        assert!(matches!(
            self.on(Event::Received(welcome()))[..],
            [Action::Trust(None), Action::Welcomed { .. }]
        ));
        match <[Action; 1]>::try_from(hello) {
            Ok([Action::Send(Body::Hello(hello))]) => hello,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn hello_says_what_is_held_and_an_update_is_built_then_acknowledged() {
    let mut script = Script::new(Some(held(1)));
    let hello = script.talk();
    assert_eq!((hello.history, hello.proxy_id), (vec![7; 16], "edge-1".into()));
    assert_eq!(hello.holds.unwrap().revision, 1);
    assert_eq!((hello.commit, hello.commit_seal), (9, 8));
    assert!(matches!(
        script.on(Event::Received(update()))[..],
        [Action::Build(_)]
    ));
    let applied = Outcome::Applied {
        held: held(2),
        build_us: 900,
    };
    match &script.on(Event::Built(applied))[..] {
        [Action::Send(Body::Ack(ack))] => {
            assert_eq!((ack.build_us, ack.position.as_ref().unwrap().revision), (900, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proxy_that_holds_nothing_says_so() {
    let hello = Script::new(None).talk();
    assert_eq!((hello.holds, hello.history), (None, vec![]));
}

#[test]
fn a_wrong_update_is_refused_and_the_stream_goes_on() {
    let mut script = Script::new(Some(held(1)));
    script.talk();
    script.on(Event::Received(update()));
    match &script.on(Event::Built(Outcome::Refused(refused(Code::Dangling))))[..] {
        [Action::Send(Body::Nack(nack))] => {
            assert!(!nack.retrying);
            assert_eq!(nack.violations[0].code, "dangling");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        script.on(Event::Received(update()))[..],
        [Action::Build(_)]
    ));
}

#[test]
fn an_update_that_waits_for_a_port_is_refused_for_now_and_acknowledged_later() {
    let mut script = Script::new(Some(held(1)));
    script.talk();
    script.on(Event::Received(update()));
    let actions = script.on(Event::Built(Outcome::Waiting(refused(Code::Local))));
    assert!(matches!(&actions[..], [Action::Send(Body::Nack(nack))] if nack.retrying));
    let freed = Outcome::Freed {
        held: held(2),
        build_us: 5,
    };
    assert!(matches!(
        script.on(Event::Built(freed))[..],
        [Action::Send(Body::Ack(_))]
    ));
}

#[test]
fn a_port_that_gets_free_during_a_build_does_not_end_the_build() {
    let mut script = Script::new(Some(held(1)));
    script.talk();
    script.on(Event::Received(update()));
    let freed = Outcome::Freed {
        held: held(2),
        build_us: 5,
    };
    script.on(Event::Built(freed));
    // Still building: a second update at once is against the order.
    assert_eq!(script.on(Event::Received(update())), [Action::Disconnect]);
}

#[test]
fn an_update_from_elsewhere_leads_to_a_new_hello_at_once() {
    let mut script = Script::new(Some(held(1)));
    script.talk();
    script.on(Event::Received(update()));
    let actions = script.on(Event::Built(Outcome::Refused(refused(Code::WrongBase))));
    assert_eq!(actions, [Action::Disconnect]);
    assert_eq!(script.machine.wake_at(), Some(Millis(script.now)));
    assert_eq!(script.talk().holds.unwrap().revision, 1);
}

#[test]
fn losses_move_on_to_the_next_control_plane_after_growing_pauses() {
    let mut script = Script::new(None);
    let mut connects = Vec::new();
    for _ in 0..4 {
        let (waited, actions) = script.wait();
        connects.push((waited, actions));
        script.on(Event::Lost);
    }
    let connect = Action::Connect;
    let expected = [(0, 0), (100, 1), (200, 0), (400, 1)];
    assert_eq!(connects, expected.map(|(wait, to)| (wait, vec![connect(to)])));
    script.talk();
    script.on(Event::Lost);
    assert_eq!(script.wait().0, 100, "a welcome starts the pauses again");
}

#[test]
fn a_control_plane_that_drains_is_left_at_once_for_the_next() {
    let mut script = Script::new(None);
    script.talk();
    let drain = || Event::Received(control_message::Body::Drain(v1::Drain {}));
    assert_eq!(script.on(drain()), [Action::Disconnect]);
    assert_eq!(script.wait(), (0, vec![Action::Connect(1)]));
}

#[test]
fn all_endpoints_are_told_of_again_when_that_is_asked_for() {
    let mut script = Script::new(None);
    script.talk();
    let recount = || Event::Received(control_message::Body::Recount(v1::Recount {}));
    assert_eq!(script.on(recount()), [Action::Recount]);
    // Also while an update is being built.
    assert!(matches!(
        script.on(Event::Received(update()))[..],
        [Action::Build(_)]
    ));
    assert_eq!(script.on(recount()), [Action::Recount]);
}

#[test]
fn the_only_control_plane_is_used_to_its_end() {
    let mut script = Script::new(None);
    script.machine.addresses = 1;
    script.talk();
    let drain = || Event::Received(control_message::Body::Drain(v1::Drain {}));
    assert_eq!(script.on(drain()), []);
    assert!(matches!(
        script.on(Event::Received(update()))[..],
        [Action::Build(_)]
    ));
}

#[test]
fn a_control_plane_that_does_not_answer_is_given_up() {
    let mut script = Script::new(None);
    script.wait();
    assert_eq!(script.wait(), (10_000, vec![Action::Disconnect]));
    script.wait();
    script.on(Event::Connected);
    assert_eq!(script.wait(), (10_000, vec![Action::Disconnect]));
}

#[test]
fn hello_waits_for_an_update_that_is_being_built() {
    let mut script = Script::new(Some(held(1)));
    script.talk();
    script.on(Event::Received(update()));
    script.on(Event::Lost);
    script.wait();
    assert_eq!(script.on(Event::Connected), []);
    let applied = Outcome::Applied {
        held: held(2),
        build_us: 1,
    };
    match &script.on(Event::Built(applied))[..] {
        [Action::Send(Body::Hello(hello))] => assert_eq!(hello.holds.as_ref().unwrap().revision, 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reports_go_out_only_while_somebody_listens() {
    let mut script = Script::new(None);
    assert_eq!(script.on(Event::Report(v1::Report::default())), []);
    script.talk();
    let actions = script.on(Event::Report(v1::Report::default()));
    assert!(matches!(actions[..], [Action::Send(Body::Report(_))]));
}

#[test]
fn whoever_leaves_says_goodbye_and_stays_away() {
    let mut script = Script::new(None);
    script.talk();
    assert!(matches!(
        script.on(Event::Leave)[..],
        [Action::Send(Body::Goodbye(_))]
    ));
    assert_eq!(script.on(Event::Lost), []);
    assert_eq!(script.machine.wake_at(), None);
}

#[test]
fn an_update_before_the_welcome_is_against_the_order() {
    let mut script = Script::new(None);
    script.wait();
    script.on(Event::Connected);
    assert_eq!(script.on(Event::Received(update())), [Action::Disconnect]);
}
