//! The systemd units, with the operator's commands of `deploy/README.md`.

use sluice_tests::deployment::{Unit, commands, unit};

use super::running::Running;

/// Starts a unit on a host, as the service manager does.
async fn started(running: &mut Running, name: &str, host: &str) -> Unit {
    let mut unit = unit(&format!("{name}.service"), host, &running.place("etc/sluice")).unwrap();
    unit.pod.name = name.to_owned();
    for (number, argv) in unit.before.iter().enumerate() {
        let mut before = unit.pod.clone();
        before.argv.clone_from(argv);
        let status = running.run(before, host).await;
        assert!(status.success(), "{name}, {number}: {}", running.log(name));
    }
    running.start_at(unit.pod.clone(), host);
    for argv in &unit.after {
        running.said(name, argv).await;
    }
    unit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systemd_units_start_a_control_plane_and_a_proxy_that_serve() {
    let mut running = Running::new(&[
        (
            "control-1",
            &[
                "control-1.example.internal",
                "control-2.example.internal",
                "db.example.internal",
            ],
        ),
        ("edge-1", &[]),
    ]);
    running.sit_at("control-1");
    let [control, proxy] = &commands("README.md", "systemd").unwrap()[..] else {
        panic!("other commands than these")
    };
    running.shell(&[], control).unwrap();
    let postgres = started(&mut running, "sluice-postgres", "control-1").await;
    let etcd = started(&mut running, "sluice-etcd", "control-1").await;
    let control = started(&mut running, "sluice-control", "control-1").await;
    running.answers("control-1", "http://127.0.0.1:7400/readyz").await;
    running.answers("control-1", "http://127.0.0.1:2379/health").await;

    running.shell(&[], proxy).unwrap();
    let edge = started(&mut running, "sluice-proxy", "edge-1").await;
    running.answers("edge-1", "http://127.0.0.1:9000/ready").await;
    let token = running
        .shell(&[], "grep SLUICE_TOKEN /etc/sluice/control.env | cut -d= -f2")
        .unwrap();
    running.route_to_themselves(&[("SLUICE_TOKEN", token.trim())], "http://127.0.0.1:2379");
    running.serves("edge-1", 80).await;

    for (name, unit) in [
        ("sluice-proxy", edge),
        ("sluice-control", control),
        ("sluice-etcd", etcd),
        ("sluice-postgres", postgres),
    ] {
        running.stops(name, unit.signal, unit.grace).await;
    }
}
