//! Connections that become something else.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{accept_async, client_async, tungstenite::Message};

use crate::{
    client::raw,
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, read_head, write},
};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_websocket_speaks_both_ways_and_is_counted() {
    let upstream = Upstream::start(|stream| async move {
        let mut socket = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let stream = TcpStream::connect(edge.address).await.unwrap();
    let (mut socket, response) = client_async("ws://shop.example/chat", stream).await.unwrap();
    assert_eq!(response.headers()["upgrade"], "websocket");
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    let metrics = edge.admin("/metrics").await.body;
    assert!(metrics.contains("\nsluice_upgraded_connections 1\n"), "{metrics}");
    assert!(metrics.contains("\nsluice_upgrades_total 1\n"), "{metrics}");
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    drop(socket);
    let labels = "route=\"default/shop\",rule=\"rule/default/shop/0\",variant=\"\"";
    edge.metrics_with(&format!("sluice_requests_total{{{labels},code=\"1xx\"}} 1"))
        .await;
}

/// Switches to a protocol in which the upstream answers once the client has said everything.
async fn answering_at_the_end() -> Upstream {
    Upstream::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.to_ascii_lowercase().contains("upgrade: line"), "{head}");
        write(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: line\r\n\r\n",
        )
        .await;
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        write(&mut stream, &format!("heard {said}")).await;
    })
    .await
}

const SWITCH: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: line\r\n\r\n";

#[tokio::test]
async fn a_side_that_has_ended_can_still_listen() {
    let upstream = answering_at_the_end().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    write(&mut stream, SWITCH).await;
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 101 "));
    write(&mut stream, "hello").await;
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "heard hello");
}

#[tokio::test]
async fn a_connection_on_which_nobody_speaks_is_closed() {
    let upstream = answering_at_the_end().await;
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), |config| {
        config.timeouts.upgraded_idle = Duration::from_millis(100);
    })
    .await;
    let answer = timeout(LONG, raw(edge.address, SWITCH)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && !answer.contains("heard"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_upstream_that_declines_answers_as_usual() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = SWITCH.replace("connection: upgrade", "connection: upgrade, close");
    let answer = raw(edge.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\nupgrade: line"), "{answer}");
}

#[tokio::test]
async fn h2c_is_not_passed_on_and_an_unasked_switch_is_no_answer() {
    let upstream = Upstream::echoing().await;
    let mut edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = SWITCH
        .replace("upgrade: line", "upgrade: h2c")
        .replace("connection: upgrade", "connection: upgrade, close");
    let answer = raw(edge.address, &request).await;
    assert!(!answer.contains("h2c"), "{answer}");

    let eager = Upstream::start(|mut stream| async move {
        read_head(&mut stream).await;
        write(
            &mut stream,
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: line\r\n\r\n",
        )
        .await;
        read_head(&mut stream).await;
    })
    .await;
    edge.apply(&Site::to(&[&eager.name()])).await;
    assert_eq!(edge.get("/").await.status.as_u16(), 502);
}
