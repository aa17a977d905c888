//! The stream as it is met from another address than loopback, over a link between two network
//! namespaces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use prost::Message as _;
use serde_json::json;
use sluice_proto::WIRE_VERSION;
use sluice_proto::v1::{Hello, ProxyMessage, proxy_message};
use sluice_tests::authority::Authority;
use sluice_tests::fake_proxy::FakeProxy;
use sluice_tests::namespace::Namespace;
use sluice_tests::process::command;
use sluice_tests::servers::{self, ControlPlane, DataPlane, binary};
use sluice_tests::site::{SOON, TOKEN};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What a client of HTTP/2 says first (RFC 9113 section 3.4), with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The first message of a proxy, as gRPC frames it.
fn hello(id: &str) -> Vec<u8> {
    let hello = Hello {
        proxy_id: id.to_owned(),
        wire_version: WIRE_VERSION,
        instance: vec![1; 16],
        ..Hello::default()
    };
    let body = Some(proxy_message::Body::Hello(hello));
    let message = ProxyMessage { body }.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message].concat()
}

/// Subscribes with curl; what came back: headers, and how many bytes of messages.
fn subscribe(mut curl: std::process::Command, url: &str, body: &Path, options: &[&str]) -> (String, usize) {
    // The other side ends every answer, the good one because nothing more is asked; this is for one that does not.
    let patience = SOON.as_secs().to_string();
    curl.args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        &patience,
    ]);
    curl.args(["--output", "/dev/null"]);
    curl.args(["--dump-header", "-", "--write-out", "%{size_download}"]);
    curl.args([
        "--header",
        "content-type: application/grpc",
        "--header",
        "te: trailers",
    ]);
    curl.arg("--data-binary").arg(format!("@{}", body.display()));
    let output = curl
        .args(options)
        .arg(format!("{url}/sluice.v1.Fleet/Subscribe"))
        .output()
        .unwrap();
    // Shown with a test that fails.
    eprintln!(
        "curl {url}: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let (headers, size) = text.rsplit_once('\n').unwrap_or(("", &text));
    (headers.to_owned(), size.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_another_address_nothing_comes_back_without_a_certificate_and_on_loopback_all_does() {
    let namespace = Namespace::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let inside = namespace.inside();
    let at = |address: IpAddr| SocketAddr::new(address, 0);
    let program = namespace.command(binary("sluice-control").unwrap());
    let database = format!("sqlite://{}", directory.path().join("control.db").display());
    let anywhere = at(Ipv4Addr::UNSPECIFIED.into());
    let control = ControlPlane::start_on(program, &database, TOKEN, at(inside), anywhere);
    let control = control.await.unwrap();
    let port = control.grpc.port();
    let here = SocketAddr::new(inside, port);
    let body = directory.path().join("hello");
    std::fs::write(&body, hello("curl")).unwrap();

    // From loopback to one that listens on nothing else: Welcome and a snapshot.
    let memory = servers::command("sluice-control", None).unwrap();
    let near = ControlPlane::start(memory, "sqlite::memory:", TOKEN)
        .await
        .unwrap();
    let url = format!("http://{}", near.grpc);
    let (headers, bytes) = subscribe(command("curl"), &url, &body, &["--http2-prior-knowledge"]);
    assert!(
        headers.starts_with("HTTP/2 200") && bytes > 30,
        "{bytes} bytes, {headers}"
    );

    // The same from here: not one byte, not even HTTP/2's own.
    let plain = subscribe(
        command("curl"),
        &format!("http://{here}"),
        &body,
        &["--http2-prior-knowledge"],
    );
    assert_eq!(plain, (String::new(), 0));
    let mut socket = TcpStream::connect(here).await.unwrap();
    socket.write_all(PREFACE).await.unwrap();
    let mut answer = Vec::new();
    // It ends in good order, or with a reset: something that was not read is in the way.
    let _ = socket.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    assert!(FakeProxy::join(here, "plain").await.is_err());

    // Over TLS, but nobody.
    let url = format!("https://{here}");
    let (headers, bytes) = subscribe(command("curl"), &url, &body, &["--http2", "--insecure"]);
    assert_eq!(bytes, 0, "{headers}");
    assert!(headers.contains("grpc-status: 16"), "unauthenticated: {headers}");
    // Over TLS, with a certificate that somebody else issued.
    let stranger = Authority::root(directory.path(), "somebody").unwrap();
    let stranger = stranger.issue("edge-1", &["DNS:edge-1.example.com"]).unwrap();
    let files = [&stranger.chain_file, &stranger.key_file].map(|file| file.to_str().unwrap());
    let options = ["--http2", "--insecure", "--cert", files[0], "--key", files[1]];
    assert_eq!(
        subscribe(command("curl"), &url, &body, &options),
        (String::new(), 0)
    );

    // With one from here, all of it.
    let fleet = control
        .rest
        .send(http::Method::GET, "/v1/fleet/edge-1", None)
        .await
        .unwrap();
    assert_eq!(fleet.status, http::StatusCode::NOT_FOUND);
    let token = control
        .rest
        .join_token(directory.path(), &json!({}))
        .await
        .unwrap();
    let mut proxy = servers::command("sluice-proxy", None).unwrap();
    proxy.args(["--bind", "127.0.0.1", "--port-map", "80=0", "--join-token-file"]);
    proxy.arg(token);
    let proxy = DataPlane::start(proxy, "edge-1", here, directory.path())
        .await
        .unwrap();
    let known = control.rest.connected("edge-1", true, SOON).await;
    let known = known
        .map_err(|error| format!("{error:#} {}", proxy.process.log()))
        .unwrap();
    assert_eq!(known["authentication"], "certificate", "{known}");
}
