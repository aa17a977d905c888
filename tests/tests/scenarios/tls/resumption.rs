//! Session tickets that one proxy gives out and every other takes.

use sluice_tests::manifest::HOST;
use sluice_tests::site::SOON;

use super::{LISTENER, Secured, last_request, s_client, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_one_proxy_is_resumed_on_another() {
    let secured = Secured::start(2).await;
    let other = secured.site.proxies[1]
        .listening(LISTENER, 1, SOON)
        .await
        .unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = secured.site.directory().join(version);
        let session = session.to_str().unwrap();
        let options = ["-servername", HOST, version];
        let out = [&options[..], &["-sess_out", session]].concat();
        let first = text(&s_client(secured.address, &out, &last_request()).await);
        assert!(first.contains("\nNew, "), "{version}: {first}");
        let resume = [&options[..], &["-sess_in", session]].concat();
        for address in [other, secured.address] {
            let resumed = text(&s_client(address, &resume, &last_request()).await);
            assert!(
                resumed.contains("\nReused, "),
                "{version} at {address}: {resumed}"
            );
            assert!(resumed.contains("HTTP/1.1 200 OK"), "{resumed}");
        }
    }
}

/// Tickets outlive the process that gave them out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_resumed_after_a_restart() {
    let mut secured = Secured::start(1).await;
    let session = secured.site.directory().join("session");
    let session = session.to_str().unwrap();
    let out = ["-servername", HOST, "-sess_out", session];
    s_client(secured.address, &out, &last_request()).await;
    drop(secured.site.proxies.remove(0));
    let again = secured
        .site
        .proxy("edge-1", &["--port-map", "443=0"])
        .await
        .unwrap();
    let address = again.listening(LISTENER, 1, SOON).await.unwrap();
    let resume = ["-servername", HOST, "-sess_in", session];
    let resumed = text(&s_client(address, &resume, &last_request()).await);
    assert!(resumed.contains("\nReused, "), "{resumed}");
}
