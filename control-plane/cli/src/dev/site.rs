//! What `sluice dev` runs: started in order, each part with its owner here, and stopped in the
//! opposite order.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::time::Duration;

use sluice_control::fleet::Quorum;
use sluice_control::{CERTIFICATE_LIFETIME, Control, Running};
use sluice_proxy::{Proxy, Status, Timeouts, raise_descriptor_limit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::announce::{Addresses, ListenerAddress, ProxyAddresses};
use super::data::DataDir;
use super::example;
use super::failure::StartFailure;
use super::options::Options;
use super::sample::{self, Sample};
use crate::client::{Client, Violation};
use crate::command::apply;
use crate::failure::Failure;
use crate::options::Cli;
use crate::source::{Depth, Sources};

/// How long proxies may take to run what is applied.
const READY: Duration = Duration::from_secs(30);
/// What requests get that are under way when the process is asked to end.
const DRAIN: Duration = Duration::from_secs(3);

/// Everything that runs.
pub(super) struct Site {
    data: Option<DataDir>,
    control: Option<Running>,
    samples: TaskTracker,
    shutdown: CancellationToken,
    proxies: Vec<Proxy>,
}

impl Site {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self {
            data: None,
            control: None,
            samples: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            proxies: Vec::new(),
        }
    }

    /// Starts the control plane, the samples and the proxies, and applies what is to be applied.
    /// Returns when all proxies have acknowledged it and their listeners are bound.
    ///
    /// # Errors
    /// When a part does not start, a manifest is refused, or a proxy cannot serve.
    pub(super) async fn start(&mut self, cli: &Cli, options: &Options) -> Result<Addresses, Failure> {
        let data = &*self.data.insert(DataDir::open(options.data_dir.clone())?);
        let token = match cli.connection.token() {
            Some(token) => token.to_owned(),
            None => data.token()?,
        };
        let config = sluice_control::Config {
            database_urls: vec![data.database()],
            admin: options.admin,
            grpc: options.grpc,
            certificate_lifetime: CERTIFICATE_LIFETIME,
            key_file: None,
            ticket_rotation: sluice_control::TICKET_ROTATION,
            discovery: sluice_control::discovery::Config::default(),
            leave_out: Vec::new(),
            max_streams: sluice_control::MAX_STREAMS,
            keep_samples: sluice_control::KEEP_SAMPLES,
            token: Some(token.clone()),
        };
        let control = Control::start(config).await.map_err(StartFailure::from)?;
        let control = &*self.control.insert(control);
        let server = format!("http://{}", control.admin)
            .parse()
            .map_err(StartFailure::Server)?;
        let client = Client::new(server, Some(&token))?;

        let samples = match options.no_sample {
            true => Vec::new(),
            false => start_example(control, &client, &self.samples, &self.shutdown).await?,
        };
        if !options.filenames.is_empty() {
            let sources = Sources::read(&options.filenames, Depth::Directory)?;
            apply::plain(&client, &sources, &cli.scope.namespace, "sluice dev -f").await?;
        }
        for number in 1..=options.proxies {
            let config = proxy_config(number, options, control, data);
            let id = config.id.clone();
            let proxy = Proxy::start(config).map_err(|source| StartFailure::Proxy { id, source })?;
            self.proxies.push(proxy);
        }
        ready(control, &self.proxies).await?;
        Ok(Addresses {
            data: data.path().into(),
            admin: control.admin,
            grpc: control.grpc,
            token,
            proxies: self.proxies.iter().map(addresses).collect(),
            samples,
        })
    }

    /// Drains the proxies, which say goodbye, then ends the rest.
    pub(super) async fn stop(self) {
        let mut draining = tokio::task::JoinSet::new();
        for proxy in self.proxies {
            draining.spawn(proxy.shutdown());
        }
        draining.join_all().await;
        self.shutdown.cancel();
        self.samples.close();
        self.samples.wait().await;
        if let Some(control) = self.control {
            control.shutdown().await;
        }
    }
}

