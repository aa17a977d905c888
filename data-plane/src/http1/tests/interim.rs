//! 1xx: 100 is ours, 101 only when asked for, the others pass.

use super::*;

#[test]
fn a_client_that_waits_is_asked_for_its_body_once_somebody_takes_it() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
        served.client.say(head).await;
        assert_eq!(served.client.hear().await, "HTTP/1.1 100 Continue\r\n\r\n");
        served.client.say("hi").await;
        let asked = endpoint.hear().await;
        assert!(
            asked.ends_with("\r\n\r\nhi") && !asked.contains("expect"),
            "{asked}"
        );
        endpoint.say(OK).await;
        assert!(served.client.hear().await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn a_client_whose_body_nobody_wants_is_not_asked_for_it() {
    run(async {
        let limits = v1::Limits {
            body_bytes: 9,
            ..v1::Limits::default()
        };
        let mut served = Served::start(&site(limits));
        let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n";
        served.client.say(head).await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 413 "), "{told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
    });
}

#[test]
fn nobody_is_asked_for_a_body_once_the_answer_has_begun() {
    run(async {
        // The head does not fit into the connection to the endpoint, which answers before it has
        // read it: only then somebody looks at the body.
        let mut served = Served::with_buffer(&site(v1::Limits::default()), 1024);
        let mut endpoint = served.endpoint();
        let long = "x".repeat(20_000);
        let head = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nx-long: {long}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        served.client.say(&head).await;
        tokio::time::sleep(MOMENT).await;
        endpoint
            .say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n")
            .await;
        let mut told = served.client.hear().await;
        assert!(endpoint.hear().await.contains(&long));
        endpoint.say("4\r\n way\r\n0\r\n\r\n").await;
        told += &served.client.hear().await;
        assert!(
            told.ends_with("0\r\n\r\n") && !told.contains("100 Continue"),
            "{told}"
        );
        assert!(told.contains("\r\nconnection: close\r\n"), "{told}");
    });
}

#[test]
fn hints_reach_a_client_that_knows_of_them_and_no_other() {
    for (version, passed) in [("1.1", true), ("1.0", false)] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint();
            served
                .client
                .say(format!("GET / HTTP/{version}\r\nhost: a\r\n\r\n"))
                .await;
            endpoint.hear().await;
            endpoint
                .say("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\nconnection: x\r\n\r\n")
                .await;
            let hinted = served.client.hear().await;
            let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
            assert_eq!(hinted, if passed { hint } else { "" });
            // What the endpoint says of 100 is not for the client: it was asked already.
            endpoint
                .say("HTTP/1.1 100 Continue\r\n\r\n".to_owned() + OK)
                .await;
            assert!(served.client.hear().await.starts_with("HTTP/1.1 200"));
        });
    }
}

#[test]
fn an_endpoint_that_only_ever_hints_is_given_up() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        endpoint.say("HTTP/1.1 102 Processing\r\n\r\n".repeat(17)).await;
        let told = served.client.hear().await;
        assert!(told.contains("HTTP/1.1 502 "), "{told}");
        assert_eq!(served.failed(Reason::UpstreamMalformed), 1);
        assert!(endpoint.is_closed().await);
    });
}

#[test]
fn a_protocol_that_nobody_asked_for_is_not_switched_to() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        endpoint
            .say("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
            .await;
        assert!(served.client.hear().await.starts_with("HTTP/1.1 502 "));
        assert!(endpoint.is_closed().await);
    });
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways_also_those_that_came_early() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        served.client.say(format!("{upgrade}early")).await;
        let asked = endpoint.hear().await;
        assert!(asked.contains("\r\nupgrade: websocket\r\n") && !asked.contains("early"));
        endpoint
            .say("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\ntoo")
            .await;
        let told = served.client.hear().await;
        assert!(
            told.starts_with("HTTP/1.1 101 ") && told.ends_with("\r\n\r\ntoo"),
            "{told}"
        );
        assert_eq!(endpoint.hear().await, "early");
        served.client.say("ping").await;
        endpoint.say("pong").await;
        assert_eq!(endpoint.hear().await, "ping");
        assert_eq!(served.client.hear().await, "pong");
        drop(endpoint);
        assert!(served.client.is_closed().await);
    });
}

#[test]
fn an_upgrade_to_h2c_is_neither_asked_for_nor_seen() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        let upgrade = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
                       http2-settings: AAMAAABkAAQAAP__\r\n\r\n";
        served.client.say(upgrade).await;
        let asked = endpoint.hear().await;
        assert!(
            !asked.contains("upgrade") && !asked.contains("settings"),
            "{asked}"
        );
        endpoint.say(OK).await;
        assert!(served.client.hear().await.starts_with("HTTP/1.1 200"));
    });
}
