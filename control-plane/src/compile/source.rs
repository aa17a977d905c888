//! Who knows where the endpoints of a Backend are: names in the DNS, and services in etcd.

use std::net::IpAddr;
use std::sync::Arc;

use sluice_intent::{
    BackendSpec, Discovery, DnsRecord, EtcdDiscovery, Kind, Namespace, Resource, ResourceId, SecretRef, Spec,
};
use sluice_model::Secret;

use super::World;
use super::reference::{self, Role};

/// The only port of an address whose source does not say one.
pub const NO_PORT: u16 = 0;

/// Who knows where endpoints are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The addresses of a name: A and AAAA.
    Addresses(Arc<str>),
    /// The services of a name: SRV.
    Services(Arc<str>),
    /// What has registered itself in etcd.
    Etcd(Arc<EtcdService>),
}

/// A service in etcd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtcdService {
    /// Where it is registered.
    pub cluster: Arc<EtcdCluster>,
    /// What its keys begin with, and a `/`.
    pub prefix: String,
}

/// An etcd cluster, and as whom it is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtcdCluster {
    /// `http://HOST:PORT` or `https://HOST:PORT`, in the order in which they are tried.
    pub urls: Vec<String>,
    /// The name that certificates have to have, if it is not that of the URL.
    pub hostname: Option<String>,
    /// Where references to Secrets stand.
    namespace: Namespace,
    login: Option<ResourceId>,
    roots: Vec<ResourceId>,
    certificate: Option<ResourceId>,
}

/// What it takes to be let into an etcd cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdAccess {
    /// Name and password.
    pub login: Option<(String, Secret<String>)>,
    /// Roots of trust, in PEM; none means no TLS.
    pub roots: Vec<Vec<u8>>,
    /// A certificate chain and its key, in PEM.
    pub certificate: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

/// An address that a source knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Where it is.
    pub address: IpAddr,
    /// TCP port; [`NO_PORT`] where the Backend says it.
    pub port: u16,
    /// Part of the traffic in proportion to the others, 0 to 1,000,000; 0 gets nothing.
    pub weight: u32,
}

impl Source {
    /// A name that tells it from all others, the same on every replica and in every release.
    pub fn identity(&self) -> String {
        match self {
            Self::Addresses(name) => format!("dns/a/{name}"),
            Self::Services(name) => format!("dns/srv/{name}"),
            Self::Etcd(service) => {
                let cluster = &service.cluster;
                let secrets = cluster
                    .roots
                    .iter()
                    .chain(&cluster.login)
                    .chain(&cluster.certificate);
                let secrets: Vec<_> = secrets.map(ToString::to_string).collect();
                let (urls, host) = (cluster.urls.join(","), cluster.hostname.as_deref().unwrap_or(""));
                let (namespace, secrets) = (&cluster.namespace, secrets.join(","));
                format!("etcd/{urls}/{host}/{namespace}/{secrets}/{}", service.prefix)
            }
        }
    }
}

/// The sources that know where a Backend is, with repetitions; none of any other resource.
pub fn sources_of(resource: &Resource) -> impl Iterator<Item = Source> {
    let spec = match &resource.spec {
        Spec::Backend(spec) => Some(spec),
        _ => None,
    };
    let discovered = spec.and_then(|spec| discovered(spec, &resource.id.namespace));
    let endpoints = spec.map(BackendSpec::endpoints).unwrap_or_default();
    let named = endpoints.iter().map(|endpoint| endpoint.address.as_str());
    let named = named.filter(|address| address.parse::<IpAddr>().is_err());
    discovered
        .into_iter()
        .chain(named.map(|name| Source::Addresses(name.into())))
}

/// The one source of a Backend with `discovery`.
pub(super) fn discovered(spec: &BackendSpec, namespace: &Namespace) -> Option<Source> {
    Some(match spec.discovery.as_ref()? {
        Discovery::Dns(dns) => {
            let name = dns.name.as_str().into();
            match dns.record.unwrap_or_default() {
                DnsRecord::A => Source::Addresses(name),
                DnsRecord::Srv => Source::Services(name),
            }
        }
        Discovery::Etcd(etcd) => Source::Etcd(Arc::new(EtcdService {
            cluster: Arc::new(cluster(etcd, namespace)),
            prefix: format!("{}/", etcd.service),
        })),
    })
}

fn cluster(etcd: &EtcdDiscovery, namespace: &Namespace) -> EtcdCluster {
    let named = |role| move |reference: &SecretRef| reference::credential(reference, role, namespace);
    let tls = etcd.tls.as_ref();
    let roots = tls
        .map(|tls| tls.ca_certificate_refs.as_slice())
        .unwrap_or_default();
    EtcdCluster {
        urls: etcd.endpoints.iter().map(ToString::to_string).collect(),
        hostname: tls.and_then(|tls| tls.hostname.as_ref()).map(ToString::to_string),
        namespace: namespace.clone(),
        login: etcd.credentials_ref.as_ref().and_then(named(Role::Login)),
        roots: roots.iter().filter_map(named(Role::OwnTrust)).collect(),
        certificate: tls
            .and_then(|tls| tls.client_certificate_ref.as_ref())
            .and_then(named(Role::OwnCertificate)),
    }
}

impl World {
    /// What lets the control plane into `cluster`; `None` when one of its Secrets is missing, has
    /// not what it takes, or may not be referred to.
    pub fn etcd_access(&self, cluster: &EtcdCluster) -> Option<EtcdAccess> {
        let value = |id: &ResourceId, key: &str| {
            let from = ResourceId {
                kind: Kind::Backend,
                namespace: cluster.namespace.clone(),
                name: id.name.clone(),
            };
            let found = self.resource(id).filter(|_| self.permits(&from, id))?;
            let value = match &found.spec {
                Spec::Secret(spec) => spec.get(key),
                Spec::ConfigMap(spec) => spec.get(key),
                _ => None,
            };
            value.map(<[u8]>::to_vec)
        };
        let text =
            |id: &ResourceId, key: &str| value(id, key).and_then(|bytes| String::from_utf8(bytes).ok());
        let login = |id: &ResourceId| {
            Some((
                text(id, reference::USERNAME)?,
                Secret::new(text(id, reference::PASSWORD)?),
            ))
        };
        let certificate = |id: &ResourceId| {
            let key = value(id, reference::PRIVATE_KEY)?;
            Some((value(id, reference::CHAIN)?, Secret::new(key)))
        };
        let roots = cluster.roots.iter().map(|id| value(id, reference::ROOTS));
        Some(EtcdAccess {
            login: all_or_none(cluster.login.as_ref().map(login))?,
            roots: roots.collect::<Option<_>>()?,
            certificate: all_or_none(cluster.certificate.as_ref().map(certificate))?,
        })
    }
}

/// What is asked for and there, or what is not asked for.
fn all_or_none<T>(wanted: Option<Option<T>>) -> Option<Option<T>> {
    match wanted {
        None => Some(None),
        Some(found) => found.map(Some),
    }
}
