//! How long a client may take. Deadlines are kept to a tick, and looked at on a clock that is moved.

use super::*;
use crate::worker::TICK;

/// As a listener's limits have them when nothing is set.
const HEAD: Duration = Duration::from_secs(15);
const BODY: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(75);
/// What a deadline may be late, and a second for whoever looks.
const SLACK: Duration = Duration::from_millis(1000 + 2 * TICK.as_millis() as u64);

fn about(took: Duration, due: Duration) {
    assert!(took >= due && took <= due + SLACK, "{took:?} instead of {due:?}");
}

fn start() -> Served {
    Served::start(&site(v1::Limits::default()))
}

/// A client with an upload under way.
async fn uploading() -> (Served, End) {
    let mut served = start();
    let mut endpoint = served.endpoint();
    served
        .client
        .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n")
        .await;
    endpoint.hear().await;
    (served, endpoint)
}

/// A client with an answer under way that is longer than what fits into its connection.
async fn downloading() -> (Served, End) {
    let mut served = Served::with_buffer(&site(v1::Limits::default()), 4096);
    let mut endpoint = served.endpoint();
    served.client.say(GET).await;
    endpoint.hear().await;
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n";
    endpoint.say(head).await;
    assert!(served.client.hear().await.contains("content-length: 10000000"));
    (served, endpoint)
}

/// Says as much as is taken, for as long as the connection stands.
fn keep_talking(mut end: End) -> JoinHandle<()> {
    spawn_local(async move {
        let bytes = vec![b'x'; 10_000_000];
        // Fails when the other side has had enough.
        let _ = end.stream.write_all(&bytes).await;
    })
}

#[test]
fn a_client_that_says_nothing_is_let_go_without_a_word() {
    run(async {
        let (told, took) = start().client.hear_all().await;
        assert_eq!(told, "");
        about(took, HEAD);
    });
}

#[test]
fn a_head_must_be_whole_in_time_however_it_dribbles_in() {
    run(async {
        let mut served = start();
        let began = Instant::now();
        let mut told = String::new();
        for byte in GET.bytes() {
            served.client.say([byte]).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            told = served.client.hear().await;
            if !told.is_empty() {
                break;
            }
        }
        about(began.elapsed(), HEAD);
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        assert_eq!(served.failed(Reason::HeadTimeout), 1);
    });
}

#[test]
fn the_time_of_a_later_head_begins_with_its_first_byte() {
    run(async {
        let mut served = start();
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        endpoint.say(OK).await;
        served.client.hear().await;
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        served.client.say("G").await;
        let (told, took) = served.client.hear_all().await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        about(took, HEAD);
    });
}

#[test]
fn a_client_without_a_request_is_let_go_after_a_while() {
    run(async {
        let mut served = start();
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        endpoint.say(OK).await;
        served.client.hear().await;
        let (told, took) = served.client.hear_all().await;
        assert_eq!(told, "");
        about(took, IDLE);
    });
}

#[test]
fn a_body_that_stops_is_given_up() {
    run(async {
        let (mut served, mut endpoint) = uploading().await;
        tokio::time::sleep(BODY / 2).await;
        // Enough for the average.
        served.client.say("x".repeat(4000)).await;
        let (told, took) = served.client.hear_all().await;
        about(took, BODY);
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        assert_eq!(served.failed(Reason::BodyTimeout), 1);
        endpoint.hear().await;
        assert!(endpoint.is_closed().await);
    });
}

#[test]
fn a_body_that_dribbles_in_is_given_up_and_a_slow_one_is_not() {
    for (bytes, slow) in [(99, true), (101, false)] {
        run(async {
            let (mut served, mut endpoint) = uploading().await;
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if served.client.stream.write_all(&vec![b'x'; bytes]).await.is_err() {
                    break;
                }
                endpoint.hear().await;
            }
            assert_eq!(
                served.failed(Reason::BodyTooSlow),
                u64::from(slow),
                "{bytes} per second"
            );
            assert_eq!(endpoint.is_closed().await, slow);
        });
    }
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    run(async {
        let (served, endpoint) = downloading().await;
        let began = Instant::now();
        keep_talking(endpoint).await.unwrap();
        about(began.elapsed(), BODY);
        assert!(served.life.is_finished());
        assert_eq!(served.counted().slow_readers, 1);
    });
}

