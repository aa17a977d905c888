//! Served connections, through memory and on a clock that only moves when nothing else does.

mod deadlines;
mod endings;
mod framing;
mod interim;
mod limits;
mod slow;
mod switches;
mod uploads;
mod upstream;

use std::{
    rc::{Rc, Weak},
    sync::atomic::Ordering,
    time::Duration,
};

use bytes::BytesMut;
use sluice_proto::v1;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::{JoinHandle, spawn_local},
    time::{Instant, timeout},
};

use super::{Channel, serve};
use crate::{
    request::{self, Reason},
    telemetry::Counters,
    testing::{
        snapshot::Site,
        wire::{BUFFER, End, MOMENT, run, site, wire, wire_that_holds},
    },
    transport::Transport,
    worker::{Worker, testing},
};

/// A client's connection that is served.
struct Served {
    client: End,
    worker: Rc<Worker>,
    channel: Weak<Channel>,
    life: JoinHandle<()>,
    buffer: usize,
}

impl Served {
    fn start(site: &Site) -> Self {
        Self::with_buffer(site, BUFFER)
    }

    fn with_buffer(site: &Site, buffer: usize) -> Self {
        Self::over(site, wire(buffer), buffer)
    }

    /// One whose client has asked for something, and the endpoint that has heard it.
    async fn asked() -> (Self, End) {
        let mut served = Self::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        (served, endpoint)
    }

    /// One whose client has `wire`; those to endpoints hold `buffer` bytes.
    fn over(site: &Site, (transport, client): (Transport, End), buffer: usize) -> Self {
        let worker = testing::worker(site);
        let (connection, limits) = testing::connection(&worker);
        let deadline = worker.deadlines.after(limits.head_timeout);
        let channel = Channel::new(transport, BytesMut::new(), limits, deadline);
        let watched = Rc::downgrade(&channel);
        let life = spawn_local(async move {
            if let Some((pipe, exchange)) = serve(&connection, channel).await {
                request::tunnel(pipe, exchange).await;
            }
        });
        Self {
            client,
            worker,
            channel: watched,
            life,
            buffer,
        }
    }

    /// A connection to the endpoint, kept for the next request.
    fn endpoint(&self) -> End {
        self.endpoint_over(wire(self.buffer))
    }

    fn endpoint_over(&self, (transport, end): (Transport, End)) -> End {
        testing::keep(&self.worker, transport);
        end
    }

    /// What was counted since the last time.
    fn counted(&self) -> Counters {
        self.worker.stats.take().1
    }

    /// How many requests went wrong because of `reason` since counts were last taken.
    fn failed(&self, reason: Reason) -> u64 {
        self.counted().reasons.0[reason.index()]
    }
}

/// Status and body of an answer; `date` is nobody's concern.
fn without_date(answer: &str) -> String {
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
