//! WebSocket (RFC 6455) through the proxy, real implementations on both ends.

use futures_util::{SinkExt as _, StreamExt as _};
use sluice_tests::manifest::{HOST, backend, gateway, route_to};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, client_async};

async fn echoing() -> Upstream {
    Upstream::accept(async |stream| {
        let Ok(mut socket) = accept_async(stream).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_carries_messages_both_ways_and_closes_in_good_order() {
    let upstream = echoing().await;
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let stream = TcpStream::connect(site.address().await.unwrap()).await.unwrap();
    let (mut socket, response) = client_async(format!("ws://{HOST}/chat"), stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for length in [0, 1, 125, 126, 65_536, 1 << 20] {
        let message = Message::binary(vec![7; length]);
        socket.send(message.clone()).await.unwrap();
        let echoed = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(echoed.len(), length);
        assert!(echoed == message, "{length} bytes came back changed");
    }

    // A swap does not end what has been upgraded.
    site.apply(&[backend("more", &[])]).await.unwrap();
    socket.send(Message::text("still here")).await.unwrap();
    let echoed = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(echoed, Message::text("still here"));

    let goodbye = CloseFrame {
        code: CloseCode::Normal,
        reason: "done".into(),
    };
    socket.send(Message::Close(Some(goodbye.clone()))).await.unwrap();
    let answered = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(answered, Message::Close(Some(goodbye)));
    let end = timeout(SOON, socket.next()).await.unwrap();
    assert!(
        matches!(end, None | Some(Err(Error::ConnectionClosed))),
        "{end:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_does_not_upgrade_answers_as_it_likes() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let stream = TcpStream::connect(site.address().await.unwrap()).await.unwrap();
    match client_async(format!("ws://{HOST}/chat"), stream).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 200),
        other => panic!("{other:?}"),
    }
}
