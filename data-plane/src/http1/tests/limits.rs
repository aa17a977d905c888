//! What a listener's limits do.

use super::*;

fn limited(change: impl FnOnce(&mut v1::Limits)) -> Site {
    let mut limits = v1::Limits::default();
    change(&mut limits);
    site(limits)
}

/// What a client is told, and the reason that it is told for.
async fn told(served: &mut Served, request: impl AsRef<[u8]>) -> (String, String) {
    served.client.say(request).await;
    let told = served.client.hear().await;
    let mut lines = told.lines();
    let status = lines.next().unwrap_or("")[9..12].to_owned();
    let reason = lines.find_map(|line| line.strip_prefix("x-sluice-reason: "));
    (status, reason.unwrap_or("").to_owned())
}

#[test]
fn a_head_that_is_too_large_is_refused_by_what_is_too_large_in_it() {
    let long = "x".repeat(300);
    for (request, status, reason) in [
        (
            format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
            "414",
            "uri_too_long",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
            "431",
            "head_too_long",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n".to_owned(),
            "431",
            "too_many_headers",
        ),
    ] {
        run(async {
            let mut served = Served::start(&limited(|limits| {
                (limits.header_bytes, limits.header_count, limits.uri_bytes) = (256, 3, 100);
            }));
            let told = told(&mut served, request).await;
            assert_eq!(told, (status.to_owned(), reason.to_owned()));
            assert!(served.client.is_closed().await);
            let counts = served.counted().reasons.0;
            assert_eq!(counts.iter().sum::<u64>(), 1);
        });
    }
}

#[test]
fn a_body_that_says_that_it_is_too_large_never_reaches_an_endpoint() {
    run(async {
        let mut served = Served::start(&limited(|limits| limits.body_bytes = 4));
        let mut endpoint = served.endpoint();
        let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
        let told = told(&mut served, request).await;
        assert_eq!(told, ("413".into(), "body_too_large".into()));
        assert_eq!(endpoint.hear().await, "");
    });
}

#[test]
fn a_body_that_turns_out_too_large_is_cut() {
    run(async {
        let mut served = Served::start(&limited(|limits| limits.body_bytes = 4));
        let mut endpoint = served.endpoint();
        let request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n";
        served.client.say(request).await;
        assert!(endpoint.hear().await.ends_with("four\r\n"));
        let told = told(&mut served, "1\r\n!\r\n").await;
        assert_eq!(told, ("413".into(), "body_too_large".into()));
        // Not a byte more, and no end.
        assert_eq!(endpoint.hear().await, "");
        assert!(endpoint.is_closed().await);
    });
}

#[test]
fn the_last_request_of_a_connection_is_answered_and_told_so() {
    run(async {
        let mut served = Served::start(&limited(|limits| limits.requests_per_connection = 2));
        let mut endpoint = served.endpoint();
        served.client.say(GET.repeat(3)).await;
        for last in [false, true] {
            endpoint.hear().await;
            endpoint.say(OK).await;
            let told = served.client.hear().await;
            assert!(told.ends_with("ok"), "{told}");
            assert_eq!(told.contains("\r\nconnection: close\r\n"), last, "{told}");
        }
        assert!(served.client.is_closed().await);
        assert_eq!(endpoint.hear().await, "");
    });
}

#[test]
fn without_memory_new_requests_are_refused_and_those_under_way_go_on() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        served.worker.overload.store(true, Ordering::Relaxed);
        endpoint.say(OK).await;
        let told = served.client.hear().await;
        assert!(told.ends_with("ok") && told.contains("\r\nconnection: close\r\n"));

        let mut served = Served::start(&site(v1::Limits::default()));
        served.worker.overload.store(true, Ordering::Relaxed);
        served.client.say(GET).await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
        assert!(told.contains("\r\nretry-after: 1\r\n") && told.contains("\r\nconnection: close\r\n"));
        assert_eq!(served.failed(Reason::Overloaded), 1);
    });
}

/// Writes to `end` until nobody takes more. Returns how much that was.
async fn fill(end: &mut End) -> usize {
    let piece = [b'x'; 1024];
    let mut taken = 0;
    while let Ok(written) = timeout(MOMENT, end.stream.write(&piece)).await {
        taken += written.unwrap();
        assert!(taken < 10_000_000, "nothing holds it up");
    }
    taken
}

#[test]
fn a_body_that_nobody_takes_is_held_up_and_not_gathered() {
    const HELD: usize = 2 * BUFFER + 256 * 1024;
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        served
            .client
            .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
            .await;
        let held = fill(&mut served.client).await;
        assert!(held < HELD, "{held} bytes of a request");
        endpoint
            .say("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            .await;
        let held = fill(&mut endpoint).await;
        assert!(held < HELD, "{held} bytes of an answer");
    });
}

#[test]
fn a_connection_without_a_request_holds_no_buffer() {
    run(async {
        let (mut served, mut endpoint) = Served::asked().await;
        endpoint.say(OK).await;
        served.client.hear().await;
        let channel = served.channel.upgrade().unwrap();
        let held = channel.with(|inner| inner.pipe.output.capacity() + inner.pipe.input.capacity());
        assert_eq!(held, 0);
    });
}
