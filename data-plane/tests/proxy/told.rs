//! Requests with a debug token: told what became of them, by the code that answered them, and nobody else is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, Response, StatusCode};
use serde_json::Value;
use sluice_proto::v1;
use sluice_tls::{DebugToken, Signer};

use crate::{
    client::{Answer, empty, full, read},
    edge::{Edge, HISTORY},
    experiments, http2,
    snapshot::Site,
    upstream::{Upstream, nobody},
};

const PATIENCE: Duration = Duration::from_secs(20);

fn signer() -> Signer {
    Signer::new(&Signer::generate().unwrap()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tokens hold by the wall clock")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn token(signer: &Signer, host: &str) -> String {
    let token = DebugToken {
        expires_at: now() + Duration::from_secs(600),
        host: host.into(),
    };
    token.sign(signer, &HISTORY.0)
}

fn asking(uri: &str, token: &str) -> Request<crate::client::Body> {
    Request::get(uri)
        .header("host", "shop.example")
        .header("sluice-debug", token)
        .body(empty())
        .unwrap()
}

async fn ask(edge: &Edge, token: &str) -> Answer {
    edge.client().await.send(asking("/a", token)).await
}

/// A proxy that trusts `signer`.
async fn trusting(site: &Site, signer: &Signer) -> Edge {
    let edge = Edge::start(site).await;
    let signing_keys = vec![signer.public_key().to_vec()];
    edge.control.trust(signing_keys).await;
    let (start, token) = (tokio::time::Instant::now(), token(signer, ""));
    while !ask(&edge, &token)
        .await
        .headers
        .contains_key("sluice-explanation")
    {
        assert!(start.elapsed() < PATIENCE, "it never trusts");
        tokio::task::yield_now().await;
    }
    edge
}

fn told(answer: &Answer) -> Value {
    let line = answer.header("sluice-explanation");
    assert!(line.len() <= 4096, "{}", line.len());
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn a_request_with_a_token_is_told_and_its_upstream_is_not_shown_the_token() {
    let (upstream, ours) = (Upstream::echoing().await, signer());
    let edge = trusting(&Site::to(&[&upstream.name()]), &ours).await;
    let check = |answer: &Answer| {
        let told = told(answer);
        assert_eq!(told["taken"]["status"], 200, "{told}");
        assert_eq!(told["taken"]["backend"], "backend/default/web");
        assert_eq!(told["taken"]["endpoint"], upstream.name());
        assert_eq!(told["taken"]["attempts"], 1);
        assert_eq!(told["listener"], "listener/default/edge/http");
        assert_eq!(told["decision"]["outcome"], "split");
        assert_eq!(told["revision"], edge.snapshot.position().revision.0);
        assert!(!answer.body.contains("sluice-debug"), "{}", answer.body);
    };
    check(&ask(&edge, &token(&ours, "")).await);
    check(&ask(&edge, &token(&ours, "shop.example")).await);
    let mut client = http2::connect(edge.address).await;
    let request = asking("http://shop.example/a", &token(&ours, ""));
    check(&read(client.send_request(request).await.unwrap()).await);
}

#[tokio::test]
async fn a_token_that_does_not_hold_is_as_if_there_were_none() {
    let (upstream, ours) = (Upstream::echoing().await, signer());
    let edge = trusting(&Site::to(&[&upstream.name()]), &ours).await;
    let plain = edge.client().await.get("/a").await;
    let ignored = async || {
        let metrics = edge.admin("/metrics").await.body;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("sluice_debug_ignored_total "));
        line.unwrap().parse::<usize>().unwrap()
    };
    let before = ignored().await;
    let of = |after: i64, history: [u8; 16], signer: &Signer| {
        let expires_at = Duration::from_secs(now().as_secs().saturating_add_signed(after));
        let token = DebugToken {
            expires_at,
            host: "".into(),
        };
        token.sign(signer, &history)
    };
    let mut forged = token(&ours, "");
    let last = if forged.ends_with('A') { 'Q' } else { 'A' };
    forged.pop();
    forged.push(last);
    let wrong = [
        ("expired", of(-1, HISTORY.0, &ours)),
        ("for longer than any may", of(7_200, HISTORY.0, &ours)),
        ("of another history", of(600, [9; 16], &ours)),
        ("of somebody else", of(600, HISTORY.0, &signer())),
        ("for another host", token(&ours, "other.example")),
        ("forged", forged),
        ("nothing at all", "xyz".to_owned()),
        ("empty", String::new()),
    ];
    let mut client = http2::connect(edge.address).await;
    for (what, token) in &wrong {
        let request = asking("http://shop.example/a", token);
        let over_http2 = read(client.send_request(request).await.unwrap()).await;
        for answer in [ask(&edge, token).await, over_http2] {
            assert!(!answer.headers.contains_key("sluice-explanation"), "{what}");
            assert_eq!(
                (answer.status, &answer.body),
                (plain.status, &plain.body),
                "{what}"
            );
        }
    }
    assert_eq!(ignored().await, before + 2 * wrong.len());
}

#[tokio::test]
async fn what_is_answered_here_is_explained_too() {
    let ours = signer();
    let (mut site, token) = (Site::to(&[&nobody()]), token(&ours, ""));
    site.rule.matches = vec![v1::Match {
        path: Some(v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: "/a".into(),
        }),
        ..v1::Match::default()
    }];
    let edge = trusting(&site, &ours).await;
    let refused = told(&ask(&edge, &token).await);
    assert_eq!(refused["taken"]["status"], 502, "{refused}");
    assert_eq!(refused["taken"]["reason"], "connect_failed");

    let mut client = edge.client().await;
    let unrouted = client.send(asking("/other", &token)).await;
    assert_eq!(unrouted.status, StatusCode::NOT_FOUND);
    let unrouted = told(&unrouted);
    assert_eq!(unrouted["decision"]["outcome"], "noRoute");
    assert_eq!(unrouted["taken"]["attempts"], 0);
    assert_eq!(unrouted["nearMisses"][0]["detail"], "/other is not below /a");

    let malformed = client.send(asking("/%zz", &token)).await;
    assert_eq!(malformed.status, StatusCode::BAD_REQUEST);
    assert_eq!(told(&malformed)["taken"]["reason"], "bad_path");

    site.rule.redirect = Some(v1::Redirect {
        scheme: "https".into(),
        status: 301,
        ..v1::Redirect::default()
    });
    // Where snapshots are signed, one that is not changes nothing; so it is another proxy.
    let moving = trusting(&site, &ours).await;
    let moved = ask(&moving, &token).await;
    assert_eq!(told(&moved)["decision"]["location"], moved.header("location"));
    assert_eq!(told(&moved)["taken"]["status"], 301);
}

