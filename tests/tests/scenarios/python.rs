//! Python's sockets as a client and its `http.client` as a reader of answers: a third opinion, beside our
//! codec and the harness, on where messages begin and end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use sluice_proto::v1;
use sluice_tests::upstream::{Upstream, full};
use tokio::process::Command;
use tokio::time::timeout;

use crate::limits::Limited;

/// Longest time for all of the script: a hundred and fifty connections, most of them byte by byte.
const SCRIPT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_python_sends_in_pieces_is_read_as_it_is_meant_or_refused_whole() {
    let whole = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&whole);
    let upstream = Upstream::serve(move |request: Request<Incoming>, _| {
        let counted = Arc::clone(&counted);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            counted.fetch_add(1, Ordering::SeqCst);
            let seen = json!({
                "method": head.method.as_str(),
                "target": head.uri.to_string(),
                "body": String::from_utf8(body.to_vec())?,
            });
            Ok(Response::new(full(seen.to_string())))
        }
    });
    let upstream = upstream.await.unwrap();
    let limited = Limited::start(upstream.address, v1::Limits::default(), &[]).await;

    let mut python = Command::new("python3");
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/raw.py"));
    python.args([
        limited.address.ip().to_string(),
        limited.address.port().to_string(),
    ]);
    let output = timeout(SCRIPT, python.kill_on_drop(true).output()).await;
    let output = output.expect("the script ends").expect("python3 is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // What was served is what was answered: nothing that a refused request hid came through.
    let served: usize = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    assert!(served > 100, "only {served}");
    assert_eq!(whole.load(Ordering::SeqCst), served);
}
