//! The gRPC server of the fleet, on threads of its own: when ten thousand proxies are told of a change
//! these are busy for a while, and what operators write must not wait for its turn behind them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sluice_proto::v1::enrolment_server::EnrolmentServer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;

use super::guard::guard;
use super::recounts::recount;
use super::registry::Fleet;
use super::service::FleetService;
use super::stream::Ends;
use crate::live::Live;
use crate::trust::{self, Connection, EnrolmentService, Trust};

/// How often a proxy's connection is pinged, and how long the answer may take: a dead peer is
/// noticed within 15 seconds, the length of its lease.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// Connections that may wait to be accepted; a fleet comes all at once. The system allows 4,096 of
/// them unless `net.core.somaxconn` says otherwise.
const BACKLOG: u32 = 16_384;

/// What the server is made of.
pub(crate) struct FleetServer {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) live: Live,
    pub(crate) trust: Trust,
    pub(crate) max_streams: usize,
    pub(crate) tasks: TaskTracker,
    pub(crate) ends: Ends,
}

/// The threads that the server and its streams run on. They end when this is dropped; tasks are waited
/// for before that, by their tracker.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl FleetServer {
    /// Serves those who connect to `address`, which `socket` is bound to.
    ///
    /// # Errors
    /// When it cannot be listened on, or there can be no threads.
    pub(crate) fn start(self, socket: TcpSocket, address: SocketAddr) -> io::Result<Threads> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .thread_name("sluice-fleet")
            .enable_all()
            .build()?;
        // Sockets and tasks are of the runtime in which they are made.
        let inside = threads.enter();
        self.serve(socket.listen(BACKLOG)?, address);
        drop(inside);
        Ok(Threads(Some(threads)))
    }

    fn serve(self, listener: TcpListener, address: SocketAddr) {
        let Self {
            fleet,
            live,
            trust,
            max_streams,
            tasks,
            ends,
        } = self;
        let shutdown = ends.shutdown.clone();
        let guarding = guard(Arc::clone(&fleet), trust.clone());
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(guarding));
        let recounting = recount(Arc::clone(&fleet));
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(recounting));
        let enrolment = EnrolmentService::server(trust.clone());
        let incoming = trust::incoming(listener, address, trust.clone(), &tasks, shutdown.clone());
        let streams = FleetService::new(fleet, &live, trust, max_streams, tasks.clone(), ends);
        tasks.spawn(answer(incoming, streams, enrolment, shutdown));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // This may be a thread of another runtime, which must not block.
            threads.shutdown_background();
        }
    }
}

async fn answer(
    incoming: ReceiverStream<io::Result<Connection>>,
    streams: FleetService,
    enrolment: EnrolmentServer<EnrolmentService>,
    shutdown: CancellationToken,
) {
    let server = Server::builder()
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PONG))
        .add_service(streams)
        .add_service(enrolment)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the gRPC server ended");
    }
}
