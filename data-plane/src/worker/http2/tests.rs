//! Limits of HTTP/2 clients, through memory and on a clock that is moved.

use std::{convert::Infallible, sync::atomic::Ordering};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::BoxBody};
use hyper::client::conn::http2::{Builder, SendRequest};
use sluice_proto::v1;
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc,
    task::{JoinHandle, spawn_local},
    time::{Instant, sleep},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::*;
use crate::{
    request::Reason,
    telemetry::Counters,
    testing::wire::{BUFFER, End, MOMENT, run, site, wire},
    worker::{TICK, Worker, testing},
};

type Body = BoxBody<Bytes, Infallible>;

/// As a listener's limits have them when nothing is set.
const BODY: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(75);
/// What a client of these tests takes before it reads.
const WINDOW: u32 = 65_535;

/// A client's connection that is served.
struct Served {
    client: SendRequest<Body>,
    worker: Rc<Worker>,
    life: JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        let worker = testing::worker(&site(v1::Limits::default()));
        let (connection, limits) = testing::connection(&worker);
        let (transport, client) = wire(BUFFER);
        let deadline = worker.deadlines.after(limits.head_timeout);
        let life = spawn_local(async move {
            serve(&connection, Ahead::new(transport, BytesMut::new()), &deadline).await;
        });
        let (client, driven) = Builder::new(LocalExecutor)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(TokioIo::new(client.stream))
            .await
            .unwrap();
        // Ends when the proxy closes.
        spawn_local(async move { drop(driven.await) });
        Self { client, worker, life }
    }

    fn endpoint(&self) -> End {
        let (transport, end) = wire(BUFFER);
        testing::keep(&self.worker, transport);
        end
    }

    /// Sends a request; its answer comes when there is one.
    fn ask(&mut self, body: Body) -> JoinHandle<hyper::Result<Response<Incoming>>> {
        let request = Request::post("http://a/").body(body).unwrap();
        spawn_local(self.client.send_request(request))
    }

    /// The head of an answer that begins as `endpoint` says.
    async fn answered(&mut self, endpoint: &mut End, answer: &str) -> Response<Incoming> {
        let answered = self.ask(Empty::new().boxed());
        endpoint.hear().await;
        endpoint.say(answer).await;
        answered.await.unwrap().unwrap()
    }

    fn counted(&self) -> Counters {
        self.worker.stats.take().1
    }
}

/// A body that comes as it is sent.
fn body() -> (mpsc::Sender<Bytes>, Body) {
    let (send, pieces) = mpsc::channel(1);
    let frames = ReceiverStream::new(pieces).map(|piece| Ok(Frame::data(piece)));
    (send, BoxBody::new(StreamBody::new(frames)))
}

const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";

#[test]
fn a_body_that_stops_is_given_up() {
    run(async {
        let mut served = Served::start().await;
        let mut endpoint = served.endpoint();
        let (send, body) = body();
        let answered = served.ask(body);
        send.send(Bytes::from_static(b"some")).await.unwrap();
        assert!(endpoint.hear().await.ends_with("some\r\n"));
        let began = Instant::now();
        assert_eq!(answered.await.unwrap().unwrap().status(), 408);
        let took = began.elapsed() + MOMENT;
        assert!(took >= BODY && took <= BODY + 2 * TICK, "{took:?}");
        assert_eq!(served.counted().reasons.0[Reason::BodyTimeout.index()], 1);
        assert!(endpoint.is_closed().await);
    });
}

#[test]
fn a_body_that_dribbles_in_is_given_up_and_a_slow_one_is_not() {
    for (bytes, slow) in [(99, true), (101, false)] {
        run(async {
            let mut served = Served::start().await;
            let mut endpoint = served.endpoint();
            let (send, body) = body();
            let answered = served.ask(body);
            for _ in 0..30 {
                sleep(Duration::from_secs(1)).await;
                if send.send(vec![b'x'; bytes].into()).await.is_err() {
                    break;
                }
                endpoint.hear().await;
            }
            assert_eq!(answered.is_finished(), slow, "{bytes} per second");
            let slowly = served.counted().reasons.0[Reason::BodyTooSlow.index()];
            assert_eq!(slowly, u64::from(slow));
        });
    }
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    run(async {
        let mut served = Served::start().await;
        let mut endpoint = served.endpoint();
        let answer = served.answered(&mut endpoint, LONG).await;
        let began = Instant::now();
        // Fails when the proxy has had enough.
        let _ = endpoint.stream.write_all(&vec![b'x'; 10_000_000]).await;
        let took = began.elapsed();
        assert!(took >= BODY && took <= BODY + 2 * TICK, "{took:?}");
        sleep(MOMENT).await;
        assert!(served.life.is_finished());
        assert_eq!(served.counted().slow_readers, 1);
        drop(answer);
    });
}

#[test]
fn a_client_is_not_blamed_for_an_endpoint_that_pauses() {
    run(async {
        let mut served = Served::start().await;
        let mut endpoint = served.endpoint();
        let mut answer = served.answered(&mut endpoint, LONG).await;
        for _ in 0..3 {
            sleep(Duration::from_secs(600)).await;
            endpoint.say("some").await;
            let piece = answer.body_mut().frame().await.unwrap().unwrap();
            assert_eq!(piece.into_data().unwrap(), "some");
        }
        assert_eq!(served.counted().slow_readers, 0);
    });
}

#[test]
fn without_memory_answers_under_way_go_on() {
    run(async {
        let mut served = Served::start().await;
        let mut endpoint = served.endpoint();
        let mut answer = served.answered(&mut endpoint, LONG).await;
        served.worker.overload.store(true, Ordering::Relaxed);
        sleep(Duration::from_secs(600)).await;
        endpoint.say("some").await;
        let piece = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(piece.into_data().unwrap(), "some");
    });
}

#[test]
fn a_client_without_a_request_is_let_go_after_a_while() {
    run(async {
        let mut served = Served::start().await;
        let mut endpoint = served.endpoint();
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        let answer = served.answered(&mut endpoint, ok).await;
        answer.into_body().collect().await.unwrap();
        let began = Instant::now();
        (&mut served.life).await.unwrap();
        let took = began.elapsed() + MOMENT;
        assert!(took >= IDLE && took <= IDLE + 2 * TICK, "{took:?}");
    });
}
