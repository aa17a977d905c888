//! Who closes when, and what the other side is told.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";

#[test]
fn a_client_that_leaves_takes_its_request_back_at_once() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        let start = Instant::now();
        served.client.stream.shutdown().await.unwrap();
        assert!(endpoint.is_closed().await);
        assert!(start.elapsed() <= MOMENT);
        assert_eq!(served.failed(Reason::ClientAbort), 1);
    });
}

#[test]
fn a_client_that_leaves_in_its_body_takes_its_request_back_at_once() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served.client.say(format!("{POST}some")).await;
        assert!(endpoint.hear().await.ends_with("some"));
        served.client.stream.shutdown().await.unwrap();
        assert!(endpoint.is_closed().await);
        assert_eq!(served.failed(Reason::RequestBody), 1);
    });
}

#[test]
fn a_client_that_leaves_in_its_answer_frees_the_endpoint_at_once() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        endpoint
            .say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour")
            .await;
        assert!(served.client.hear().await.ends_with("four"));
        served.client.stream.shutdown().await.unwrap();
        assert!(endpoint.is_closed().await);
        assert_eq!(served.failed(Reason::ClientAbort), 1);
    });
}

#[test]
fn an_endpoint_that_closes_instead_of_answering_is_told_at_once() {
    for (said, reason) in [
        ("", Reason::UpstreamReset),
        ("HTTP/1.1 200 O", Reason::UpstreamTruncated),
    ] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint();
            served.client.say("POST / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            endpoint.hear().await;
            endpoint.say(said).await;
            drop(endpoint);
            let told = served.client.hear().await;
            assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
            assert_eq!(served.failed(reason), 1);
            // The client may go on.
            let mut next = served.endpoint();
            served.client.say(GET).await;
            next.hear().await;
            next.say(OK).await;
            assert!(served.client.hear().await.ends_with("ok"));
        });
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_ends_in_order() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        endpoint.say("HTTP/1.1 200 OK\r\n\r\nall").await;
        let begun = served.client.hear().await;
        assert!(begun.ends_with("\r\n3\r\nall\r\n"), "{begun}");
        drop(endpoint);
        assert_eq!(served.client.hear().await, "0\r\n\r\n");
        assert!(!served.life.is_finished());
    });
}

#[test]
fn an_answer_that_breaks_off_never_looks_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n",
    ] {
        run(async {
            let (mut served, mut endpoint) = Served::asked().await;
            endpoint.say(answer).await;
            let mut told = served.client.hear().await;
            drop(endpoint);
            told += &served.client.hear_all().await.0;
            assert!(told.contains("four") && !told.ends_with("0\r\n\r\n"), "{told}");
            assert!(served.client.was_reset());
            assert_eq!(served.failed(Reason::UpstreamTruncated), 1);
        });
    }
}

#[test]
fn an_idle_connection_that_has_closed_or_speaks_unasked_is_not_used() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut good = served.endpoint();
        let mut chatty = served.endpoint();
        let dead = served.endpoint();
        drop(dead);
        chatty
            .say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
            .await;
        served.client.say(GET).await;
        assert!(good.hear().await.starts_with("GET"));
        good.say(OK).await;
        assert!(served.client.hear().await.ends_with("ok"));
        assert_eq!(chatty.hear().await, "");
    });
}

#[test]
fn what_follows_an_answer_is_never_the_next_clients_answer() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut good = served.endpoint();
        let mut poisoned = served.endpoint();
        served.client.say(GET).await;
        poisoned.hear().await;
        poisoned.say(format!("{OK}{OK}").replace("ok", "no")).await;
        assert!(served.client.hear().await.ends_with("no"));
        served.client.say(GET).await;
        assert!(good.hear().await.starts_with("GET"));
        good.say(OK).await;
        assert!(served.client.hear().await.ends_with("ok"));
    });
}

#[test]
fn an_answer_that_comes_before_the_body_is_delivered_and_both_connections_end() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served.client.say(format!("{POST}some")).await;
        endpoint.hear().await;
        endpoint
            .say("HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\n\r\nmuch")
            .await;
        let told = served.client.hear().await;
        assert!(
            told.starts_with("HTTP/1.1 413 ") && told.ends_with("much"),
            "{told}"
        );
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        assert!(endpoint.is_closed().await);
        // The client may still be sending; it must not lose the answer for that.
        served.client.say("more").await;
        assert!(served.client.is_closed().await);
        assert!(!served.life.is_finished());
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(served.life.is_finished());
    });
}

#[test]
fn a_client_may_go_on_after_an_early_answer_when_little_of_its_body_is_left() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut late = served.endpoint();
        let mut early = served.endpoint();
        served
            .client
            .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nfour")
            .await;
        early.hear().await;
        early.say(OK).await;
        let told = served.client.hear().await;
        assert!(told.ends_with("ok") && !told.contains("close"), "{told}");
        served.client.say(format!("_five{GET}")).await;
        let asked = late.hear().await;
        assert!(asked.starts_with("GET / ") && early.is_closed().await, "{asked}");
    });
}

#[test]
fn an_answer_may_depend_on_the_rest_of_its_request() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served
            .client
            .say("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        endpoint.hear().await;
        endpoint
            .say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        served.client.hear().await;
        for _ in 0..3 {
            served.client.say("4\r\nping\r\n").await;
            assert_eq!(endpoint.hear().await, "4\r\nping\r\n");
            endpoint.say("4\r\npong\r\n").await;
            assert_eq!(served.client.hear().await, "4\r\npong\r\n");
        }
        served.client.say("0\r\n\r\n").await;
        assert_eq!(endpoint.hear().await, "0\r\n\r\n");
        endpoint.say("0\r\n\r\n").await;
        assert_eq!(served.client.hear().await, "0\r\n\r\n");
    });
}

#[test]
fn what_cannot_be_a_request_is_answered_and_what_follows_is_thrown_away() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served
            .client
            .say(format!("GET / HTTP/1.1\r\nhost : a\r\n\r\n{GET}{GET}"))
            .await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 400 "), "{told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "{told}");
        // It may go on sending for a while, and loses nothing of the answer.
        served.client.say("x".repeat(BUFFER)).await;
        assert!(served.client.is_closed().await);
        drop(served.client);
        tokio::time::sleep(MOMENT).await;
        assert!(served.life.is_finished());
        assert_eq!(endpoint.hear().await, "");
    });
}

#[test]
fn a_client_that_was_told_to_go_cannot_send_for_ever() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        served.client.say("nonsense\r\n\r\n").await;
        served.client.hear().await;
        let all = vec![b'x'; 1 << 20];
        let sent = timeout(Duration::from_secs(9), served.client.stream.write_all(&all));
        assert!(sent.await.unwrap().is_err(), "all of it was taken");
    });
}