#[test]
fn a_client_that_sips_at_its_answer_is_cut_off_and_a_slow_one_is_not() {
    for (bytes, slow) in [(50, true), (150, false)] {
        run(async {
            let (mut served, endpoint) = downloading().await;
            let endpoint = keep_talking(endpoint);
            let mut sip = vec![0; bytes];
            for _ in 0..150 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if served.client.stream.read_exact(&mut sip).await.is_err() {
                    break;
                }
            }
            assert_eq!(endpoint.is_finished(), slow, "{bytes} per second");
            assert_eq!(served.counted().slow_readers, u64::from(slow));
        });
    }
}

#[test]
fn a_client_is_not_blamed_for_an_endpoint_that_pauses() {
    run(async {
        let (mut served, mut endpoint) = downloading().await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(600)).await;
            endpoint.say("some").await;
            assert_eq!(served.client.hear().await, "some");
        }
        assert_eq!(served.counted().slow_readers, 0);
    });
}

#[test]
fn a_long_upload_takes_no_time_from_the_endpoints_answer() {
    run(async {
        let mut served = start();
        let mut endpoint = served.endpoint();
        served
            .client
            .say("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 40000\r\n\r\n")
            .await;
        for _ in 0..40 {
            served.client.say("x".repeat(1000)).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            endpoint.hear().await;
        }
        endpoint.say(OK).await;
        let told = served.client.hear().await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    });
}

#[test]
fn an_endpoint_that_does_not_answer_is_given_up() {
    run(async {
        let mut served = start();
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        endpoint.hear().await;
        let began = Instant::now();
        let mut told = String::new();
        while told.is_empty() {
            tokio::time::sleep(TICK).await;
            told = served.client.hear().await;
        }
        about(began.elapsed(), crate::config::Timeouts::default().response_head);
        assert!(told.starts_with("HTTP/1.1 504 "), "{told}");
        assert!(endpoint.is_closed().await);
    });
}

/// A site whose rule gives these milliseconds to a request, and to an attempt at it.
fn ruled(request_timeout_ms: u64, backend_request_timeout_ms: u64) -> Site {
    let mut site = site(v1::Limits::default());
    site.rule.request_timeout_ms = request_timeout_ms;
    site.rule.backend_request_timeout_ms = backend_request_timeout_ms;
    site
}

#[test]
fn a_request_has_the_time_that_its_rule_gives_and_so_has_an_attempt() {
    for (site, reason) in [
        (ruled(5_000, 0), Reason::RequestTimeout),
        (ruled(0, 5_000), Reason::ResponseTimeout),
    ] {
        run(async {
            let mut served = Served::start(&site);
            let mut endpoint = served.endpoint();
            served.client.say(GET).await;
            let began = Instant::now();
            endpoint.hear().await;
            let mut told = String::new();
            while told.is_empty() {
                tokio::time::sleep(TICK).await;
                told = served.client.hear().await;
            }
            about(began.elapsed(), Duration::from_secs(5));
            assert!(told.starts_with("HTTP/1.1 504 "), "{told}");
            assert_eq!(served.failed(reason), 1);
            assert!(endpoint.is_closed().await);
        });
    }
}

#[test]
fn an_answer_that_goes_on_for_longer_than_its_rule_allows_is_cut() {
    run(async {
        let mut served = Served::start(&ruled(5_000, 0));
        let mut endpoint = served.endpoint();
        served.client.say(GET).await;
        let began = Instant::now();
        endpoint.hear().await;
        endpoint
            .say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
            .await;
        let (told, _) = served.client.hear_all().await;
        about(began.elapsed(), Duration::from_secs(5));
        assert!(
            told.starts_with("HTTP/1.1 200 ") && told.ends_with("\r\n\r\nhalf"),
            "{told}"
        );
        assert!(endpoint.is_closed().await);
    });
}
