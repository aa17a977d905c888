use super::*;

#[test]
fn proxies_that_are_late_by_themselves_do_not_slow_down_what_others_are_told() {
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut site = Site::start();
    let proxies: Vec<_> = ["a", "b", "c", "d", "e", "f"]
        .map(|id| site.join(id, 1, Some(Revision(0))).unwrap())
        .into();
    let told = |site: &Site| {
        site.fleet.observe(&site.stage.published, site.stage.now);
        site.fleet.count_late(PATIENCE, site.stage.now);
        site.fleet.told()
    };
    let first = site.commit();
    site.wait(900);
    for prompt in &proxies[..4] {
        site.ack(prompt, first);
    }
    assert_eq!(told(&site), 6, "nobody is late yet");
    site.wait(200);
    assert_eq!(told(&site), 4, "two have said nothing");
    site.ack(&proxies[4], first);
    assert_eq!(told(&site), 4, "one is slow");
    // A prompt answer, and it counts again; a stream that breaks counts no longer.
    let second = site.commit();
    site.ack(&proxies[4], second);
    assert_eq!(told(&site), 5);
    site.fleet.disconnected(proxies[0].stream, site.stage.now);
    assert_eq!(told(&site), 4);
    // Most are late: it is not they who are slow.
    site.wait(1_100);
    assert_eq!(told(&site), 6);
    let third = site.commit();
    for prompt in &proxies[1..3] {
        site.ack(prompt, third);
    }
    assert_eq!(told(&site), 3);
    for new in ["g", "h"] {
        let new = site.join(new, 1, None).unwrap();
        site.wait(900);
        site.ack(&new, third);
    }
    assert_eq!(told(&site), 4, "who has just come is not late");
}
