//! Bodies that another task reads than the connection's: hyper's, when the endpoint speaks HTTP/2.

use std::{future::poll_fn, task::Context};

use super::*;
use crate::http1::Upload;

const HEAD: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n";

/// A connection that nobody serves, with its client.
async fn connected() -> (Rc<Channel>, End, Upload) {
    connected_over(wire(BUFFER), HEAD).await
}

async fn connected_over((transport, mut client): (Transport, End), head: &str) -> (Rc<Channel>, End, Upload) {
    let worker = testing::worker(&site(v1::Limits::default()));
    let (connection, limits) = testing::connection(&worker);
    let deadline = worker.deadlines.after(limits.head_timeout);
    let channel = Channel::new(transport, BytesMut::new(), limits, deadline);
    let ((), upload) = tokio::join!(client.say(head), next(&channel, &connection));
    (channel, client, upload)
}

async fn next(channel: &Rc<Channel>, connection: &crate::worker::Connection) -> Upload {
    let head = channel.head(connection).await.unwrap();
    channel.begin(&head)
}

/// Reads `upload` to its end in a task of its own.
fn reading(upload: Upload) -> JoinHandle<(String, Option<Reason>)> {
    spawn_local(async move {
        let mut whole = String::new();
        while let Some(frame) = poll_fn(|cx| upload.poll_frame(cx)).await {
            match frame {
                Ok(frame) => whole += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
                Err(reason) => return (whole, Some(reason)),
            }
        }
        (whole, None)
    })
}

/// What the connection's own task does meanwhile.
fn watching(channel: &Rc<Channel>) -> JoinHandle<()> {
    let channel = Rc::clone(channel);
    let look = move |cx: &mut Context<'_>| {
        let _ = channel.with(|inner| inner.poll_drain(cx));
        channel.poll_gone(cx)
    };
    spawn_local(poll_fn(look))
}

#[test]
fn a_body_that_stops_is_given_up_by_the_task_that_reads_it() {
    run(async {
        let (channel, mut client, upload) = connected().await;
        let began = Instant::now();
        let read = reading(upload);
        let watched = watching(&channel);
        client.say("four").await;
        tokio::task::yield_now().await;
        // Both tasks look again, in either order.
        channel.with(|inner| inner.deadline.reset(Duration::ZERO));
        assert_eq!(read.await.unwrap(), ("four".into(), Some(Reason::BodyTimeout)));
        let took = began.elapsed();
        assert!(
            took >= Duration::from_secs(30) && took < Duration::from_secs(31),
            "{took:?}"
        );
        watched.abort();
    });
}

#[test]
fn the_connection_hears_that_its_client_has_left_once_another_task_has_read_the_body() {
    run(async {
        let (channel, mut client, upload) = connected().await;
        let watched = watching(&channel);
        client.say("12345678").await;
        assert_eq!(reading(upload).await.unwrap(), ("12345678".into(), None));
        client.stream.shutdown().await.unwrap();
        timeout(MOMENT, watched).await.unwrap().unwrap();
    });
}

#[test]
fn a_client_that_hardly_reads_is_asked_to_the_end_for_what_another_task_wants() {
    run(async {
        let head = HEAD.replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n");
        let (channel, mut client, upload) = connected_over(wire(8), &head).await;
        let watched = watching(&channel);
        tokio::task::yield_now().await;
        let read = reading(upload);
        assert_eq!(client.hear().await, "HTTP/1.1 100 Continue\r\n\r\n");
        client.say("whole it").await;
        assert_eq!(read.await.unwrap(), ("whole it".into(), None));
        watched.abort();
    });
}

#[test]
fn a_body_gives_nothing_once_its_request_is_over() {
    run(async {
        let (channel, mut client, upload) = connected().await;
        let read = reading(upload);
        client.say("four").await;
        tokio::time::sleep(MOMENT).await;
        // The answer was early: the rest is not for whoever still waits for it.
        channel.take_back();
        assert_eq!(read.await.unwrap(), ("four".into(), Some(Reason::RequestBody)));
        client.say("rest").await;
        assert!(channel.skip_body().await);
    });
}

#[test]
fn a_body_never_reads_what_belongs_to_the_next_request() {
    run(async {
        let worker = testing::worker(&site(v1::Limits::default()));
        let (connection, limits) = testing::connection(&worker);
        let (transport, mut client) = wire(BUFFER);
        let deadline = worker.deadlines.after(limits.head_timeout);
        let channel = Channel::new(transport, BytesMut::new(), limits, deadline);
        client.say(format!("{HEAD}12345678{HEAD}abcdefgh")).await;
        let old = next(&channel, &connection).await;
        channel.take_back();
        assert!(channel.skip_body().await);
        let new = next(&channel, &connection).await;
        assert_eq!(
            reading(old).await.unwrap(),
            (String::new(), Some(Reason::RequestBody))
        );
        assert_eq!(reading(new).await.unwrap(), ("abcdefgh".into(), None));
    });
}

#[test]
fn a_body_does_not_keep_its_connection_open() {
    run(async {
        let (channel, mut client, upload) = connected().await;
        let read = reading(upload);
        tokio::time::sleep(MOMENT).await;
        drop(channel);
        assert!(client.is_closed().await);
        assert_eq!(
            timeout(MOMENT, read).await.unwrap().unwrap().1,
            Some(Reason::RequestBody)
        );
    });
}
