//! Asks the DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{RData, RecordType};

use super::answer::{Answer, Outcome, Service, addresses, at_service, negative, seconds};
use crate::compile::Found;

/// Most services that one name may have.
const MAX_SERVICES: usize = 1_000;
/// Targets of services that are looked up at a time.
const CONCURRENT: usize = 16;
/// How long one server may take, and how often one is asked.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// Asks, and remembers nothing: how long an answer is good is looked after elsewhere.
#[derive(Clone)]
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// One that asks `server`, or as `/etc/resolv.conf` says. A system without such a file has its
    /// server on 127.0.0.1, as for the C library.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, NetError> {
        let provider = TokioRuntimeProvider::default;
        let local =
            || TokioResolver::builder_with_config(asking(SocketAddr::from(([127, 0, 0, 1], 53))), provider());
        let mut builder = match server {
            Some(server) => TokioResolver::builder_with_config(asking(server), provider()),
            None => TokioResolver::builder_tokio().unwrap_or_else(|error| {
                tracing::warn!(%error, "/etc/resolv.conf cannot be read: the DNS server of 127.0.0.1 is asked");
                local()
            }),
        };
        settle(builder.options_mut(), server.is_some());
        builder.build().map(Self)
    }

    /// The addresses of `name`; those in `known` stay where nobody can be asked.
    pub(super) async fn addresses(&self, name: &str, known: &[Found]) -> Outcome {
        let (v4, v6) = tokio::join!(self.ask(name, RecordType::A), self.ask(name, RecordType::AAAA));
        addresses(v4.and_then(address), v6.and_then(address), known)
    }

    /// The services of `name`, of the lowest priority that leads anywhere.
    pub(super) async fn services(&self, name: &str) -> Outcome {
        let (services, ttl) = match self.ask(name, RecordType::SRV).await.and_then(service) {
            Answer::Records(services, ttl) => (services, ttl),
            Answer::Nothing(ttl) => return Outcome::Nothing(negative(ttl, None)),
            Answer::Failed(why) => return Outcome::Failed(why),
        };
        // The service is decidedly not available (RFC 2782).
        if services.iter().all(|service| service.target == ".") {
            return Outcome::Found(Vec::new(), seconds(ttl));
        }
        let mut by_priority: BTreeMap<u16, Vec<Service>> = BTreeMap::new();
        for service in services.into_iter().take(MAX_SERVICES) {
            by_priority.entry(service.priority).or_default().push(service);
        }
        let mut again = seconds(ttl);
        for services in by_priority.into_values() {
            match self.targets(services, &mut again).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Outcome::Found(found, again),
                Err(why) => return Outcome::Failed(why),
            }
        }
        Outcome::Nothing(again)
    }

    /// Where `services` are; `again` is cut to what is good for the shortest time.
    async fn targets(&self, services: Vec<Service>, again: &mut Duration) -> Result<Vec<Found>, String> {
        let lookups: Vec<_> = services
            .into_iter()
            .map(|service| async move { (self.addresses(&service.target, &[]).await, service) })
            .collect();
        let mut lookups = futures_util::stream::iter(lookups).buffer_unordered(CONCURRENT);
        let mut all = Vec::new();
        while let Some((outcome, service)) = lookups.next().await {
            match outcome {
                Outcome::Found(found, ttl) => {
                    *again = ttl.min(*again);
                    all.extend(at_service(&service, found));
                }
                Outcome::Nothing(ttl) => *again = ttl.min(*again),
                Outcome::Failed(why) => return Err(format!("{}: {why}", service.target)),
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    async fn ask(&self, name: &str, record: RecordType) -> Answer<RData> {
        match self.0.lookup(name, record).await {
            Ok(lookup) => {
                // What leads to the records, such as CNAME, is as good for the answer's life as they are.
                let ttl = lookup.answers().iter().map(|record| record.ttl).min();
                let records = lookup.answers().iter().map(|record| record.data.clone());
                Answer::Records(records.collect(), ttl.unwrap_or_default())
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => Answer::Nothing(nothing.negative_ttl),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

impl Answer<RData> {
    /// The records of one kind; none of them is an answer with nothing.
    fn and_then<T>(self, read: impl Fn(RData) -> Option<T>) -> Answer<T> {
        match self {
            Self::Records(records, ttl) => {
                let records: Vec<T> = records.into_iter().filter_map(read).collect();
                match records.is_empty() {
                    true => Answer::Nothing(Some(ttl)),
                    false => Answer::Records(records, ttl),
                }
            }
            Self::Nothing(ttl) => Answer::Nothing(ttl),
            Self::Failed(why) => Answer::Failed(why),
        }
    }
}

fn address(data: RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

fn service(data: RData) -> Option<Service> {
    match data {
        RData::SRV(service) => Some(Service {
            priority: service.priority,
            weight: service.weight,
            port: service.port,
            target: service.target.to_ascii(),
        }),
        _ => None,
    }
}

fn asking(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn settle(options: &mut ResolverOpts, is_explicit: bool) {
    options.cache_size = 0;
    options.try_tcp_on_error = true;
    if is_explicit {
        options.timeout = TIMEOUT;
        options.attempts = ATTEMPTS;
    }
}
