//! The services of the compose file, with the operator's commands of `deploy/README.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use sluice_tests::deployment::{Pod, Service, commands, compose};

use super::running::Running;

/// Where proxies take plain requests.
pub(super) const HTTP: u16 = 8080;

/// The services, started in the order in which they need each other.
pub(super) struct Composed {
    pub(super) running: Running,
    services: BTreeMap<String, (Pod, Service)>,
    /// What the operator's commands use.
    token: String,
    pub(super) password: String,
}

impl Composed {
    /// All of them, and a route that proxies serve.
    pub(super) async fn start() -> Self {
        let names = ["postgres", "etcd", "control-1", "control-2", "edge-1", "edge-2"];
        let hosts: Vec<_> = names
            .iter()
            .map(|name| (*name, std::slice::from_ref(name)))
            .collect();
        let running = Running::new(&hosts);
        let [before, tokens] = &commands("README.md", "Compose").unwrap()[..] else {
            panic!("other commands than these")
        };
        running.shell(&[], before).unwrap();
        let given = running.place("deploy/compose");
        let read = |name: &str| {
            let env = std::fs::read_to_string(given.join("secrets/control.env")).unwrap();
            let mut lines = env.lines().filter_map(|line| line.split_once('='));
            lines.find(|(known, _)| *known == name).unwrap().1.to_owned()
        };
        let (password, token) = (read("PGPASSWORD"), read("SLUICE_TOKEN"));
        let services = compose(&given).unwrap().into_iter();
        let services = services
            .map(|(pod, service)| (pod.name.clone(), (pod, service)))
            .collect();
        let mut composed = Self {
            running,
            services,
            token,
            password,
        };
        composed.up("postgres").await;
        composed.up("etcd").await;
        composed.up("control-1").await;
        composed.up("control-2").await;
        composed.running.shell(&composed.env(), tokens).unwrap();
        for edge in ["edge-1", "edge-2"] {
            composed.up(edge).await;
        }
        composed
            .running
            .route_to_themselves(&composed.env(), "http://etcd:2379");
        for edge in ["edge-1", "edge-2"] {
            composed.running.serves(edge, HTTP).await;
        }
        composed
    }

    /// What the operator's programs are given.
    pub(super) fn env(&self) -> [(&str, &str); 2] {
        [
            ("SLUICE_ADMIN", "http://control-1:7400"),
            ("SLUICE_TOKEN", &self.token),
        ]
    }

    /// Starts a service, and waits until it is well.
    pub(super) async fn up(&mut self, name: &str) {
        let (pod, service) = self.services[name].clone();
        self.running.start(pod);
        let (how, test) = service.healthcheck.test.split_first().unwrap();
        assert_eq!(how, "CMD", "{name}");
        self.running.said(name, test).await;
    }

    /// Stops a service as `docker compose stop` does.
    pub(super) async fn stop(&mut self, name: &str) {
        let (_, service) = &self.services[name];
        let signal = service
            .stop_signal
            .as_deref()
            .unwrap_or("SIGTERM")
            .parse()
            .unwrap();
        let grace = service
            .stop_grace_period
            .strip_suffix('s')
            .unwrap_or("10")
            .parse()
            .unwrap();
        self.running.stops(name, signal, Duration::from_secs(grace)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_compose_file_starts_a_fleet_that_serves_and_ends_in_good_order() {
    let mut composed = Composed::start().await;
    for (name, (_, service)) in &composed.services {
        assert!(service.read_only && service.cap_drop == ["ALL"], "{name}");
        assert_eq!(service.security_opt, ["no-new-privileges:true"], "{name}");
        if name.starts_with("edge") {
            assert_eq!(
                service.networks,
                ["edge"],
                "{name}: proxies do not reach the store"
            );
        }
        for port in service.ports.iter().filter(|_| !name.starts_with("edge")) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
    for name in ["edge-1", "edge-2", "control-1", "control-2", "etcd", "postgres"] {
        composed.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argument_that_a_program_does_not_know_is_noticed() {
    let names = ["postgres", "etcd", "control-1", "control-2", "edge-1", "edge-2"];
    let hosts: Vec<(&str, &[&str])> = names.iter().map(|name| (*name, &[][..])).collect();
    let mut running = Running::new(&hosts);
    let [before, _] = &commands("README.md", "Compose").unwrap()[..] else {
        panic!("other commands than these")
    };
    running.shell(&[], before).unwrap();
    let services = compose(&running.place("deploy/compose")).unwrap();
    for (mut pod, _) in services {
        pod.argv.push("--insecure-grpc".to_owned());
        let host = pod.name.clone();
        let status = running.run(pod, &host).await;
        assert!(!status.success(), "{host}");
        let log = running.log(&host);
        assert!(log.contains("insecure-grpc"), "{host}: {log}");
    }
}
