//! A control plane, and clients with and without certificates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use sluice_control::store::{JoinToken, KeyRing, Store, UnixMillis};
use sluice_control::trust::NewJoinToken;
use sluice_control::{CERTIFICATE_LIFETIME, Config, Control, Running, TICKET_ROTATION, clock};
use sluice_proto::v1::enrolment_client::EnrolmentClient;
use sluice_proto::v1::fleet_client::FleetClient;
use sluice_proto::v1::{self, control_message, proxy_message};
use sluice_tls::{
    ALPN_H2, CONTROL_URI, Identity, KeyHash, SubjectName, Trust, client_config, pinned_client_config,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// The control plane and its store.
pub(crate) struct Site {
    pub(crate) control: Running,
    pub(crate) store: Store,
    _directory: TempDir,
}

/// A proxy that has joined.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) key: KeyPair,
    pub(crate) enrolled: v1::Enrolled,
}

/// A stream that was opened.
pub(crate) struct Open {
    pub(crate) _outbound: mpsc::Sender<v1::ProxyMessage>,
    pub(crate) inbound: Streaming<v1::ControlMessage>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let urls = [format!("sqlite://{}", directory.path().join("a.db").display())];
        let config = Config {
            database_urls: urls.to_vec(),
            admin: "127.0.0.1:0".parse().unwrap(),
            grpc: "127.0.0.1:0".parse().unwrap(),
            key_file: None,
            ticket_rotation: TICKET_ROTATION,
            discovery: sluice_control::discovery::Config::default(),
            certificate_lifetime: CERTIFICATE_LIFETIME,
            leave_out: Vec::new(),
            max_streams: sluice_control::MAX_STREAMS,
            keep_samples: sluice_control::KEEP_SAMPLES,
            token: None,
        };
        let control = Control::start(config).await.unwrap();
        let keys = KeyRing::of(&urls, None).unwrap();
        Self {
            control,
            store: Store::open(&urls, keys).await.unwrap(),
            _directory: directory,
        }
    }

    pub(crate) fn pin(&self) -> KeyHash {
        self.control.trust().pin().unwrap()
    }

    /// `ID.SECRET` of a new token.
    pub(crate) async fn token(&self, labels: &[(&str, &str)]) -> String {
        let (new, now) = (NewJoinToken::random(), clock::wall());
        let labels = labels
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let token = JoinToken {
            id: new.id.clone(),
            hash: new.hash.clone(),
            proxy: None,
            labels: labels.collect::<BTreeMap<_, _>>(),
            created_at: now,
            expires_at: UnixMillis(now.0 + 60_000),
            revoked_at: None,
            used: None,
        };
        self.store.create_join_token(&token, "test").await.unwrap();
        let text = new.text(self.pin());
        let secret = text
            .expose()
            .strip_prefix("sj1.")
            .unwrap()
            .rsplit_once('.')
            .unwrap()
            .0;
        secret.to_owned()
    }

    /// A connection without a certificate, to whoever has the root's key.
    pub(crate) async fn stranger(&self) -> Channel {
        let config = pinned_client_config(self.pin(), control_name(), ALPN_H2).unwrap();
        self.connect(config).await.unwrap()
    }

    pub(crate) async fn join(&self, token: &str, id: &str, key: &KeyPair) -> Result<v1::Enrolled, Status> {
        let request = v1::JoinRequest {
            token: token.to_owned(),
            proxy_id: id.to_owned(),
            request: request(key),
        };
        let mut client = EnrolmentClient::new(self.stranger().await);
        client.join(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn member(&self, id: &str, labels: &[(&str, &str)]) -> Member {
        let key = KeyPair::generate().unwrap();
        let enrolled = self.join(&self.token(labels).await, id, &key).await.unwrap();
        Member {
            id: id.to_owned(),
            key,
            enrolled,
        }
    }

    pub(crate) async fn connect(&self, config: ClientConfig) -> Result<Channel, tonic::transport::Error> {
        let (address, config) = (self.control.grpc, Arc::new(config));
        let connector = tower::service_fn(move |_: http::Uri| {
            let line = line(address, Arc::clone(&config));
            async move { Ok::<_, std::io::Error>(TokioIo::new(line.await?)) }
        });
        Endpoint::from_static("http://sluice")
            .connect_with_connector(connector)
            .await
    }

    pub(crate) async fn plain(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.control.grpc)).unwrap();
        endpoint.connect().await.unwrap()
    }
}

/// A connection on which nothing was said.
pub(crate) async fn line(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("sluice").unwrap();
    TlsConnector::from(config).connect(name, stream).await
}

impl Member {
    /// Whom it trusts since it joined.
    pub(crate) fn trust(&self) -> Trust {
        let bundle = self.enrolled.bundle.as_ref().unwrap();
        let roots = bundle.authorities.iter().map(|root| root.clone().into());
        Trust::new(&roots.collect::<Vec<_>>(), &[]).unwrap()
    }

    /// What it connects with.
    pub(crate) fn config(&self) -> ClientConfig {
        let trust = self.trust();
        let chain = self.enrolled.chain.iter().map(|one| one.clone().into()).collect();
        let identity = identity(chain, &self.key);
        client_config(trust, control_name(), Some(identity), ALPN_H2).unwrap()
    }
}

pub(crate) fn identity(
    chain: Vec<tokio_rustls::rustls::pki_types::CertificateDer<'static>>,
    key: &KeyPair,
) -> Identity {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Identity::new(chain, &key, None).unwrap()
}

pub(crate) fn control_name() -> Vec<SubjectName> {
    vec![SubjectName::Uri(CONTROL_URI.into())]
}

pub(crate) fn request(key: &KeyPair) -> Vec<u8> {
    let request = CertificateParams::default().serialize_request(key).unwrap();
    request.der().to_vec()
}

/// Subscribes as `id`, and takes the first message.
pub(crate) async fn subscribe(
    channel: Channel,
    id: &str,
    labels: &[(&str, &str)],
) -> Result<(Open, v1::Welcome), Status> {
    let (outbound, messages) = mpsc::channel(4);
    let label = |(name, value): &(&str, &str)| v1::Label {
        name: name.to_string(),
        value: value.to_string(),
    };
    let hello = v1::Hello {
        proxy_id: id.to_owned(),
        labels: labels.iter().map(label).collect(),
        wire_version: sluice_proto::WIRE_VERSION,
        instance: vec![1; 16],
        ..v1::Hello::default()
    };
    let body = Some(proxy_message::Body::Hello(hello));
    outbound.send(v1::ProxyMessage { body }).await.unwrap();
    let answer = FleetClient::new(channel)
        .subscribe(ReceiverStream::new(messages))
        .await?;
    let mut open = Open {
        _outbound: outbound,
        inbound: answer.into_inner(),
    };
    match open.next().await? {
        control_message::Body::Welcome(welcome) => Ok((open, welcome)),
        other => panic!("no welcome but {other:?}"),
    }
}

impl Open {
    pub(crate) async fn next(&mut self) -> Result<control_message::Body, Status> {
        let message = self.inbound.message().await?;
        message
            .and_then(|message| message.body)
            .ok_or_else(|| Status::unavailable("the stream has ended"))
    }
}
