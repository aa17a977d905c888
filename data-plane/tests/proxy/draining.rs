//! The end of a proxy.

use std::time::Duration;

use http::{Request, Response};
use http_body::Frame;
use tokio::{net::TcpStream, sync::mpsc, time::timeout};

use crate::{
    bodies::channel,
    client::{Client, empty, full, read},
    edge::Edge,
    snapshot::Site,
    upstream::Upstream,
};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_runs_ends_and_nothing_new_begins() {
    let (asked, mut asking) = mpsc::channel(1);
    let (go, gone) = tokio::sync::watch::channel(false);
    let upstream = Upstream::http1(move |_| {
        let (asked, mut gone) = (asked.clone(), gone.clone());
        async move {
            asked.send(()).await.unwrap();
            gone.wait_for(|gone| *gone).await.unwrap();
            Response::new(full("late"))
        }
    })
    .await;
    let mut edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut idle = edge.client().await;
    let mut client = edge.client().await;
    let request = Request::get("/").header("host", "a").body(empty()).unwrap();
    let answer = tokio::spawn(client.0.send_request(request));
    asking.recv().await.unwrap();

    let (admin, mut status) = (edge.proxy.admin(), edge.proxy.status());
    let stopped = tokio::spawn(edge.proxy.shutdown());
    status.wait_for(|status| status.draining).await.unwrap();
    assert_eq!(
        Client::connect(admin).await.get("/ready").await.status.as_u16(),
        503
    );
    let refused = async { while TcpStream::connect(edge.address).await.is_ok() {} };
    timeout(LONG, refused).await.unwrap();
    timeout(LONG, idle.closed()).await.unwrap();

    go.send(true).unwrap();
    let answer = read(answer.await.unwrap().unwrap()).await;
    assert_eq!((&*answer.body, answer.header("connection")), ("late", "close"));
    edge.control.goodbye().await;
    timeout(LONG, stopped).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_end_is_ended() {
    let upstream = Upstream::http1(|_| async {
        let (frames, body) = channel();
        tokio::spawn(async move {
            frames.send(Ok(Frame::data("first".into()))).await.unwrap();
            frames.closed().await;
        });
        Response::new(body)
    })
    .await;
    let edge = Edge::start_with(&Site::to(&[&upstream.name()]), |config| {
        config.timeouts.drain = Duration::from_millis(200);
    })
    .await;
    let mut client = edge.client().await;
    let request = Request::get("/").header("host", "a").body(empty()).unwrap();
    let response = client.0.send_request(request).await.unwrap();
    timeout(LONG, edge.proxy.shutdown()).await.unwrap();
    use http_body_util::BodyExt as _;
    assert!(response.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_proxy_without_clients_stops_at_once() {
    let edge = Edge::start(&Site::to(&[])).await;
    // Connected, and silent: nothing to wait for.
    let _silent = TcpStream::connect(edge.address).await.unwrap();
    timeout(Duration::from_secs(5), edge.proxy.shutdown())
        .await
        .unwrap();
}
