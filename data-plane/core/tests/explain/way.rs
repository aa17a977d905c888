//! The way through the table, step by step.

use crate::{
    CLIENT,
    rules::{asked, ruled, wanted},
    world::{World, full},
};

#[test]
fn the_way_is_told_from_the_port_to_the_decision() {
    let mut world = World::default();
    let matches = vec![wanted("/a/b", "POST", None, None), wanted("/a", "", None, None)];
    ruled(&mut world, 0, 1, "*.x.com", matches);
    let explained = full(&world.resources(), 1).explain(None, &asked("b.x.com", "/a/b").view(), CLIENT, 0);
    let steps: Vec<_> = explained
        .steps
        .iter()
        .map(|step| (step.stage, &*step.found, step.considered.clone()))
        .collect();
    let listener =
        "listener/default/edge/wild: of the hostnames of port 80, *.x.com is the most specific for b.x.com";
    let expected = [
        (
            "port",
            "80: the first where a rule takes the request",
            vec!["81".to_owned()],
        ),
        (
            "listener",
            listener,
            vec!["listener/default/edge/any (port 80, any host): less specific".to_owned()],
        ),
        ("host", "b.x.com is below *.x.com", vec![]),
        (
            "path",
            "/a/b is below /a",
            vec!["below /a/b: 1 match, none takes it".to_owned()],
        ),
        (
            "order",
            "match 0 of rule/default/r0/1 is number 1 of 1 there",
            vec![],
        ),
        (
            "decision",
            "sent on by weight: backend/default/web 100.0%",
            vec![],
        ),
    ];
    assert_eq!(steps, expected);
}
