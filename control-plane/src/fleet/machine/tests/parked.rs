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
