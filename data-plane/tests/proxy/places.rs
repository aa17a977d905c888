//! Connections, counted by the listener that they turn out to be for.

use http::{Request, header::HOST};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{
    client::{Answer, Body, Client, empty, read},
    edge::Edge,
    snapshot::Site,
    tls::wire::beside,
    upstream::Upstream,
};

const OVER_LIMIT: &str = "sluice_connections_over_limit_total{listener=\"listener/default/edge/http\"}";

/// A listener for `small.example` that takes one connection, and another for `large.example` on the
/// same port.
fn two_listeners(upstream: &Upstream) -> Site {
    let mut site = Site::to(&[&upstream.name()]);
    site.hostname = "small.example".into();
    site.limits.connections = 1;
    beside(&mut site, "large", "large.example");
    site
}

fn to(host: &str) -> Request<Body> {
    let uri = format!("http://{host}/");
    Request::get(uri).header(HOST, host).body(empty()).unwrap()
}

async fn asking(edge: &Edge, host: &str) -> (Client, Answer) {
    let mut client = edge.client().await;
    let mut request = to(host);
    *request.uri_mut() = "/".parse().unwrap();
    let answer = client.send(request).await;
    (client, answer)
}

#[tokio::test]
async fn the_first_request_of_a_plain_connection_takes_its_listeners_place() {
    let upstream = Upstream::saying("ok").await;
    let mut edge = Edge::start(&two_listeners(&upstream)).await;
    let (first, answer) = asking(&edge, "small.example").await;
    assert_eq!(answer.body, "ok");
    let (mut refused, answer) = asking(&edge, "small.example").await;
    assert_eq!(answer.reason(), (503, "listener_full"));
    assert_eq!(
        (answer.header("retry-after"), answer.header("connection")),
        ("1", "close")
    );
    refused.closed().await;
    edge.metrics_with(&format!("{OVER_LIMIT} 1")).await;
    let (_large, answer) = asking(&edge, "large.example").await;
    assert_eq!(answer.body, "ok");

    // Changes elsewhere do not forget who is there.
    let mut changed = two_listeners(&upstream);
    beside(&mut changed, "third", "third.example");
    edge.apply(&changed).await;
    let (_, answer) = asking(&edge, "small.example").await;
    assert_eq!(answer.reason(), (503, "listener_full"));
    drop(first);
    edge.metrics_with("sluice_connections 1").await;
    let (_again, answer) = asking(&edge, "small.example").await;
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn over_http2_the_connection_ends_in_order_after_the_refusal() {
    let upstream = Upstream::saying("ok").await;
    let edge = Edge::start(&two_listeners(&upstream)).await;
    let (_first, _) = asking(&edge, "small.example").await;
    let stream = TcpStream::connect(edge.address).await.unwrap();
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = to("small.example");
    request.headers_mut().clear();
    let answer = read(sender.send_request(request).await.unwrap()).await;
    assert_eq!(answer.reason(), (503, "listener_full"));
    connection.await.unwrap().unwrap();
    edge.metrics_with(&format!("{OVER_LIMIT} 1")).await;
}

#[tokio::test]
async fn a_host_of_no_listener_takes_nobodys_place() {
    let upstream = Upstream::saying("ok").await;
    let edge = Edge::start(&two_listeners(&upstream)).await;
    let (mut nobodys, answer) = asking(&edge, "else.example").await;
    assert_eq!(answer.reason(), (404, "no_route"));
    let mut request = to("small.example");
    *request.uri_mut() = "/".parse().unwrap();
    // It is one of this listener's from here on.
    assert_eq!(nobodys.send(request).await.body, "ok");
    let (_, answer) = asking(&edge, "small.example").await;
    assert_eq!(answer.reason(), (503, "listener_full"));
}
