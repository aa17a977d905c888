//! The fleet of the Kubernetes manifests, with the operator's commands of `deploy/README.md`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use sluice_tests::deployment::manifests::Probe;
use sluice_tests::deployment::{Kubernetes, Objects, commands, kubernetes};

use super::load::Load;
use super::running::Running;

/// Where proxies take plain requests.
const HTTP: u16 = 8080;

struct Fleet {
    written: Kubernetes,
    running: Running,
}

/// The Secrets that were made.
fn secrets(directory: &Path) -> Objects {
    let list = |path: &Path| {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
            .collect::<Vec<_>>()
    };
    let files = |path: &Path| {
        let files = list(path).into_iter();
        files
            .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
            .collect()
    };
    list(directory)
        .into_iter()
        .map(|(name, path)| (name, files(&path)))
        .collect()
}

impl Fleet {
    fn new() -> Self {
        let written = kubernetes().unwrap();
        let mut hosts = Vec::new();
        for workload in &written.manifests.workloads {
            let name = workload.metadata.name.as_str();
            for pod in workload.pods() {
                hosts.push((pod.clone(), [name.to_owned(), format!("{pod}.{name}")]));
            }
        }
        let names: Vec<_> = hosts
            .iter()
            .map(|(_, names)| names.each_ref().map(String::as_str))
            .collect();
        let hosts = hosts.iter().zip(&names);
        let hosts: Vec<_> = hosts
            .map(|((host, _), names)| (host.as_str(), &names[..]))
            .collect();
        let running = Running::new(&hosts);
        Self { written, running }
    }

    fn pods(&self, workload: &str) -> Vec<String> {
        self.written.workload(workload).unwrap().pods()
    }

    fn start(&mut self, workload: &str, name: &str) {
        let pod = self.pod(workload, name);
        self.running.start(pod);
    }

    fn pod(&self, workload: &str, name: &str) -> sluice_tests::deployment::Pod {
        let secrets = secrets(&self.running.place("secrets"));
        let workload = self.written.workload(workload).unwrap();
        self.written.pod(workload, name, &secrets).unwrap()
    }

    /// Waits until the probes of a pod succeed, asked as the kubelet asks.
    async fn well(&self, workload: &str, pod: &str) {
        let spec = self.written.workload(workload).unwrap().pod();
        let container = &spec.containers[0];
        let probes = [
            &container.startup_probe,
            &container.readiness_probe,
            &container.liveness_probe,
        ];
        for probe in probes.into_iter().flatten() {
            self.probed(workload, pod, probe).await;
        }
    }

    async fn probed(&self, workload: &str, pod: &str, probe: &Probe) {
        if let Some(exec) = &probe.exec {
            self.running.said(pod, &exec.command).await;
        }
        if let Some(asked) = &probe.http_get {
            let container = &self.written.workload(workload).unwrap().pod().containers[0];
            let port = container
                .ports
                .iter()
                .find(|port| port.name == asked.port)
                .unwrap();
            let host = self.running.host(pod).address;
            let url = format!("http://{host}:{}{}", port.container_port, asked.path);
            self.running.answers(pod, &url).await;
        }
    }

    /// Ends a pod as an eviction does: nobody is led to it any more, then `preStop`, then the signal;
    /// all within the grace.
    async fn evict(&mut self, workload: &str, pod: &str, signal: Signal) {
        let spec = self.written.workload(workload).unwrap().pod();
        let grace = Duration::from_secs(spec.termination_grace_period_seconds);
        self.running.lead_to(workload, pod, false);
        let started = std::time::Instant::now();
        if let Some(hook) = &spec.containers[0].lifecycle.pre_stop {
            self.running.beside(pod, &hook.exec.command).unwrap();
        }
        self.running
            .stops(pod, signal, grace.saturating_sub(started.elapsed()))
            .await;
    }

    fn addresses(&self, proxies: &[String]) -> Vec<SocketAddr> {
        let addresses = proxies.iter().map(|proxy| self.running.host(proxy).address);
        addresses.map(|address| (address, HTTP).into()).collect()
    }

    /// What the superuser is told on the server `postgres`, or not.
    fn sql(&self, postgres: &str, options: &[&str], statement: &str) -> anyhow::Result<String> {
        let psql = [
            "psql",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--no-password",
        ];
        let command = ["--username=postgres", "--command", statement];
        let argv = [&psql[..], options, &command].concat();
        let argv: Vec<_> = argv.into_iter().map(str::to_owned).collect();
        Ok(self.running.beside(postgres, &argv)?.trim().to_owned())
    }

