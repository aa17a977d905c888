//! A stream whose proxy has one view of several.

use sluice_core::position_to_wire;
use sluice_intent::Format;

use super::*;
use crate::compile::{Change, DanglingRefs, World};
use crate::live;

/// A control plane's end of one stream.
struct Site {
    published: Arc<Published>,
    machine: Machine,
    now: Instant,
}

impl Site {
    /// A Gateway for each of two zones; and a proxy of these labels that was let in.
    fn with_proxy(labels: &[(&str, &str)]) -> (Self, Vec<Action>) {
        let now = Instant::now();
        let gateway = |zone: &str, selector: &str| {
            format!(
                "\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
                 metadata: {{name: {zone}, annotations: {{sluice.dev/proxy-selector: '{selector}'}}}}\n\
                 spec: {{gatewayClassName: sluice, listeners: [{{name: http, port: 80, protocol: HTTP}}]}}\n"
            )
        };
        let empty = World::empty(HistoryId([1; 16]));
        let world = change(
            &empty,
            &[gateway("a", "zone=a"), gateway("b", "zone=b")].join("---"),
        );
        let published = Arc::new(Published::first(world, now));
        let mut machine = Machine::new(Arc::clone(&published), now);
        let labels = labels.iter().map(|(name, value)| v1::Label {
            name: (*name).into(),
            value: (*value).into(),
        });
        let hello = v1::Hello {
            proxy_id: "edge-1".into(),
            labels: labels.collect(),
            ..v1::Hello::default()
        };
        let body = Some(Body::Hello(hello));
        machine.on(Event::Message(v1::ProxyMessage { body }), now);
        let actions = in_turn(&mut machine, Event::Admitted(Admitted::default()), now);
        let site = Self {
            published,
            machine,
            now,
        };
        (site, actions)
    }

    fn publish(&mut self, published: Published) -> Vec<Action> {
        self.published = Arc::new(published);
        let event = Event::Published(Arc::clone(&self.published));
        in_turn(&mut self.machine, event, self.now)
    }

    /// What operators say of the proxy from now on.
    fn label(&mut self, labels: &[(&str, &str)]) -> Vec<Action> {
        let labels = live::OperatorLabels::for_test("edge-1", labels);
        self.publish(self.published.with_labels(labels))
    }

    fn ack(&mut self, position: Position) -> Vec<Action> {
        let ack = v1::Ack {
            history: vec![1; 16],
            position: Some(position_to_wire(position)),
            ..v1::Ack::default()
        };
        let body = Some(Body::Ack(ack));
        let event = Event::Message(v1::ProxyMessage { body });
        in_turn(&mut self.machine, event, self.now)
    }

    fn nack(&mut self, position: Position) -> Vec<Action> {
        let nack = v1::Nack {
            history: vec![1; 16],
            position: Some(position_to_wire(position)),
            ..v1::Nack::default()
        };
        let body = Some(Body::Nack(nack));
        let event = Event::Message(v1::ProxyMessage { body });
        in_turn(&mut self.machine, event, self.now)
    }

    fn position(&self, view: &[&str]) -> Position {
        self.published.view(&key(view)).unwrap().position
    }
}

/// What is done about `event`, where it is always this stream's turn.
fn in_turn(machine: &mut Machine, event: Event, now: Instant) -> Vec<Action> {
    let mut actions = machine.on(event, now);
    if matches!(actions.last(), Some(Action::Queue(_))) {
        actions.extend(machine.on(Event::Turn, now));
    }
    actions
}

fn change(world: &World, yaml: &str) -> World {
    let resources = sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default").unwrap();
    let changes = resources.into_iter().map(Change::Put).collect();
    let revision = Revision(world.revision().0 + 1);
    world
        .change(changes, revision, DanglingRefs::Refuse)
        .unwrap()
        .world
}

fn key(selectors: &[&str]) -> ViewKey {
    selectors.iter().map(|one| Arc::from(*one)).collect()
}

/// The step that is sent, if one is: from, and to.
fn sent(actions: &[Action]) -> Option<(Option<Position>, Position)> {
    actions.iter().find_map(|action| match action {
        Action::Send { base, target } => Some((base.as_ref().map(|base| base.position), target.position)),
        _ => None,
    })
}

fn viewed(actions: &[Action]) -> Option<&ViewKey> {
    actions.iter().find_map(|action| match action {
        Action::Note(Fact::Viewed(view)) => Some(view),
        _ => None,
    })
}