/// Starts the sample upstreams and, in an empty history, applies the example.
async fn start_example(
    control: &Running,
    client: &Client,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Result<Vec<Sample>, Failure> {
    let listeners = if control.revision().0 == 0 {
        let (listeners, manifests) = example::first_start().await?;
        apply::plain(
            client,
            &manifests,
            &example::namespace(),
            "sluice dev: the example",
        )
        .await?;
        listeners
    } else {
        example::later_start(client).await?
    };
    let mut samples = Vec::new();
    for (name, listener) in listeners {
        let sample = sample::serve(name, listener, tasks, shutdown);
        samples.push(sample.map_err(|source| StartFailure::Sample { name, source })?);
    }
    Ok(samples)
}

/// `dev-1` listens on 127.0.0.1, `dev-2` on 127.0.0.2, and so on. They share the cores, and the
/// descriptors that this process may have: a request takes one at the proxy, one to its upstream
/// and one at the sample, and as many are left to everything else.
fn proxy_config(number: u8, options: &Options, control: &Running, data: &DataDir) -> sluice_proxy::Config {
    let id = format!("dev-{number}");
    let proxies = usize::from(options.proxies);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = NonZeroUsize::new(cores / proxies).unwrap_or(NonZeroUsize::MIN);
    let descriptors = raise_descriptor_limit() / proxies / workers.get();
    let defaults = sluice_proxy::Config::new(id);
    sluice_proxy::Config {
        control: vec![control.grpc.to_string()],
        state_dir: Some(data.proxy(&defaults.id)),
        bind: Ipv4Addr::new(127, 0, 0, number).into(),
        port_map: options.port_map.iter().copied().collect(),
        workers,
        max_connections: defaults.max_connections.min(descriptors / 4),
        provenance: true,
        timeouts: Timeouts {
            drain: DRAIN,
            ..defaults.timeouts
        },
        ..defaults
    }
}

/// Waits until every proxy serves the newest revision, and the control plane knows.
async fn ready(control: &Running, proxies: &[Proxy]) -> Result<(), StartFailure> {
    let serving = async {
        for proxy in proxies {
            serves(proxy, control).await?;
        }
        Ok::<(), StartFailure>(())
    };
    let slow = || StartFailure::Slow {
        seconds: READY.as_secs(),
    };
    tokio::time::timeout(READY, serving).await.map_err(|_| slow())??;
    let known = control
        .fleet()
        .wait(control.revision(), Quorum::ALL, READY, control.live().watch())
        .await;
    match known.applied == proxies.len() {
        true => Ok(()),
        false => Err(slow()),
    }
}

/// Waits until `proxy` serves the newest revision.
async fn serves(proxy: &Proxy, control: &Running) -> Result<(), StartFailure> {
    let published = control.live().published();
    let target = published.world.position();
    let mut status = proxy.status();
    let is_decided = |status: &Status| {
        let is_newest =
            status.history == published.world.history() && status.position.revision >= target.revision;
        (status.complete && is_newest && status.control.is_some()) || !status.waiting.is_empty()
    };
    let Ok(status) = status.wait_for(is_decided).await else {
        // It ended by itself, which it does not without a reason that it logged.
        return Err(StartFailure::Slow { seconds: 0 });
    };
    match status.waiting.is_empty() {
        true => Ok(()),
        false => Err(StartFailure::Refused {
            proxy: proxy.id().to_owned(),
            violations: status.waiting.iter().map(Violation::from).collect(),
        }),
    }
}

fn addresses(proxy: &Proxy) -> ProxyAddresses {
    let status = proxy.status().borrow().clone();
    let listener = |bound: &sluice_proxy::BoundListener| ListenerAddress {
        gateway: bound.listener.owner().to_owned(),
        listener: bound.listener.segment(2).to_owned(),
        address: bound.address,
    };
    ProxyAddresses {
        id: proxy.id().to_owned(),
        admin: proxy.admin(),
        listeners: status.listeners.iter().map(listener).collect(),
    }
}
