//! The gRPC service `sluice.v1.Enrolment`: certificates for join tokens, and for certificates.

use sluice_proto::v1::enrolment_server::{Enrolment, EnrolmentServer};
use sluice_proto::v1::{Enrolled, JoinRequest, RenewRequest};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::issue::{self, IssueError};
use super::token::Presented;
use super::{Peer, Standing, Stranger, Trust};
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

    fn standing(&self) -> Result<std::sync::Arc<Standing>, Status> {
        let none =
            || Status::failed_precondition("no certificates are issued here: there is no envelope key");
        self.trust.standing().ok_or_else(none)
    }
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<Enrolled>, Status> {
        let _turn = self.turns.acquire().await.map_err(|_| closing())?;
        let JoinRequest {
            token,
            proxy_id,
            request,
        } = request.into_inner();
        let is_id = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if !(1..=MAX_ID).contains(&proxy_id.len()) || !proxy_id.bytes().all(is_id) {
            return Err(Status::invalid_argument(
                "an id has 1 to 253 printable characters, and no `/`",
            ));
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
                Ok(Response::new(enrolled))
            }
            Err(EnrolError::Refused(refusal)) => {
                tracing::warn!(proxy = proxy_id, token = token.id, %refusal, "proxy not let in");
                Err(refused(refusal))
            }
            Err(EnrolError::Store(error)) => Err(unavailable(error)),
        }
    }

    async fn renew(&self, request: Request<RenewRequest>) -> Result<Response<Enrolled>, Status> {
        let _turn = self.turns.acquire().await.map_err(|_| closing())?;
        let peer = match request.extensions().get::<Peer>() {
            Some(Peer::Proxy(peer)) => peer.clone(),
            Some(Peer::Local | Peer::Stranger) | None => return Err(stranger(Stranger::NoCertificate)),
        };
        let identity = self.trust.identity(&peer).await.map_err(stranger)?;
        let request = issue::Request::read(&request.into_inner().request).map_err(not_issued)?;
        if request.key() != peer.key {
            return Err(Status::invalid_argument(
                "a certificate is renewed for the key that it has",
            ));
        }
        let (now, standing) = (clock::wall(), self.standing()?);
        let (enrolled, not_after) = standing
            .grant(&request, &identity.proxy, now)
            .map_err(not_issued)?;
        let store = &self.trust.shared.store;
        let renewed = store.renew_identity(&identity.proxy, &identity.key, not_after);
        match renewed.await {
            Ok(true) => Ok(Response::new(enrolled)),
            Ok(false) => Err(stranger(Stranger::Revoked)),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn closing() -> Status {
    Status::unavailable("the control plane is shutting down")
}

fn unavailable(error: StoreError) -> Status {
    tracing::warn!(%error, "no certificate issued");
    Status::unavailable("the store does not answer")
}

fn not_issued(error: IssueError) -> Status {
    match error {
        IssueError::Request | IssueError::Name => Status::invalid_argument(error.to_string()),
        IssueError::Keys => Status::internal(error.to_string()),
    }
}

fn refused(refusal: JoinRefusal) -> Status {
    match refusal {
        JoinRefusal::Full => Status::resource_exhausted(refusal.to_string()),
        JoinRefusal::Taken => Status::already_exists(refusal.to_string()),
        JoinRefusal::Unknown
        | JoinRefusal::Withdrawn
        | JoinRefusal::Expired
        | JoinRefusal::Used
        | JoinRefusal::OtherProxy
        | JoinRefusal::RevokedKey => Status::permission_denied(refusal.to_string()),
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