#[test]
fn a_proxy_gets_the_view_of_its_labels() {
    for (labels, view) in [
        (&[("zone", "a")][..], &["zone=a"][..]),
        (&[("zone", "c")], &[]),
        (&[], &[]),
    ] {
        let (site, actions) = Site::with_proxy(labels);
        assert_eq!(sent(&actions), Some((None, site.position(view))));
    }
}

#[test]
fn a_label_moves_a_proxy_to_another_view_with_a_difference() {
    let (mut site, _) = Site::with_proxy(&[("zone", "a")]);
    let [first, second] = [site.position(&["zone=a"]), site.position(&["zone=b"])];
    assert_eq!(sent(&site.ack(first)), None);
    let actions = site.label(&[("zone", "b")]);
    assert_eq!(viewed(&actions), Some(&key(&["zone=b"])));
    assert_eq!(sent(&actions), Some((Some(first), second)));
    assert_eq!(sent(&site.ack(second)), None);
    // Others' labels are none of its business.
    let others = live::OperatorLabels::for_test("edge-2", &[("zone", "a")]);
    let actions = site.publish(site.published.with_labels(others));
    // Nobody says anything of this one any more: it is as it says itself.
    assert_eq!(sent(&actions), Some((Some(second), first)));
}

#[test]
fn a_view_that_is_still_being_made_is_waited_for() {
    let (mut site, _) = Site::with_proxy(&[("zone", "a")]);
    site.ack(site.position(&["zone=a"]));
    let both = site.published.world.clone();
    let tier = EDGE_OF_A_TIER;
    let world = change(&both, tier);
    let actions = site.publish(site.published.next(world.clone(), site.now));
    assert_eq!(
        sent(&actions).map(|(_, target)| target),
        Some(site.position(&["zone=a"]))
    );
    site.ack(site.position(&["zone=a"]));
    let wanted = key(&["tier=1", "zone=a"]);
    let actions = site.label(&[("tier", "1")]);
    assert_eq!(viewed(&actions), Some(&wanted));
    assert_eq!(sent(&actions), None);
    let world = world.with_views([wanted.clone()]).unwrap().unwrap();
    let actions = site.publish(site.published.next(world, site.now));
    let target = site.published.view(&wanted).unwrap().position;
    assert_eq!(sent(&actions).map(|(_, to)| to), Some(target));
}

const EDGE_OF_A_TIER: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: tier, annotations: {sluice.dev/proxy-selector: tier=1}}
spec: {gatewayClassName: sluice, listeners: [{name: http, port: 90, protocol: HTTP}]}
";

#[test]
fn what_is_refused_in_one_view_is_not_parked_in_another() {
    let (mut site, _) = Site::with_proxy(&[("zone", "a")]);
    let [first, second] = [site.position(&["zone=a"]), site.position(&["zone=b"])];
    assert_eq!(sent(&site.nack(first)), None);
    assert_eq!(sent(&site.label(&[("zone", "b")])), Some((None, second)));
}

#[test]
fn a_revision_that_does_not_touch_a_view_moves_its_position_all_the_same() {
    let (mut site, _) = Site::with_proxy(&[("zone", "a")]);
    let first = site.position(&["zone=a"]);
    site.ack(first);
    let world = change(&site.published.world, EDGE_OF_A_TIER);
    let actions = site.publish(site.published.next(world, site.now));
    let second = site.position(&["zone=a"]);
    assert_eq!(sent(&actions), Some((Some(first), second)));
    assert_eq!((first.config, second.revision), (second.config, Revision(2)));
}

#[test]
fn a_newcomer_goes_on_from_where_others_are_whatever_becomes_of_its_start() {
    for accepts in [true, false] {
        let (site, _) = Site::with_proxy(&[]);
        let first = Arc::clone(&site.published.version);
        let world = change(&site.published.world, EDGE_OF_A_TIER);
        let published = Arc::new(site.published.next(world, site.now));
        let mut site = Site {
            machine: Machine::new(Arc::clone(&published), site.now),
            published,
            now: site.now,
        };
        let hello = v1::Hello {
            proxy_id: "edge-2".into(),
            ..v1::Hello::default()
        };
        let body = Some(Body::Hello(hello));
        site.machine
            .on(Event::Message(v1::ProxyMessage { body }), site.now);
        let admitted = Admitted {
            first: Some(Arc::clone(&first)),
            ..Admitted::default()
        };
        let actions = in_turn(&mut site.machine, Event::Admitted(admitted), site.now);
        assert_eq!(sent(&actions), Some((None, first.position)));
        let newest = site.published.version.position;
        let (actions, base) = match accepts {
            true => (site.ack(first.position), Some(first.position)),
            false => (site.nack(first.position), None),
        };
        assert_eq!(sent(&actions), Some((base, newest)));
    }
}