    /// Control planes have migrated the store, and can do nothing else; nobody else gets in from the
    /// network.
    fn assert_least_privilege(&self, postgres: &str) {
        let rights = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls \
                      FROM pg_roles WHERE rolname = 'sluice'";
        assert_eq!(self.sql(postgres, &[], rights).unwrap(), "f");
        let owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(
            self.sql(postgres, &["--dbname=sluice"], owners).unwrap(),
            "sluice"
        );
        let refused = self.sql(postgres, &["--host=127.0.0.1"], "SELECT 1").unwrap_err();
        assert!(
            format!("{refused:#}").contains("no pg_hba.conf entry"),
            "{refused:#}"
        );
    }

    /// A write that this many proxies have to take.
    fn write(&self, env: &[(&str, &str)], fleet: u64) {
        let write = "sluice apply -f deploy/examples/shop.yaml --wait 20s --quorum 1 -o json";
        let applied: Value = serde_json::from_str(&self.running.shell(env, write).unwrap()).unwrap();
        let receipt = &applied["receipt"];
        assert_eq!(
            (&receipt["fleet"], &receipt["applied"]),
            (&fleet.into(), &fleet.into()),
            "{applied}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubernetes_manifests_start_a_fleet_that_serves_while_its_budgets_are_used_up() {
    let mut fleet = Fleet::new();
    let [before, tokens] = &commands("README.md", "Kubernetes").unwrap()[..] else {
        panic!("other commands than these")
    };
    fleet.running.shell(&[], before).unwrap();
    let workloads = ["postgres", "etcd", "sluice-control", "sluice-proxy"];
    let [postgres, members, controls, proxies] = workloads.map(|workload| fleet.pods(workload));
    fleet.start("postgres", &postgres[0]);
    fleet.well("postgres", &postgres[0]).await;
    for (workload, pods) in [
        ("etcd", &members),
        ("sluice-control", &controls),
        ("sluice-proxy", &proxies),
    ] {
        pods.iter().for_each(|pod| fleet.start(workload, pod));
    }
    for (workload, pods) in [("etcd", &members), ("sluice-control", &controls)] {
        for pod in pods {
            fleet.well(workload, pod).await;
        }
    }

    fleet.assert_least_privilege(&postgres[0]);
    let token = fleet
        .running
        .shell(&[], "cat secrets/sluice-admin/token")
        .unwrap();
    let env = [
        ("SLUICE_ADMIN", "http://sluice-control:7400"),
        ("SLUICE_TOKEN", token.as_str()),
    ];
    fleet.running.shell(&env, tokens).unwrap();
    for proxy in &proxies {
        fleet.running.renew(&fleet.pod("sluice-proxy", proxy));
    }
    for proxy in &proxies {
        fleet.well("sluice-proxy", proxy).await;
    }
    fleet.running.route_to_themselves(&env, "http://etcd:2379");
    for proxy in &proxies {
        fleet.running.serves(proxy, HTTP).await;
    }

    // One of each goes, as the budgets allow, and comes back.
    let load = Load::start(fleet.running.host(&postgres[0]), fleet.addresses(&proxies[1..]));
    fleet.evict("etcd", &members[0], Signal::SIGTERM).await;
    fleet.evict("sluice-proxy", &proxies[0], Signal::SIGTERM).await;
    fleet.evict("sluice-control", &controls[0], Signal::SIGTERM).await;
    for member in &members[1..] {
        fleet.well("etcd", member).await;
    }
    fleet.write(&env, 2);
    for (workload, pod) in workloads[1..]
        .iter()
        .zip([&members[0], &controls[0], &proxies[0]])
    {
        fleet.start(workload, pod);
        fleet.well(workload, pod).await;
        fleet.running.lead_to(workload, pod, true);
    }
    fleet.running.serves(&proxies[0], HTTP).await;
    assert!(load.stop() > 0);

    // The store is last: it is stopped with what the image says.
    fleet.evict("postgres", &postgres[0], Signal::SIGINT).await;
    for proxy in &proxies {
        fleet.running.serves(proxy, HTTP).await;
    }
}
