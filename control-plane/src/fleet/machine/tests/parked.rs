//! What a proxy has refused.

use super::*;

#[test]
fn what_is_refused_is_sent_once_until_the_revision_changes() {
    let (mut site, held) = Site::in_step();
    let refused = site.change(NAMED).unwrap().target;
    assert_eq!(site.nack(refused, Code::Unsupported, false), (None, true));
    let same = Arc::clone(&site.published);
    assert_eq!(sent(site.machine.on(Event::Published(same), site.now)), None);
    let target = {
        let next = site.change(NAMED).unwrap();
        assert_eq!(next.base, Some(held));
        next.target
    };
    assert_eq!(target, site.newest());
    assert_eq!(site.ack(target), None);
}

#[test]
fn endpoints_go_on_moving_while_the_config_is_parked() {
    let mut site = Site::start();
    let first = site.hello(None).unwrap().target;
    site.ack(first);
    let held = site.change(NAMED).unwrap().target;
    site.ack(held);
    let refused = site.change(NAMED).unwrap().target;
    site.nack(refused, Code::Unsupported, false);

    let runtime = site.resolve("10.0.0.5").unwrap();
    assert_eq!(
        (runtime.base, runtime.target.revision),
        (Some(held), held.revision)
    );
    assert_eq!(runtime.target.config, held.config);
    assert_ne!(runtime.target.runtime, held.runtime);
    // Having that does not bring the refused config back, and refusing it does not either.
    assert_eq!(site.ack(runtime.target), None);
    let again = site.resolve("10.0.0.6").unwrap();
    assert_eq!(again.base, Some(runtime.target));
    assert_eq!(site.nack(again.target, Code::Local, false), (None, true));
    assert_eq!(site.resolve("10.0.0.7").unwrap().target.config, held.config);
}

#[test]
fn a_refusal_on_an_earlier_stream_stays_parked_on_the_next() {
    let (mut site, held) = Site::in_step();
    let refused = site.change(NAMED).unwrap().target;
    site.machine = Machine::new(Arc::clone(&site.published), site.now);
    let hello = v1::Hello {
        proxy_id: "edge-1".into(),
        history: vec![1; 16],
        holds: Some(position_to_wire(held)),
        ..v1::Hello::default()
    };
    site.say(Body::Hello(hello));
    let parked = Parked {
        history: HistoryId([1; 16]),
        revision: refused.revision,
    };
    assert_eq!(site.admit(Some(parked)), None);
    assert!(site.change(NAMED).is_some());
}

#[test]
fn a_proxy_that_retries_by_itself_is_left_alone_and_its_late_ack_counts() {
    let (mut site, held) = Site::in_step();
    let waiting = site.change(NAMED).unwrap().target;
    assert_eq!(site.nack(waiting, Code::Local, true), (None, true));
    assert_eq!(site.nack(waiting, Code::Local, true), (None, true));
    assert_eq!(site.ack(waiting), None);
    let next = site.change(NAMED).unwrap();
    assert_eq!(next.base, Some(waiting));
    assert_ne!(next.base, Some(held));
}

#[test]
fn what_comes_next_takes_the_place_of_what_a_proxy_retries() {
    let (mut site, held) = Site::in_step();
    let waiting = site.change(NAMED).unwrap().target;
    site.nack(waiting, Code::Local, true);
    let next = site.resolve("10.0.0.5").unwrap();
    assert_eq!(
        next,
        Sent {
            base: Some(held),
            target: site.newest()
        }
    );
    // The old one's late success is no base for anything that is in flight: the proxy says so.
    assert_eq!(
        site.nack(next.target, Code::WrongBase, false).0.unwrap().base,
        None
    );
}

#[test]
fn a_refused_revision_does_not_get_through_by_half() {
    let (mut site, _) = Site::in_step();
    // This revision moves the endpoints of `a` and is refused: they stay where they were.
    let refused = site.change("{address: 10.0.0.9, port: 80}").unwrap().target;
    assert_eq!(site.nack(refused, Code::Unsupported, false), (None, true));

    let (mut site, held) = Site::in_step();
    let named = site.change(NAMED).unwrap().target;
    assert_eq!(site.nack(named, Code::Unsupported, false), (None, true));
    assert_eq!(site.resolve("10.0.0.5"), None);
    assert_eq!(site.change(NAMED).unwrap().base, Some(held));
}

