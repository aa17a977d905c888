//! Pods that run on a network of their own, and the operator's host beside them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use nix::unistd::User;
use serde_json::{Value, json};
use sluice_tests::deployment::{Host, Network, Pod, Volume};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::process::Process;
use sluice_tests::servers::binary;
use sluice_tests::site::{SOON, TOKEN};
use tempfile::TempDir;

use super::PASSWORD;

/// Where Debian's package puts the server.
const POSTGRES: &str = "/usr/lib/postgresql/*/bin";
/// What the image's entrypoint does before it starts the server.
const INITDB: &str = r#"
set -e
printf %s "$POSTGRES_PASSWORD" > /tmp/password
initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --no-sync
echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
printf "listen_addresses = '*'\nunix_socket_directories = '/tmp'\n" >> "$PGDATA/postgresql.conf"
echo 'CREATE DATABASE sluice OWNER sluice' | postgres --single -D "$PGDATA" postgres
"#;

/// Processes before the network that they are on.
pub(super) struct Running {
    processes: BTreeMap<String, Process>,
    addresses: BTreeMap<String, Ipv4Addr>,
    operator: Host,
    hosts: BTreeMap<String, Host>,
    names: String,
    directory: TempDir,
    _network: Network,
}

impl Running {
    /// Hosts for these pods; each is known by the names beside it. Several may share a name.
    pub(super) fn new(pods: &[(&str, &[&str])]) -> Self {
        let mut network = Network::new().unwrap();
        let (mut hosts, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        let mut names = "127.0.0.1 localhost\n".to_owned();
        for (pod, aliases) in pods {
            let host = network.host().unwrap();
            for alias in *aliases {
                names += &format!("{} {alias}\n", host.address);
            }
            addresses.insert((*pod).to_owned(), host.address);
            hosts.insert((*pod).to_owned(), host);
        }
        Self {
            operator: network.host().unwrap(),
            processes: BTreeMap::new(),
            directory: tempfile::Builder::new().prefix("sluice-deploy-").tempdir().unwrap(),
            addresses,
            hosts,
            names,
            _network: network,
        }
    }

    /// From now on the operator sits at the host of `pod`, and finds what listens on loopback there
    /// under the name `localhost`.
    pub(super) fn sit_at(&mut self, pod: &str) {
        self.operator = self.hosts[pod].clone();
        self.addresses.insert("localhost".to_owned(), Ipv4Addr::LOCALHOST);
    }

    pub(super) fn start(&mut self, pod: &Pod) {
        let host = &self.hosts[&pod.name];
        let process = pod.start(host, self.directory.path(), &self.names).unwrap();
        self.processes.insert(pod.name.clone(), process);
    }

    /// Starts Postgres as its image does, with these arguments, on the host `postgres`.
    pub(super) async fn start_postgres(&mut self, name: &str, arguments: &[String]) {
        let user = User::from_name("postgres").unwrap().unwrap();
        let volume = |path: &str| Volume {
            files: Vec::new(),
            path: path.to_owned(),
            single: false,
        };
        let binaries = format!("PATH=$(echo {POSTGRES}):$PATH");
        let mut pod = Pod {
            name: name.to_owned(),
            argv: ["sh", "-c"].map(str::to_owned).into(),
            env: [
                ("POSTGRES_USER", "sluice"),
                ("POSTGRES_PASSWORD", PASSWORD),
                ("PGDATA", "/var/lib/postgresql/data/pgdata"),
                ("LC_ALL", "C.UTF-8"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            volumes: vec![volume("/var/lib/postgresql/data"), volume("/tmp")],
            user: user.uid.as_raw(),
            capabilities: Vec::new(),
        };
        pod.argv.push(format!("{binaries}{INITDB}"));
        self.start(&pod);
        let made = self.processes.get_mut(name).unwrap();
        let status = made.exit(SOON).await.unwrap();
        assert!(status.success(), "{}", made.log());
        pod.argv[2] = format!("{binaries}; exec postgres \"$@\"");
        pod.argv.push("postgres".to_owned());
        pod.argv.extend_from_slice(arguments);
        self.start(&pod);
        let address = self.addresses[name].to_string();
        self.until(&["pg_isready", "--host", &address]).await;
    }

    /// Repeats a command on the operator's host until it succeeds.
    pub(super) async fn until(&mut self, command: &[&str]) {
        let operator = self.operator.clone();
        let done = eventually(&command.join(" "), SOON, async || run(&operator, command, None)).await;
        if let Err(error) = done {
            panic!("{error:#}\n{}", self.logs());
        }
    }

    /// What a probe of a pod asks, until it says yes.
    pub(super) async fn probed(&mut self, pod: &str, port: u64, path: &str) {
        let url = format!("http://{}:{port}{path}", self.addresses[pod]);
        self.until(&["curl", "--silent", "--show-error", "--fail", "--max-time", "2", &url])
            .await;
    }

    /// Runs `sluice` against the control plane `pod`; what it prints.
    pub(super) fn sluice(&self, pod: &str, arguments: &[&str], input: Option<&Value>) -> String {
        let program = binary("sluice").unwrap();
        let admin = format!("SLUICE_ADMIN=http://{}:7400", self.addresses[pod]);
        let token = format!("SLUICE_TOKEN={TOKEN}");
        let command = [&["env", &admin, &token, program.to_str().unwrap()], arguments].concat();
        run(&self.operator, &command, input).unwrap_or_else(|error| panic!("{error:#}\n{}", self.logs()))
    }

    /// A join token for `proxy`.
    pub(super) fn join_token(&self, control: &str, proxy: &str) -> String {
        let create = ["token", "join", "create", "--proxy", proxy, "--label", "fleet=edge"];
        self.sluice(control, &create, None).trim().to_owned()
    }

    /// Routes to the admin endpoint that each proxy has on its own host, and asks for that through
    /// each of them on `port`.
    pub(super) async fn serves(&mut self, control: &str, proxies: &[&str], port: u16) {
        let upstream = (Ipv4Addr::LOCALHOST, 9000).into();
        let manifests = [gateway(), backend("itself", &[upstream]), route_to("itself", HOST, "itself")];
        let wait = format!("{}s", SOON.as_secs());
        let apply = ["apply", "-f", "-", "--wait", &wait, "--quorum", "1"];
        self.sluice(control, &apply, Some(&list(&manifests)));
        let host = format!("Host: {HOST}");
        for proxy in proxies {
            let url = format!("http://{}:{port}/live", self.addresses[*proxy]);
            self.until(&["curl", "--silent", "--fail", "--max-time", "2", "-H", &host, &url])
                .await;
        }
    }

    /// Everybody ends in good order within `grace`.
    pub(super) async fn stops(&mut self, pods: &[&str], grace: Duration) {
        for pod in pods {
            let process = self.processes.get_mut(*pod).unwrap();
            process.signal(Signal::SIGTERM).unwrap();
            let status = process.exit(grace).await.unwrap();
            assert!(status.success(), "{pod}: {status}\n{}", process.log());
        }
    }

    fn logs(&self) -> String {
        let logs = self.processes.values().map(|process| format!("== {}\n{}\n", process.name(), process.log()));
        logs.collect()
    }
}

fn run(host: &Host, command: &[&str], input: Option<&Value>) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("no program")?;
    let mut child = host
        .command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    if let Some(input) = input {
        stdin.write_all(json!(input).to_string().as_bytes())?;
    }
    drop(stdin);
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{error}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
