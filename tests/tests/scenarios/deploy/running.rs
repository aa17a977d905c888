//! Pods that run on a network of their own, and the operator beside them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use sluice_tests::deployment::{Host, Network, Pod, Volume, directory};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, gateway, list, route_to};
use sluice_tests::process::Process;
use sluice_tests::site::SOON;
use tempfile::TempDir;

/// What stands for the programs that are not here: `kubectl` keeps Secrets as files, and what it or
/// `docker compose` would run in a control plane's container runs here.
const STAND_INS: [(&str, &str); 3] = [
    (
        "kubectl",
        r#"[ "$1" = -n ] && shift 2
        case "$1 $2 $3" in
        "create secret generic")
            secret=/operator/secrets/$4
            mkdir -p "$secret"
            shift 4
            for pair; do
                value=${pair#*=}
                key=${value%%=*}
                case $pair in
                --from-literal=*) printf %s "${value#*=}" >"$secret/$key" ;;
                --from-file=*) cp "${value#*=}" "$secret/$key" ;;
                *) exit 2 ;;
                esac
            done ;;
        "exec deployment/sluice-control --") shift 3 && "$@" ;;
        "create namespace sluice" | "apply -k deploy/kubernetes" | "rollout status deployment/sluice-control") ;;
        *) echo "kubectl $*" >&2 && exit 2 ;;
        esac"#,
    ),
    (
        "docker",
        r#"case "$*" in
        "compose exec -T control-1 "*) shift 4 && "$@" ;;
        "compose up --detach"*) ;;
        *) echo "docker $*" >&2 && exit 2 ;;
        esac"#,
    ),
    (
        "systemctl",
        r#"case "$1" in daemon-reload | enable) ;; *) exit 2 ;; esac"#,
    ),
];

/// Processes before the network that they are on.
pub(super) struct Running {
    processes: BTreeMap<String, Process>,
    pods: BTreeMap<String, (Pod, Host)>,
    /// Names, and the hosts that each leads to.
    names: Vec<(String, Host)>,
    hosts: BTreeMap<String, Host>,
    /// Whose host the operator sits at.
    operator: Host,
    directory: TempDir,
    _network: Network,
}