#[test]
fn endpoints_of_backends_that_only_the_new_config_has_stay_out_of_the_old_one() {
    let (mut site, held) = Site::in_step();
    let before = Arc::clone(&site.published.version);
    site.change("{address: 10.0.0.9, port: 80}");
    let mixed = before.with_runtime_of(&site.published.version, |_| true).unwrap();
    assert_eq!(mixed.position.config, held.config);
    let keys: Vec<_> = mixed
        .resources
        .iter()
        .map(|entry: &Entry| entry.key.to_string())
        .collect();
    assert!(keys.contains(&"endpoints/default/a".to_owned()));
    assert!(!keys.contains(&"endpoints/default/b2".to_owned()), "{keys:?}");
}

/// A proxy without anything, to which four revisions are published; these, oldest first.
fn newcomer() -> (Site, Vec<Arc<Version>>) {
    let mut site = Site::start();
    let mut versions = vec![Arc::clone(&site.published.version)];
    for _ in 0..4 {
        site.change(NAMED);
        versions.push(Arc::clone(&site.published.version));
    }
    (site, versions)
}

#[test]
fn a_newcomer_goes_back_from_what_it_refuses_until_it_accepts_something() {
    let (mut site, versions) = newcomer();
    site.before = vec![Arc::clone(&versions[1]), Arc::clone(&versions[3])];
    let newest = site.hello(None).unwrap().target;
    assert_eq!(newest.revision, Revision(4));
    let whole = |version: &Version| {
        let target = version.position;
        Some(Sent { base: None, target })
    };
    let refused = site.nack(newest, Code::Unsupported, false);
    assert_eq!(refused, (whole(&versions[3]), true));
    let refused = site.nack(versions[3].position, Code::Unsupported, false);
    assert_eq!(refused, (whole(&versions[1]), true));
    // What it has now moves on with the endpoints, and the newest is still not sent again.
    assert_eq!(site.ack(versions[1].position), None);
    let runtime = site.resolve("10.0.0.5").unwrap();
    assert_eq!(runtime.base, Some(versions[1].position));
    assert_eq!(runtime.target.revision, Revision(1));
    assert_eq!(site.ack(runtime.target), None);
    assert_eq!(site.change(NAMED).unwrap().base, Some(runtime.target));
}

#[test]
fn a_newcomer_is_asked_about_once_for_each_refusal_and_from_the_oldest_one_on() {
    let (mut site, versions) = newcomer();
    site.introduce(None);
    let admitted = Admitted {
        parked: None,
        first: Some(Arc::clone(&versions[2])),
    };
    let mut actions = site.machine.on(Event::Admitted(admitted), site.now);
    let first = site.sent(actions.split_off(1)).unwrap().target;
    assert_eq!(first.revision, Revision(2));
    // It may like what is newest better than what most like.
    let (newest, _) = site.nack(first, Code::Unsupported, false);
    let newest = newest.unwrap().target;
    assert_eq!(newest, site.newest());
    let nack = v1::Nack {
        history: vec![1; 16],
        position: Some(position_to_wire(newest)),
        ..v1::Nack::default()
    };
    let actions = site.say(Body::Nack(nack));
    let [Action::Note(_), Action::Retreat(from)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(from.revision, Revision(2), "what comes after it was refused");
    assert!(site.machine.on(Event::Before(None), site.now).is_empty());
    let same = Event::Published(Arc::clone(&site.published));
    assert!(site.machine.on(same, site.now).is_empty());
    assert_eq!(site.change(NAMED).unwrap().target, site.newest());
}

#[test]
fn a_newcomer_that_refused_on_an_earlier_stream_goes_back_at_once() {
    let (mut site, versions) = newcomer();
    site.before = vec![Arc::clone(&versions[3])];
    site.introduce(None);
    let parked = Parked {
        history: HistoryId([1; 16]),
        revision: Revision(4),
    };
    let sent = site.admit(Some(parked)).unwrap();
    assert_eq!(sent.target, versions[3].position);
}

#[test]
fn a_proxy_that_has_something_stays_there() {
    let (mut site, versions) = newcomer();
    site.before = vec![Arc::clone(&versions[3])];
    let held = versions[2].position;
    let newest = site.hello(Some(held)).unwrap().target;
    assert_eq!(site.nack(newest, Code::Unsupported, false), (None, true));
    // Nor is one sent back whose position is not known here.
    let (mut site, versions) = newcomer();
    site.before = vec![Arc::clone(&versions[3])];
    let unknown = Position {
        runtime: sluice_model::Digest([9; 16]),
        ..versions[2].position
    };
    let newest = site.hello(Some(unknown)).unwrap().target;
    assert_eq!(site.nack(newest, Code::Unsupported, false), (None, true));
}
