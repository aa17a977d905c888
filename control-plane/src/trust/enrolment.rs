//! The gRPC service `sluice.v1.Enrolment`: certificates for join tokens, and for certificates.

use sluice_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use sluice_proto::v1::{Enrolled, JoinRequest, RenewRequest};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::issue::{self, IssueError};
use super::token::Presented;
use super::{Line, Peer, Standing, Stranger, Trust};
use crate::clock;
use crate::store::{EnrolError, JoinRefusal, Joining, StoreError};

/// Largest message: a request with an RSA key of 8192 bits, and names.
const MAX_MESSAGE: usize = 16 * 1024;
/// Requests at once: whoever has no token must not take all of the store.
const MAX_AT_ONCE: usize = 16;
/// Longest id of a proxy, in bytes.
const MAX_ID: usize = 253;

/// Serves it.
#[derive(Debug)]
pub(crate) struct EnrolmentService {
    trust: Trust,
    turns: Semaphore,
}

impl EnrolmentService {
    pub(crate) fn server(trust: Trust) -> EnrolmentServer<Self> {
        let service = Self {
            trust,
            turns: Semaphore::new(MAX_AT_ONCE),
        };
        EnrolmentServer::new(service).max_decoding_message_size(MAX_MESSAGE)
    }

    fn standing(&self) -> Result<std::sync::Arc<Standing>, Denied> {
        let none =
            || Status::failed_precondition("no certificates are issued here: there is no envelope key");
        let denied = || Denied("no_authority", none());
        self.trust.standing().ok_or_else(denied)
    }

    /// Counts what came of a `request`, and tells it.
    fn answer(
        &self,
        request: &'static str,
        outcome: Result<Enrolled, Denied>,
    ) -> Result<Response<Enrolled>, Status> {
        let (label, answer) = match outcome {
            Ok(enrolled) => ("granted", Ok(Response::new(enrolled))),
            Err(Denied(label, status)) => (label, Err(status)),
        };
        self.trust.shared.counters.enrolled(request, label);
        answer
    }

    async fn joined(&self, request: JoinRequest) -> Result<Enrolled, Denied> {
        let _turn = self.turns.acquire().await.map_err(|_| closing())?;
        let JoinRequest {
            token,
            proxy_id,
            request,
        } = request;
        let is_id = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if !(1..=MAX_ID).contains(&proxy_id.len()) || !proxy_id.bytes().all(is_id) {
            let status = Status::invalid_argument("an id has 1 to 253 printable characters, and no `/`");
            return Err(Denied("invalid_id", status));
        }
        let token = Presented::parse(&token).ok_or_else(|| refused(JoinRefusal::Unknown))?;
        let request = issue::Request::read(&request).map_err(not_issued)?;
        let (now, standing) = (clock::wall(), self.standing()?);
        let (enrolled, not_after) = standing.grant(&request, &proxy_id, now).map_err(not_issued)?;
        let joining = Joining {
            token: token.id,
            hash: &token.hash,
            proxy: &proxy_id,
            key: &request.key().to_string(),
            not_after,
        };
        match self.trust.shared.store.enrol(&joining, now).await {
            Ok(identity) => {
                tracing::info!(proxy = identity.proxy, token = token.id, "proxy joined");
                Ok(enrolled)
            }
            Err(EnrolError::Refused(refusal)) => {
                tracing::warn!(proxy = proxy_id, token = token.id, %refusal, "proxy not let in");
                Err(refused(refusal))
            }
            Err(EnrolError::Store(error)) => Err(unavailable(error)),
        }
    }

    async fn renewed(&self, peer: Option<Peer>, request: RenewRequest) -> Result<Enrolled, Denied> {
        let _turn = self.turns.acquire().await.map_err(|_| closing())?;
        let peer = match peer {
            Some(Peer::Proxy(peer)) => peer,
            Some(Peer::Local | Peer::Stranger) | None => return Err(Stranger::NoCertificate.into()),
        };
        let identity = self.trust.identity(&peer).await?;
        let request = issue::Request::read(&request.request).map_err(not_issued)?;
        if request.key() != peer.key {
            let status = Status::invalid_argument("a certificate is renewed for the key that it has");
            return Err(Denied("other_key", status));
        }
        let (now, standing) = (clock::wall(), self.standing()?);
        let (enrolled, not_after) = standing
            .grant(&request, &identity.proxy, now)
            .map_err(not_issued)?;
        let store = &self.trust.shared.store;
        let renewed = store.renew_identity(&identity.proxy, &identity.key, not_after);
        match renewed.await {
            Ok(true) => Ok(enrolled),
            Ok(false) => Err(Stranger::Revoked.into()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<Enrolled>, Status> {
        let outcome = self.joined(request.into_inner()).await;
        self.answer("join", outcome)
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Enrolled>, Status> {
        let peer = request.extensions().get::<Line>().map(|line| line.peer.clone());
        let outcome = self.renewed(peer, request.into_inner()).await;
        self.answer("renew", outcome)
    }
}

/// Why nothing is issued: the label in metrics, and what the proxy is told.
struct Denied(&'static str, Status);

impl From<Stranger> for Denied {
    fn from(reason: Stranger) -> Self {
        Self(reason.label(), stranger(reason))
    }
}

fn closing() -> Denied {
    Denied(
        "closing",
        Status::unavailable("the control plane is shutting down"),
    )
}

fn unavailable(error: StoreError) -> Denied {
    tracing::warn!(%error, "no certificate issued");
    Denied("unavailable", Status::unavailable("the store does not answer"))
}

fn not_issued(error: IssueError) -> Denied {
    match error {
        IssueError::Request => Denied("invalid_request", Status::invalid_argument(error.to_string())),
        IssueError::Name => Denied("invalid_id", Status::invalid_argument(error.to_string())),
        IssueError::Keys => Denied("no_key", Status::internal(error.to_string())),
    }
}

fn refused(refusal: JoinRefusal) -> Denied {
    let text = refusal.to_string();
    match refusal {
        JoinRefusal::Full => Denied("full", Status::resource_exhausted(text)),
        JoinRefusal::Taken => Denied("taken", Status::already_exists(text)),
        JoinRefusal::Unknown => Denied("unknown_token", Status::permission_denied(text)),
        JoinRefusal::Withdrawn => Denied("withdrawn_token", Status::permission_denied(text)),
        JoinRefusal::Expired => Denied("expired_token", Status::permission_denied(text)),
        JoinRefusal::Used => Denied("used_token", Status::permission_denied(text)),
        JoinRefusal::OtherProxy => Denied("other_proxy", Status::permission_denied(text)),
        JoinRefusal::RevokedKey => Denied("revoked_key", Status::permission_denied(text)),
    }
}

/// What a proxy is told that is not let in.
pub(crate) fn stranger(reason: Stranger) -> Status {
    match reason {
        Stranger::NoCertificate => Status::unauthenticated(reason.to_string()),
        Stranger::Unavailable => Status::unavailable(reason.to_string()),
        Stranger::Taken => Status::already_exists(reason.to_string()),
        Stranger::OtherId
        | Stranger::Unknown
        | Stranger::OtherKey
        | Stranger::Revoked
        | Stranger::Expired => Status::permission_denied(reason.to_string()),
    }
}
