//! One connection to one member of an etcd cluster.
//!
//! The gRPC client is generated from the part of etcd's API that is needed, because the crate
//! `etcd-client` cannot be built without `protoc`, and nothing else here needs more than a toolchain.

use std::time::Duration;

use sluice_proto::etcd::etcdserverpb::auth_client::AuthClient;
use sluice_proto::etcd::etcdserverpb::kv_client::KvClient;
use sluice_proto::etcd::etcdserverpb::watch_client::WatchClient;
use sluice_proto::etcd::etcdserverpb::{
    AuthenticateRequest, RangeRequest, RangeResponse, WatchRequest, WatchResponse,
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};

use super::service::Listing;
use crate::compile::EtcdAccess;

/// Time for a connection, and for an answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A silent member is asked this often whether it is there, and may take [`TIMEOUT`] to answer. etcd
/// hangs up on who asks more often than every 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(6);
/// Keys of one page.
const PAGE: i64 = 500;
/// Largest message: a page of values as long as etcd takes them would be longer, and is refused.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;
/// The header with what a login gave.
const TOKEN: &str = "token";

/// Why etcd cannot be asked.
#[derive(Debug, Error)]
pub(super) enum EtcdError {
    /// Nobody answers there.
    #[error("cannot connect: {}", chain(.0))]
    Connect(tonic::transport::Error),
    /// A Secret is missing, or has not what it takes.
    #[error("a Secret that `discovery` refers to is missing, or has not what it takes")]
    Access,
    /// etcd does not take the name and the password.
    #[error("cannot log in: {0}")]
    Login(String),
    /// No answer in time.
    #[error("no answer within {TIMEOUT:?}")]
    Timeout,
    /// An answer that is none.
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] Status),
    /// The connection ended.
    #[error("the connection ended")]
    Ended,
}

impl EtcdError {
    /// Whether it is about one service, and others may fare better on the same connection.
    pub(super) fn is_of_service(&self) -> bool {
        match self {
            Self::Status(status) => matches!(
                status.code(),
                Code::PermissionDenied | Code::OutOfRange | Code::ResourceExhausted
            ),
            Self::Connect(_) | Self::Access | Self::Login(_) | Self::Timeout | Self::Ended => false,
        }
    }
}

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) struct Client {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Client {
    /// Connects to `url`, and logs in.
    pub(super) async fn connect(
        url: &str,
        hostname: Option<&str>,
        access: &EtcdAccess,
    ) -> Result<Self, EtcdError> {
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(EtcdError::Connect)?
            .connect_timeout(TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(TIMEOUT)
            .keep_alive_while_idle(true);
        if !access.roots.is_empty() {
            let tls = tls(hostname, access);
            endpoint = endpoint.tls_config(tls).map_err(EtcdError::Connect)?;
        }
        let mut client = Self {
            channel: connection(&endpoint).await?,
            token: None,
        };
        if let Some((name, password)) = &access.login {
            let login = AuthenticateRequest {
                name: name.clone(),
                password: password.expose().clone(),
            };
            client.token = Some(client.log_in(login).await?);
        }
        Ok(client)
    }

    async fn log_in(&self, login: AuthenticateRequest) -> Result<MetadataValue<Ascii>, EtcdError> {
        let mut auth = AuthClient::new(self.channel.clone());
        let answer = in_time(auth.authenticate(login))
            .await
            .map_err(|error| match error {
                EtcdError::Status(status) => EtcdError::Login(status.message().to_owned()),
                other => other,
            })?;
        let token = answer.token.parse();
        token.map_err(|_| EtcdError::Login("the token is not ASCII".to_owned()))
    }

    /// Everything that begins with `prefix`, at one revision.
    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, EtcdError> {
        let (mut listing, mut from) = (Listing::default(), prefix.as_bytes().to_vec());
        loop {
            let page = self.page(from, end_of(prefix), listing.revision).await?;
            if listing.revision == 0 {
                let header = page.header.unwrap_or_default();
                (listing.revision, listing.cluster_id) = (header.revision, header.cluster_id);
            }
            let last = page.kvs.last().map(|pair| pair.key.clone());
            let is_wanted = listing.add(&page.kvs);
            match last.filter(|_| page.more && is_wanted) {
                // The next key there can be.
                Some(last) => from = [&*last, &[0]].concat(),
                None => {
                    listing.is_cut |= page.more;
                    return Ok(listing);
                }
            }
        }
    }

    async fn page(
        &self,
        key: Vec<u8>,
        range_end: Vec<u8>,
        revision: i64,
    ) -> Result<RangeResponse, EtcdError> {
        let mut kv = KvClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let request = RangeRequest {
            key,
            range_end,
            limit: PAGE,
            revision,
        };
        in_time(kv.range(self.request(request))).await
    }

    /// The stream on which everything is watched.
    pub(super) async fn watch(
        &self,
        requests: mpsc::Receiver<WatchRequest>,
    ) -> Result<Streaming<WatchResponse>, EtcdError> {
        let mut watch = WatchClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        in_time(watch.watch(self.request(ReceiverStream::new(requests)))).await
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert(TOKEN, token.clone());
        }
        request
    }
}

/// The time for a connection is that of TCP alone: what comes after has some, too.
async fn connection(endpoint: &Endpoint) -> Result<Channel, EtcdError> {
    match tokio::time::timeout(2 * TIMEOUT, endpoint.connect()).await {
        Ok(channel) => channel.map_err(EtcdError::Connect),
        Err(_) => Err(EtcdError::Timeout),
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, EtcdError> {
    match tokio::time::timeout(TIMEOUT, answer).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(EtcdError::Timeout),
    }
}

fn tls(hostname: Option<&str>, access: &EtcdAccess) -> ClientTlsConfig {
    let roots = access.roots.iter().map(Certificate::from_pem);
    let mut tls = ClientTlsConfig::new().ca_certificates(roots);
    if let Some((chain, key)) = &access.certificate {
        tls = tls.identity(Identity::from_pem(chain, key.expose()));
    }
    match hostname {
        Some(hostname) => tls.domain_name(hostname),
        None => tls,
    }
}

/// The first key after all that begin with `prefix`, which ends with `/`.
pub(super) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// An error and what caused it, which transport errors keep to themselves.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
