//! The command line of `sluice-proxy`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    thread::available_parallelism,
    time::Duration,
};

use clap::Parser;
use http::HeaderName;
use sluice_proxy::{Config, Format, MemoryLimit, PortMapping, Sampling, SamplingError, Sink, Timeouts};

/// Serves the newest snapshot that a Sluice control plane sends.
#[derive(Debug, Parser)]
#[command(name = "sluice-proxy", version)]
pub(crate) struct Args {
    /// Control planes (HOST:PORT), tried in turn. Without a certificate or a join token loopback
    /// addresses only
    #[arg(long, value_name = "ADDR[,ADDR...]", value_delimiter = ',', required = true)]
    control: Vec<String>,
    /// Name of this proxy in the fleet
    #[arg(long)]
    id: String,
    /// A label in the fleet; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Where the last good snapshot is kept, to start from without a control plane
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The token that this proxy joins the fleet with, in a file (`sluice token join create`). The
    /// certificate that it gets is kept in the state directory and renewed by itself
    #[arg(long, value_name = "FILE", requires = "state_dir")]
    join_token_file: Option<PathBuf>,
    /// Keys that the snapshot is sealed under on disk: one per line, 32 bytes in base64, the newest first
    /// [default: a file in the state directory]
    #[arg(long, value_name = "FILE", env = "SLUICE_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Where /ready /live /metrics /config are served; port 0 is any free one
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    admin: SocketAddr,
    /// Address that listeners are bound to
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    bind: IpAddr,
    /// Binds TO where a Gateway says FROM; 0 is any free port; may be repeated
    #[arg(long, value_name = "FROM=TO")]
    port_map: Vec<PortMapping>,
    /// Worker threads [default: one per CPU]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Most client connections of one worker; further ones are closed at once [default: 65536, less
    /// where the limit of open files is lower]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Memory of the process past which new requests get 503: bytes such as 800Mi, or a share of what
    /// the control group or the machine has
    #[arg(long, value_name = "BYTES|PERCENT", default_value_t)]
    memory_limit: MemoryLimit,
    /// Where the access log goes: stdout, off, or a file
    #[arg(long, value_name = "stdout|off|PATH", default_value = "stdout")]
    access_log: Sink,
    /// Lines of the access log: json, or a template such as '$client "$method $path" $status'
    #[arg(long, value_name = "json|TEMPLATE", default_value = "json")]
    access_log_format: Format,
    /// Says in every response which revision, route and variant it comes from
    #[arg(long)]
    provenance: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    timeouts: TimeoutArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Samples of requests, for `sluice replay`")]
struct SamplingArgs {
    /// Keeps what decides where a request goes (method, host, path) of at most N requests of a worker in
    /// a second, each as likely as any other, and tells the control plane; 1,000 at most; without it nothing is
    /// kept
    #[arg(long, value_name = "N")]
    sample_requests: Option<NonZeroU16>,
    /// Keeps this header, too; of Authorization, Proxy-Authorization and Cookie a hash; may be repeated, up to
    /// 32 headers
    #[arg(long, value_name = "HEADER", requires = "sample_requests")]
    sample_header: Vec<HeaderName>,
    /// Keeps a hash of this header: rules that spell a value out can be judged, expressions not; may be
    /// repeated
    #[arg(long, value_name = "HEADER", requires = "sample_requests")]
    sample_hashed_header: Vec<HeaderName>,
    /// Keeps queries, too, as they are
    #[arg(long, requires = "sample_requests")]
    sample_query: bool,
}

impl SamplingArgs {
    fn sampling(&self) -> Result<Option<Sampling>, SamplingError> {
        let (plain, hashed) = (&self.sample_header, &self.sample_hashed_header);
        let sampling = |requests| Sampling::new(requests, plain, hashed, self.sample_query);
        self.sample_requests.map(sampling).transpose()
    }
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Timeouts, in seconds")]
struct TimeoutArgs {
    /// From a request sent upstream to the head of the response, where the route sets no timeout
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    response_head_timeout: u64,
    /// An upstream connection kept for the next request
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    upstream_idle_timeout: u64,
    /// An upgraded connection on which nothing is said
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    upgraded_idle_timeout: u64,
    /// Requests under way when the proxy stops
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    drain_timeout: u64,
}

/// Descriptors of a worker that are not client connections: sockets of its own, and half of the
/// rest for upstreams.
fn connections_for(descriptors: usize, workers: usize) -> usize {
    (descriptors / workers / 2).saturating_sub(32).clamp(1, 65_536)
}

impl Args {
    /// The settings of the proxy; `descriptors` is how many files it may open.
    ///
    /// # Errors
    /// More samples of requests than can be kept.
    pub(crate) fn into_config(self, descriptors: usize) -> Result<Config, SamplingError> {
        let workers = self
            .workers
            .or_else(|| available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        let room = connections_for(descriptors, workers.get());
        Ok(Config {
            labels: self.label.into_iter().collect(),
            control: self.control,
            state_dir: self.state_dir,
            join_token_file: self.join_token_file,
            key_file: self.key_file,
            admin: self.admin,
            bind: self.bind,
            port_map: self.port_map.into_iter().collect(),
            workers,
            max_connections: self.max_connections.unwrap_or(room),
            memory: self.memory_limit,
            access_log: self.access_log,
            access_log_format: self.access_log_format,
            provenance: self.provenance,
            sampling: self.sampling.sampling()?,
            timeouts: self.timeouts.into(),
            ..Config::new(self.id)
        })
    }
}

impl From<TimeoutArgs> for Timeouts {
    fn from(args: TimeoutArgs) -> Self {
        Self {
            response_head: Duration::from_secs(args.response_head_timeout),
            upstream_idle: Duration::from_secs(args.upstream_idle_timeout),
            upgraded_idle: Duration::from_secs(args.upgraded_idle_timeout),
            drain: Duration::from_secs(args.drain_timeout),
        }
    }
}

fn label(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is KEY=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_become_settings() {
        let line = "sluice-proxy --control a:1,b:2 --id edge-1 --label zone=a --port-map 80=0 \
                    --access-log off --drain-timeout 5 --workers 2";
        let config = Args::parse_from(line.split_whitespace()).into_config(1_048_576);
        let config = config.unwrap();
        assert_eq!(config.control, ["a:1", "b:2"]);
        assert_eq!(config.labels["zone"], "a");
        assert_eq!((config.port_map.bound(80), config.access_log), (0, Sink::Off));
        assert_eq!(config.timeouts.drain, Duration::from_secs(5));
        assert_eq!(config.max_connections, 65_536);
        assert_eq!(connections_for(1024, 2), 224);
        assert_eq!(config.sampling, None);
    }

    #[test]
    fn requests_are_sampled_as_far_as_it_is_asked_for_and_there_is_room() {
        let sampling = |options: &str| {
            let line = format!("sluice-proxy --control a:1 --id edge-1 {options}");
            let args = Args::try_parse_from(line.split_whitespace());
            args.map(|args| args.into_config(1_024).map(|config| config.sampling))
        };
        let asked = sampling("--sample-requests 5 --sample-header x-beta --sample-hashed-header x-user");
        assert!(asked.unwrap().unwrap().is_some());
        assert!(sampling("--sample-header x-beta").is_err());
        assert_eq!(
            sampling("--sample-requests 1001").unwrap(),
            Err(SamplingError::Requests)
        );
    }
}
