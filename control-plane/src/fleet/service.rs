//! The gRPC service `sluice.v1.Fleet`. Written by hand for one reason: answers are bytes that were
//! encoded before, where the generated service would encode every message for every stream.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use prost::Message as _;
use sluice_proto::v1;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codec::{BufferSettings, DecodeBuf, Decoder};
use tonic::codegen::Service;
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::{Status, Streaming};

use super::answers::{Answers, answers};
use super::encode::Encoder;
use super::errand::Turns;
use super::pace::pace;
use super::registry::Fleet;
use super::stream::{Common, Ends, Stream};
use crate::live::{Live, Published};
use crate::trust::{self, Line, Peer, Trust};

/// What a stream's buffers begin with, in bytes: as much as most messages take. There are thousands.
const BUFFER: usize = 512;
/// Bytes of a proxy's messages that are read at a time.
const HAND_ON: usize = 32 * 1024;
/// Largest message of a proxy: a report of every rule and endpoint of a large table.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;
/// Path of the one method.
const SUBSCRIBE: &str = "/sluice.v1.Fleet/Subscribe";

/// Serves streams of proxies. Clones share everything.
#[derive(Clone, Debug)]
pub struct FleetService {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    common: Arc<Common>,
    published: watch::Receiver<Arc<Published>>,
    trust: Trust,
    streams: Arc<Semaphore>,
    tasks: TaskTracker,
    ends: Ends,
}

impl FleetService {
    /// A service of what is live, for at most `max_streams` streams at a time. Streams run on `tasks`
    /// and end as `ends` says.
    pub fn new(
        fleet: Arc<Fleet>,
        live: &Live,
        trust: Trust,
        max_streams: usize,
        tasks: TaskTracker,
        ends: Ends,
    ) -> Self {
        let live_ones = live.watch();
        let (told, published) = watch::channel(Arc::clone(&live_ones.borrow()));
        let known = Arc::clone(&fleet);
        let passing_on = pace(move || known.told(), live_ones, told);
        tasks.spawn(ends.shutdown.clone().run_until_cancelled_owned(passing_on));
        let common = Common {
            fleet,
            encoder: Encoder::default(),
            versions: live.versions().clone(),
            turns: Turns::new(),
            measures: live.measures().clone(),
        };
        let streams = Arc::new(Semaphore::new(max_streams.min(Semaphore::MAX_PERMITS)));
        Self {
            shared: Arc::new(Shared {
                common: Arc::new(common),
                published,
                trust,
                streams,
                tasks,
                ends,
            }),
        }
    }

    fn answer(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        if request.uri().path() != SUBSCRIBE {
            return Err(Status::unimplemented("no such method"));
        }
        // Whoever comes in another way than through the door is nobody.
        let line = request.extensions().get::<Line>().cloned();
        let stranger = || trust::stranger(self.shared.trust.turn_away());
        let line = line.ok_or_else(stranger)?;
        let inbound = Streaming::new_request(Messages, request.into_body(), None, Some(MAX_MESSAGE));
        let mut response = http::Response::new(Body::new(self.subscribe(line, inbound)?));
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
        Ok(response)
    }

    /// Starts the task of one stream; its answers.
    fn subscribe(&self, line: Line, inbound: Streaming<v1::ProxyMessage>) -> Result<Answers, Status> {
        let shared = &self.shared;
        if line.peer == Peer::Stranger {
            return Err(trust::stranger(shared.trust.turn_away()));
        }
        if shared.ends.drain.is_cancelled() || shared.ends.shutdown.is_cancelled() {
            return Err(Status::unavailable("the control plane is shutting down"));
        }
        let permit = Arc::clone(&shared.streams).try_acquire_owned();
        let full = |_| Status::resource_exhausted("too many streams: --max-streams allows no more");
        let permit = permit.map_err(full)?;
        let (outbound, answers) = answers();
        let stream = Stream::new(
            Arc::clone(&shared.common),
            shared.published.clone(),
            (shared.trust.clone(), line),
            outbound,
            shared.ends.shutdown.child_token(),
        );
        let ends = shared.ends.clone();
        shared.tasks.spawn(async move {
            stream.run(inbound, ends).await;
            drop(permit);
        });
        Ok(answers)
    }
}

impl NamedService for FleetService {
    const NAME: &'static str = "sluice.v1.Fleet";
}

impl Service<http::Request<Body>> for FleetService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answered = self.answer(request);
        ready(Ok(answered.unwrap_or_else(Status::into_http)))
    }
}

/// Reads the messages of proxies.
struct Messages;

impl Decoder for Messages {
    type Item = v1::ProxyMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<v1::ProxyMessage>, Status> {
        let message = v1::ProxyMessage::decode(buffer);
        message
            .map(Some)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, HAND_ON)
    }
}

#[cfg(test)]
mod tests;
