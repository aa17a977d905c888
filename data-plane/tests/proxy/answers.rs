//! What reaches the upstream, what reaches the client, and what is refused.

use http::{Method, Request, Response, StatusCode};
use sluice_proto::v1;

use crate::{
    client::{empty, full, raw},
    edge::Edge,
    snapshot::Site,
    upstream::{Upstream, nobody},
};

#[tokio::test]
async fn a_request_arrives_without_what_was_for_this_hop_and_with_what_a_proxy_adds() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let request = Request::get("/a/./b?x=1")
        .header("host", "Shop.Example:80")
        .header("connection", "keep-alive, x-hop")
        .header("x-hop", "1")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-forwarded-proto", "https")
        .header("te", "trailers, deflate")
        .header("accept", "*/*")
        .body(empty())
        .unwrap();
    let answer = edge.client().await.send(request).await;
    let expected = "GET /a/b?x=1\naccept: */*\nconnection: te\nhost: Shop.Example:80\nte: trailers\n\
                    x-forwarded-for: 192.0.2.1, 127.0.0.1\nx-forwarded-proto: http";
    assert_eq!(answer.body, expected);
}

#[tokio::test]
async fn an_answer_arrives_without_what_was_for_the_other_hop() {
    let upstream = Upstream::http1(|_| async {
        Response::builder()
            .status(201)
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .body(full("made"))
            .unwrap()
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let answer = edge.get("/").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::CREATED, "made"));
    for gone in ["connection", "x-hop", "keep-alive"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(answer.headers.get_all("date").iter().count(), 1);
    assert_eq!(answer.header("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn what_goes_wrong_has_a_status_and_a_reason() {
    let site = Site::to(&[]);
    let mut edge = Edge::start(&site).await;
    assert_eq!(edge.get("/").await.reason(), (503, "no_endpoints"));
    edge.apply(&Site::to(&[&nobody()])).await;
    assert_eq!(edge.get("/").await.reason(), (502, "connect_failed"));

    let matches = vec![v1::Match {
        path: Some(v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: "/only".into(),
        }),
        ..v1::Match::default()
    }];
    let rule = v1::Rule {
        matches,
        ..v1::Rule::default()
    };
    edge.apply(&Site { rule, ..site }).await;
    let answer = edge.get("/other").await;
    assert_eq!(answer.reason(), (404, "no_route"));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&body["status"], &body["reason"]),
        (&404.into(), &"no_route".into())
    );
    assert_eq!(edge.get("/%zz").await.reason(), (400, "bad_path"));
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_http_is_502() {
    let upstream = Upstream::start(|mut stream| async move {
        crate::upstream::read_head(&mut stream).await;
        crate::upstream::write(&mut stream, "SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    })
    .await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    assert_eq!(edge.get("/").await.reason(), (502, "upstream_malformed"));
}

#[tokio::test]
async fn a_refused_head_has_no_body_and_the_connection_goes_on() {
    let edge = Edge::start(&Site::to(&[])).await;
    let mut client = edge.client().await;
    for _ in 0..2 {
        let request = Request::head("/").header("host", "a").body(empty()).unwrap();
        let answer = client.send(request).await;
        assert_eq!((answer.reason(), &*answer.body), ((503, "no_endpoints"), ""));
        assert_ne!(answer.header("content-length"), "0");
    }
}

#[tokio::test]
async fn requests_of_old_and_odd_forms_are_understood() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let answer = raw(edge.address, "GET /old HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("GET /old\nhost: \n"), "{answer}");
    let absolute = "GET http://a.example/x HTTP/1.1\r\nhost: A.example\r\nconnection: close\r\n\r\n";
    let answer = raw(edge.address, absolute).await;
    assert!(answer.contains("GET /x\nhost: a.example\n"), "{answer}");
    let answer = raw(edge.address, &absolute.replace("A.example", "b")).await;
    assert!(answer.contains("bad_host"), "{answer}");
    let answer = raw(
        edge.address,
        "OPTIONS * HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\nallow: GET, "), "{answer}");
    let answer = raw(
        edge.address,
        "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    let answer = raw(edge.address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("\"reason\":\"bad_host\""), "{answer}");
}

#[tokio::test]
async fn rules_change_headers_and_paths_on_the_way() {
    let upstream = Upstream::echoing().await;
    let header = |name: &str, value: &str| v1::Header {
        name: name.into(),
        value: value.into(),
    };
    let prefix = v1::Match {
        path: Some(v1::PathMatch {
            kind: v1::path_match::Kind::Prefix.into(),
            value: "/v1".into(),
        }),
        ..v1::Match::default()
    };
    let rule = v1::Rule {
        matches: vec![prefix],
        request_headers: Some(v1::HeaderEdit {
            set: vec![header("x-set", "1")],
            add: vec![header("x-add", "2")],
            remove: vec!["x-gone".into()],
        }),
        response_headers: Some(v1::HeaderEdit {
            add: vec![header("x-answer", "3")],
            ..v1::HeaderEdit::default()
        }),
        rewrite: Some(v1::Rewrite {
            hostname: "inner.example".into(),
            path: Some(v1::PathEdit {
                edit: Some(v1::path_edit::Edit::Prefix("/v2".into())),
            }),
        }),
        ..v1::Rule::default()
    };
    let site = Site {
        rule,
        ..Site::to(&[&upstream.name()])
    };
    let edge = Edge::start(&site).await;
    let request = Request::get("/v1/x?q=1")
        .header("host", "outer")
        .header("x-gone", "1");
    let answer = edge.client().await.send(request.body(empty()).unwrap()).await;
    assert_eq!(answer.header("x-answer"), "3");
    let lines: Vec<_> = answer.body.lines().collect();
    assert_eq!(lines[..2], ["GET /v2/x?q=1", "host: inner.example"]);
    assert!(
        lines.contains(&"x-set: 1") && lines.contains(&"x-add: 2"),
        "{lines:?}"
    );
    assert!(!answer.body.contains("x-gone"), "{lines:?}");
}

#[tokio::test]
async fn a_redirect_is_answered_here() {
    let rule = v1::Rule {
        redirect: Some(v1::Redirect {
            scheme: "https".into(),
            status: 308,
            ..v1::Redirect::default()
        }),
        ..v1::Rule::default()
    };
    let site = Site {
        rule,
        ..Site::to(&[])
    };
    let edge = Edge::start_with(&site, |config| config.provenance = true).await;
    let answer = edge.get("/a?b=c").await;
    assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.header("location"), "https://shop.example/a?b=c");
    assert_eq!(answer.header("x-sluice-revision"), "1");
    assert_eq!(answer.header("x-sluice-route"), "default/shop");
}

#[tokio::test]
async fn every_method_passes_but_connect() {
    let upstream = Upstream::echoing().await;
    let edge = Edge::start(&Site::to(&[&upstream.name()])).await;
    let mut client = edge.client().await;
    for method in [Method::PUT, Method::DELETE, Method::from_bytes(b"PURGE").unwrap()] {
        let request = Request::builder().method(&method).uri("/").header("host", "a");
        let answer = client.send(request.body(empty()).unwrap()).await;
        assert!(
            answer.body.starts_with(&format!("{method} /\n")),
            "{}",
            answer.body
        );
    }
}
