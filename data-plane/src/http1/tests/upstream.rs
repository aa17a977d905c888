//! Endpoints that do not speak HTTP/1 as RFC 9112 has it.

use super::*;

#[test]
fn a_malformed_head_is_a_502_and_the_next_request_is_answered_right() {
    for answer in [
        "HTTP/1.1 200 OK\ncontent-length: 2\n\nno",
        "HTTP/2 200 OK\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nno",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname : value\r\n\r\n",
        "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    ] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut good = served.endpoint();
            let mut bad = served.endpoint();
            served.client.say(GET).await;
            bad.hear().await;
            bad.say(answer).await;
            let told = served.client.hear().await;
            assert!(told.starts_with("HTTP/1.1 502 "), "{answer:?}: {told}");
            assert!(told.ends_with("}\n"), "{answer:?}: {told}");
            assert_eq!(served.failed(Reason::UpstreamMalformed), 1, "{answer:?}");
            assert!(bad.is_closed().await);
            served.client.say(GET).await;
            good.hear().await;
            good.say(OK).await;
            assert!(served.client.hear().await.ends_with("ok"), "{answer:?}");
        });
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        let line = format!("x: {}\r\n", "y".repeat(1000));
        let endless = "HTTP/1.1 200 OK\r\n".to_owned() + &line.repeat(1000);
        // Fails when the proxy has had enough.
        let _ = endpoint.stream.write_all(endless.as_bytes()).await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
    });
}

#[test]
fn malformed_chunks_break_the_answer_off_and_end_nothing() {
    for chunks in ["4\r\nfour\r\nx\r\n", "4\r\nfour!\r\n", "4\r\nfour\n0\r\n\r\n"] {
        run(async {
            let (mut served, mut endpoint) = Served::asked().await;
            endpoint
                .say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            let mut told = served.client.hear().await;
            endpoint.say(chunks).await;
            told += &served.client.hear_all().await.0;
            assert!(!told.contains("0\r\n\r\n"), "{told}");
            assert!(served.client.was_reset(), "{chunks:?}");
            assert_eq!(served.failed(Reason::UpstreamMalformed), 1);
        });
    }
}

#[test]
fn a_connection_that_the_endpoint_wants_closed_is_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ] {
        run(async {
            let (mut served, mut endpoint) = Served::asked().await;
            endpoint.say(answer).await;
            let told = served.client.hear().await;
            assert!(told.ends_with("ok") && !told.contains("close"), "{told}");
            assert!(endpoint.is_closed().await);
        });
    }
}

#[test]
fn a_request_on_a_dead_connection_is_sent_again_only_where_that_is_safe() {
    // The second connection is made anew, and nobody listens: what is answered tells which it was.
    for (request, reason) in [
        (GET, "connect_failed"),
        ("PUT / HTTP/1.1\r\nhost: a\r\n\r\n", "connect_failed"),
        ("POST / HTTP/1.1\r\nhost: a\r\n\r\n", "upstream_reset"),
        (
            "PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi",
            "upstream_reset",
        ),
    ] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint();
            served.client.say(request).await;
            endpoint.hear().await;
            drop(endpoint);
            let told = served.client.hear().await;
            let reason = format!("\r\nx-sluice-reason: {reason}\r\n");
            assert!(told.contains(&reason), "{request:?}: {told}");
        });
    }
}
