//! What goes in one side comes out of the other with the same meaning.

use sluice_http1::{Chunked, Piece};

use super::*;

/// A head, and what follows it without its chunks: data, then trailers.
fn joined(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let (mut chunked, mut rest) = (Chunked::default(), BytesMut::from(body));
    let mut whole = format!("{head}\r\n\r\n");
    loop {
        match chunked.decode(&mut rest).unwrap().expect("the body ends") {
            Piece::Data(data) => whole.push_str(std::str::from_utf8(&data).unwrap()),
            Piece::End(trailers) => {
                assert!(rest.is_empty(), "{rest:?}");
                return whole + &format!("|{trailers:?}");
            }
        }
    }
}

/// What the endpoint and the client hear when each says its pieces one after the other.
async fn exchange(request: &[&str], answer: &[&str], buffer: usize) -> (String, String) {
    let mut served = Served::with_buffer(&site(v1::Limits::default()), buffer);
    let mut endpoint = served.endpoint();
    let (mut asked, mut answered) = (String::new(), String::new());
    let client = &mut served.client;
    for piece in request {
        tokio::join!(client.say(piece), async { asked += &endpoint.hear().await });
    }
    for piece in answer {
        tokio::join!(endpoint.say(piece), async { answered += &client.hear().await });
    }
    (asked, without_date(&answered))
}

fn cuts(message: &str) -> impl Iterator<Item = [&str; 2]> {
    (0..=message.len()).map(|at| message.split_at(at).into())
}

#[test]
fn a_message_of_known_length_means_the_same_wherever_it_is_cut() {
    const REQUEST: &str = "POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Two: 2\r\n\r\nyes";
    run(async {
        let asked = "POST /a?b HTTP/1.1\r\nhost: a\r\nx-one: 1\r\nx-forwarded-for: 192.0.2.1\r\n\
                     x-forwarded-proto: http\r\ncontent-length: 5\r\n\r\nhello";
        let answered = "HTTP/1.1 200 OK\r\nx-two: 2\r\ncontent-length: 3\r\n\r\nyes";
        let right = (asked.to_owned(), answered.to_owned());
        for cut in cuts(REQUEST) {
            assert_eq!(exchange(&cut, &[ANSWER], BUFFER).await, right, "{cut:?}");
        }
        for cut in cuts(ANSWER) {
            assert_eq!(exchange(&[REQUEST], &cut, BUFFER).await, right, "{cut:?}");
        }
        for buffer in 1..8 {
            let through = exchange(&[REQUEST], &[ANSWER], buffer).await;
            assert_eq!(through, right, "{buffer} bytes at a time");
        }
    });
}

#[test]
fn chunks_and_trailers_mean_the_same_wherever_they_are_cut() {
    const REQUEST: &str = "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                           3;x=\"y\"\r\nabc\r\n00002\r\nde\r\n0\r\nx-sum: 5\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                          4\r\nwiki\r\nA\r\n0123456789\r\n0\r\nx-end: yes\r\n\r\n";
    run(async {
        let asked = "PUT / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\n\
                     transfer-encoding: chunked\r\n\r\nabcde|{\"x-sum\": \"5\"}";
        let answered = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                        wiki0123456789|{\"x-end\": \"yes\"}";
        let right = (asked.to_owned(), answered.to_owned());
        let all = cuts(REQUEST)
            .map(|cut| (cut, [ANSWER, ""]))
            .chain(cuts(ANSWER).map(|cut| ([REQUEST, ""], cut)));
        for (request, answer) in all {
            let (asked, answered) = exchange(&request, &answer, BUFFER).await;
            let through = (joined(&asked), joined(&answered));
            assert_eq!(through, right, "{request:?} {answer:?}");
        }
    });
}

#[test]
fn an_answer_without_a_body_leaves_the_connection_usable_whatever_its_head_says() {
    for (method, answer, told) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        ),
    ] {
        run(async {
            let mut served = Served::start(&site(v1::Limits::default()));
            let mut endpoint = served.endpoint();
            for _ in 0..2 {
                served
                    .client
                    .say(format!("{method} / HTTP/1.1\r\nhost: a\r\n\r\n"))
                    .await;
                assert!(endpoint.hear().await.starts_with(method));
                endpoint.say(answer).await;
                assert_eq!(without_date(&served.client.hear().await), told);
            }
        });
    }
}

#[test]
fn a_1_0_client_gets_no_chunks_and_keeps_its_connection_where_a_length_is_known() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        let get = "GET / HTTP/1.0\r\nconnection: keep-alive\r\nhost: a\r\n\r\n";
        served.client.say(get).await;
        endpoint.hear().await;
        endpoint.say(OK).await;
        let told = without_date(&served.client.hear().await);
        assert_eq!(
            told,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok"
        );
        served.client.say(get).await;
        endpoint.hear().await;
        endpoint
            .say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
            .await;
        let (told, _) = served.client.hear_all().await;
        assert_eq!(
            without_date(&told),
            "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok"
        );
    });
}

#[test]
fn requests_sent_ahead_are_asked_and_answered_one_after_the_other() {
    run(async {
        let mut served = Served::start(&site(v1::Limits::default()));
        let mut endpoint = served.endpoint();
        let requests: Vec<_> = ["/1", "/2", "/3"]
            .map(|path| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .into();
        served.client.say(requests.concat()).await;
        for path in ["/1", "/2", "/3"] {
            let asked = endpoint.hear().await;
            assert!(asked.starts_with(&format!("GET {path} ")), "{asked}");
            assert_eq!(asked.matches("GET").count(), 1, "{asked}");
            endpoint.say(OK).await;
            assert!(served.client.hear().await.ends_with("ok"));
        }
    });
}
