//! Requests that ask for another protocol.

use super::*;

const SWITCH: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: line\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: line\r\n\r\n";

#[test]
fn what_is_said_ahead_on_both_sides_comes_through_in_order() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served.client.say(format!("{SWITCH}early ")).await;
        assert!(endpoint.hear().await.contains("\r\nupgrade: line\r\n"));
        endpoint.say(format!("{SWITCHED}first ")).await;
        assert_eq!(endpoint.hear().await, "early ");
        served.client.say("late").await;
        assert_eq!(endpoint.hear().await, "late");
        endpoint.say("second").await;
        assert!(served.client.hear().await.ends_with("\r\n\r\nfirst second"));
    });
}

#[test]
fn what_follows_a_switch_that_was_declined_is_the_next_request() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served.client.say(format!("{SWITCH}{GET}")).await;
        endpoint.hear().await;
        endpoint.say(OK).await;
        let next = endpoint.hear().await;
        assert!(next.starts_with("GET / ") && !next.contains("upgrade"), "{next}");
        endpoint.say(OK).await;
        assert_eq!(served.client.hear().await.matches("HTTP/1.1 200 ").count(), 2);
    });
}

#[test]
fn a_switch_before_the_request_was_sent_is_no_answer() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint_over(wire(1024));
        let long = format!("x-long: {}\r\n\r\n", "x".repeat(2000));
        served
            .client
            .say(SWITCH.replace("\r\n\r\n", "\r\n") + &long)
            .await;
        tokio::time::sleep(MOMENT).await;
        endpoint.say(SWITCHED).await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
    });
}

#[test]
fn a_request_with_a_body_cannot_switch() {
    for body in [
        "content-length: 2\r\n\r\nhi",
        "transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint();
            let head = SWITCH.trim_end().replace("GET", "POST");
            served.client.say(format!("{head}\r\n{body}")).await;
            let asked = endpoint.hear().await;
            assert!(!asked.contains("upgrade"), "{asked}");
            endpoint.say(SWITCHED).await;
            let told = served.client.hear().await;
            assert!(told.starts_with("HTTP/1.1 502 "), "{told}");
            assert!(endpoint.is_closed().await);
        });
    }
}
