//! Peers that take what is written to them piece by piece.

use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ndate: -\r\ntransfer-encoding: chunked\r\n\r\n";

/// Two pieces, each too long to be copied.
fn pieces() -> [String; 2] {
    [("a", 6000), ("b", 5000)].map(|(letter, length)| format!("{length:x}\r\n{}\r\n", letter.repeat(length)))
}

#[test]
fn chunks_stay_in_order_wherever_the_client_stops_reading() {
    let [first, second] = pieces();
    let whole = format!("{CHUNKED}{first}{second}0\r\n\r\n");
    let end = CHUNKED.len() + first.len();
    for room in end - 8..end + 8 {
        run(async {
            let mut served = Served::over(&site(v1::Limits::default()), wire(room), BUFFER);
            let mut endpoint = served.endpoint();
            served.client.say(GET).await;
            endpoint.hear().await;
            endpoint.say(&format!("{CHUNKED}{first}")).await;
            tokio::time::sleep(MOMENT).await;
            endpoint.say(&format!("{second}0\r\n\r\n")).await;
            tokio::time::sleep(MOMENT).await;
            assert_eq!(served.client.hear().await, whole, "{room} bytes of room");
        });
    }
}

#[test]
fn chunks_stay_in_order_wherever_the_endpoint_stops_reading() {
    let [first, second] = pieces();
    let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let sent = "POST / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\ntransfer-encoding: chunked\r\n\r\n";
    let end = sent.len() + first.len();
    for room in end - 8..end + 8 {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint_over(wire(room));
            served.client.say(&format!("{head}{first}")).await;
            tokio::time::sleep(MOMENT).await;
            served.client.say(&format!("{second}0\r\n\r\n")).await;
            tokio::time::sleep(MOMENT).await;
            let whole = format!("{sent}{first}{second}0\r\n\r\n");
            assert_eq!(endpoint.hear().await, whole, "{room} bytes of room");
        });
    }
}

#[test]
fn an_answer_is_not_over_before_the_layer_below_has_let_go_of_it() {
    run(async {
        let body = "x".repeat(10_000);
        let over = wire_that_holds(1024, 64 * 1024);
        let mut served = Served::over(&site(v1::Limits::default()), over, BUFFER);
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        endpoint
            .say(format!("HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n{body}"))
            .await;
        tokio::time::sleep(MOMENT).await;
        let told = served.client.hear().await;
        assert!(told.ends_with(&body), "{} bytes came", told.len());
        // And the connection goes on.
        let mut next = served.endpoint();
        served.client.say(GET).await;
        next.hear().await;
        next.say(OK).await;
        assert!(served.client.hear().await.ends_with("ok"));
    });
}

#[test]
fn a_request_is_sent_to_its_end_through_a_layer_that_holds_it_back() {
    run(async {
        let body = "x".repeat(10_000);
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint_over(wire_that_holds(1024, 64 * 1024));
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n";
        served.client.say(format!("{head}{body}")).await;
        tokio::time::sleep(MOMENT).await;
        let asked = endpoint.hear().await;
        assert!(asked.ends_with(&body), "{} bytes came", asked.len());
        endpoint.say(OK).await;
        assert!(served.client.hear().await.ends_with("ok"));
    });
}

#[test]
fn what_a_client_is_told_instead_of_a_broken_answer_is_whole_however_it_reads() {
    run(async {
        let mut served = Served::over(&site(v1::Limits::default()), wire(64), BUFFER);
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        endpoint.say(format!("{CHUNKED}x\r\n")).await;
        let (told, _) = served.client.hear_all().await;
        assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
        assert!(told.ends_with("}\n"), "{told}");
        assert!(!served.client.was_reset());
        assert_eq!(served.failed(Reason::UpstreamMalformed), 1);
    });
}

#[test]
fn a_body_that_was_lost_on_a_dead_connection_is_not_replaced_by_none() {
    run(async {
        // So long a head is written before the body is looked at.
        let long = "x".repeat(20_000);
        let mut served = Served::start(&site(v1::Limits::default()));
        let endpoint = served.endpoint_over(wire(1024));
        let head = format!("PUT / HTTP/1.1\r\nhost: a\r\nx-long: {long}\r\ncontent-length: 2\r\n\r\nhi");
        served.client.say(head).await;
        tokio::time::sleep(MOMENT).await;
        drop(endpoint);
        let told = served.client.hear().await;
        // The second connection is made anew, and nobody listens: it would be `connect_failed`.
        assert!(told.contains("\r\nx-sluice-reason: upstream_reset\r\n"), "{told}");
        assert_eq!(served.counted().retries, 0);
    });
}