#[tokio::test]
async fn the_variant_that_is_told_is_the_one_that_was_served() {
    let (upstream, ours) = (Upstream::echoing().await, signer());
    let edge = trusting(&experiments::site(&upstream), &ours).await;
    let token = token(&ours, "");
    let mut seen = std::collections::BTreeSet::new();
    // A worker verifies 50 tokens a second.
    for _ in 0..20 {
        let answer = ask(&edge, &token).await;
        let told = told(&answer);
        let variant = told["decision"]["variant"].as_str().unwrap();
        assert_eq!(variant, experiments::told(&answer), "{told}");
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        let again = Request::get("/a")
            .header("host", "shop.example")
            .header("cookie", cookie)
            .header("sluice-debug", &token)
            .body(empty())
            .unwrap();
        let again = edge.client().await.send(again).await;
        let slot = |answer: &Answer| self::told(answer)["decision"]["slot"].clone();
        assert_eq!(slot(&again), slot(&answer));
        seen.insert(variant.to_owned());
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn an_upstream_cannot_put_words_into_the_proxys_mouth() {
    let upstream = Upstream::http1(|_| async {
        Response::builder()
            .header("sluice-explanation", "lies")
            .body(full("ok"))
            .unwrap()
    })
    .await;
    let ours = signer();
    let edge = trusting(&Site::to(&[&upstream.name()]), &ours).await;
    let answer = ask(&edge, &token(&ours, "")).await;
    assert_eq!(answer.headers.get_all("sluice-explanation").iter().count(), 1);
    assert_eq!(told(&answer)["taken"]["status"], 200);
}