impl Running {
    /// These hosts, each known by the names beside it. Several may share a name.
    pub(super) fn new(hosts: &[(&str, &[&str])]) -> Self {
        let mut network = Network::new().unwrap();
        let mut running = Self {
            processes: BTreeMap::new(),
            pods: BTreeMap::new(),
            names: Vec::new(),
            hosts: BTreeMap::new(),
            operator: network.host().unwrap(),
            directory: tempfile::Builder::new()
                .prefix("sluice-deploy-")
                .tempdir()
                .unwrap(),
            _network: network,
        };
        for (name, aliases) in hosts {
            let host = running._network.host().unwrap();
            let names = aliases.iter().map(|alias| ((*alias).to_owned(), host.clone()));
            running.names.extend(names);
            running.hosts.insert((*name).to_owned(), host);
        }
        for place in ["bin", "etc/sluice", "etc/systemd/system", "backup"] {
            fs::create_dir_all(running.place(place)).unwrap();
        }
        for (name, script) in STAND_INS {
            let file = running.place("bin").join(name);
            fs::write(&file, format!("#!/bin/sh\nset -eu\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let copied = Command::new("cp")
            .arg("-r")
            .arg(directory())
            .arg(running.place("deploy"))
            .status();
        assert!(copied.unwrap().success());
        running
    }

    /// A file or directory of the operator's.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.directory.path().join("operator").join(path)
    }

    pub(super) fn host(&self, name: &str) -> &Host {
        &self.hosts[name]
    }

    /// From now on the operator sits at this host.
    pub(super) fn sit_at(&mut self, host: &str) {
        self.operator = self.hosts[host].clone();
    }

    /// Starts it on the host of its name.
    pub(super) fn start(&mut self, pod: Pod) {
        let host = pod.name.clone();
        self.start_at(pod, &host);
    }

    pub(super) fn start_at(&mut self, pod: Pod, host: &str) {
        let host = self.hosts[host].clone();
        let process = pod.start(&host, self.pods_at(), &self.hosts_file()).unwrap();
        self.processes.insert(pod.name.clone(), process);
        self.pods.insert(pod.name.clone(), (pod, host));
    }

    /// Runs it to its end; how that was.
    pub(super) async fn run(&mut self, pod: Pod, host: &str) -> std::process::ExitStatus {
        let name = pod.name.clone();
        self.start_at(pod, host);
        let process = self.processes.get_mut(&name).unwrap();
        process.exit(SOON).await.unwrap()
    }

    /// Writes the files that are mounted for the running `pod` anew.
    pub(super) fn renew(&self, pod: &Pod) {
        pod.lay(self.pods_at()).unwrap();
    }

    /// Names lead to this host no more, or again, as a Service's does while its pod is ready.
    pub(super) fn lead_to(&mut self, name: &str, host: &str, leads: bool) {
        let host = self.hosts[host].clone();
        self.names
            .retain(|(known, to)| known != name || to.address != host.address);
        if leads {
            self.names.push((name.to_owned(), host));
        }
        for (pod, _) in self.pods.values() {
            pod.rename(self.pods_at(), &self.hosts_file()).unwrap();
        }
    }

    /// Waits until the command says yes beside the pod.
    pub(super) async fn said(&self, pod: &str, argv: &[String]) {
        self.eventually(&argv.join(" "), || self.beside(pod, argv)).await;
    }

    /// Runs a command beside the pod; what it prints.
    pub(super) fn beside(&self, pod: &str, argv: &[String]) -> anyhow::Result<String> {
        let process = self.processes.get(pod).context("not started")?;
        output(self.pods[pod].0.beside(process, argv))
    }

    /// Waits until an HTTP endpoint of a host answers with success.
    pub(super) async fn answers(&self, host: &str, url: &str) {
        self.eventually(url, || self.ask(host, url)).await;
    }

    /// Asks an HTTP endpoint from a host.
    pub(super) fn ask(&self, host: &str, url: &str) -> anyhow::Result<String> {
        let mut curl = self.hosts[host].command("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "2", url]);
        output(curl)
    }

    /// Runs a script of the operator; what it prints.
    pub(super) fn shell(&self, env: &[(&str, &str)], script: &str) -> anyhow::Result<String> {
        let outside = |path: &str, place: &str| Volume::outside(path, &self.place(place), true);
        let script = format!("PATH=/operator/bin:$PATH\ncd /operator\n{script}");
        let pod = Pod {
            name: "operator-shell".to_owned(),
            argv: ["sh", "-euc", &script].map(str::to_owned).into(),
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            volumes: vec![
                outside("/operator", ""),
                outside("/etc/sluice", "etc/sluice"),
                outside("/etc/systemd/system", "etc/systemd/system"),
                outside("/backup", "backup"),
            ],
            user: 0,
            group: 0,
            capabilities: ["chown", "fowner", "dac_override"].map(str::to_owned).into(),
        };
        output(pod.command(&self.operator, self.pods_at(), &self.hosts_file())?)
    }

    /// Registers the admin endpoint that each proxy has on its own host in etcd at `etcd`, and routes to
    /// what is found there. `env` says which control plane is asked.
    pub(super) fn route_to_themselves(&self, env: &[(&str, &str)], etcd: &str) {
        let backend = json!({
            "apiVersion": "sluice.dev/v1", "kind": "Backend", "metadata": {"name": "itself"},
            "spec": {"discovery": {"etcd": {"endpoints": [etcd], "service": "services/itself"}}},
        });
        let manifests = list(&[gateway(), backend, route_to("itself", HOST, "itself")]);
        fs::write(self.place("manifests.json"), manifests.to_string()).unwrap();
        let put = r#"etcdctl put services/itself/1 '{"Addr": "127.0.0.1:9000", "Metadata": {}}'"#;
        let script = format!(
            "ETCDCTL_API=3 ETCDCTL_ENDPOINTS={etcd} {put}\n\
             sluice apply -f manifests.json --wait {}s --quorum 1",
            SOON.as_secs()
        );
        self.shell(env, &script).unwrap();
    }

    /// Waits until a proxy serves what [`Running::route_to_themselves`] asks for.
    pub(super) async fn serves(&self, proxy: &str, port: u16) {
        let host = format!("Host: {HOST}");
        let url = format!("http://127.0.0.1:{port}/live");
        self.eventually(&url, || {
            let mut curl = self.hosts[proxy].command("curl");
            output_of(curl.args(["--silent", "--fail", "--max-time", "2", "-H", &host, &url]))
        })
        .await;
    }

    /// Tells a pod to end, which it does in good order within `grace`.
    pub(super) async fn stops(&mut self, pod: &str, signal: Signal, grace: Duration) {
        let mut process = self.processes.remove(pod).unwrap();
        process.signal(signal).unwrap();
        let status = process.exit(grace).await.unwrap();
        // etcd puts everything in order, and then ends by the signal after all.
        let is_etcd = self.pods[pod].0.argv[0].ends_with("etcd");
        let is_good = status.success() || is_etcd && status.signal() == Some(signal as i32);
        assert!(is_good, "{pod}: {status}\n{}", process.log());
    }

    /// The last lines that a pod wrote.
    pub(super) fn log(&self, pod: &str) -> String {
        self.processes[pod].log()
    }

    /// Waits until the attempt succeeds; what it brought.
    pub(super) async fn eventually<T>(&self, what: &str, attempt: impl Fn() -> anyhow::Result<T>) -> T {
        let done = eventually(what, SOON, async || attempt()).await;
        done.unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn pods_at(&self) -> &Path {
        self.directory.path()
    }

    fn hosts_file(&self) -> String {
        let lines = self
            .names
            .iter()
            .map(|(name, host)| format!("{} {name}\n", host.address));
        "127.0.0.1 localhost\n".to_owned() + &lines.collect::<String>()
    }
}

fn output(mut command: Command) -> anyhow::Result<String> {
    output_of(&mut command)
}

fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    let last = command.get_args().last().unwrap_or_default().display();
    ensure!(output.status.success(), "{last}: {}\n{error}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
