//! Live requests that are answered with their explanation, for a token of the control plane.

use http::Request;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_tests::client::{Answer, Connection, Protocol, request};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, route};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::{Body, Upstream};

fn asking(path: &str, token: &str) -> Request<Body> {
    request(Method::GET, HOST, path, &[("sluice-debug", token)])
}

async fn token(site: &Site, wanted: Value) -> anyhow::Result<String> {
    let rest = site.rest();
    let made = rest.send(Method::POST, "/v1/debug-tokens", Some(&wanted)).await?;
    anyhow::ensure!(made.status == StatusCode::CREATED, "{made:?}");
    Ok(made.body["token"].as_str().unwrap_or_default().to_owned())
}

/// What was told; null when nothing was.
fn told(answer: &Answer) -> Value {
    serde_json::from_str(answer.header("sluice-explanation")).unwrap_or_default()
}

/// A site that sends `/a` to `web`, and everything else to a proxy's 404.
async fn site(upstream: &Upstream) -> anyhow::Result<Site> {
    let site = Site::start(1).await?;
    let rules = json!([
        {"name": "a", "matches": [{"path": {"type": "PathPrefix", "value": "/a"}}], "backendRefs": [{"name": "web"}]},
    ]);
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route("shop", HOST, &rules)]).await?;
    Ok(site)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_request_is_told_what_explain_says_over_http1_and_http2() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = site(&upstream).await.unwrap();
    let (any, ours) = (
        token(&site, json!({})).await.unwrap(),
        token(
            &site,
            json!({"host": HOST.to_uppercase(), "expiresInSeconds": 60}),
        )
        .await
        .unwrap(),
    );
    let question = json!({"method": "GET", "url": format!("http://{HOST}/a/b")});
    let rest = site.rest();
    let explained = rest
        .send(Method::POST, "/v1/explain", Some(&question))
        .await
        .unwrap()
        .body;
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let mut connection = Connection::open(site.address().await.unwrap(), protocol)
            .await
            .unwrap();
        for token in [&any, &ours] {
            let answer = connection.send(asking("/a/b", token)).await.unwrap();
            let told = told(&answer);
            assert_eq!(told["decision"], explained["decision"], "{told}");
            assert_eq!(told["listener"], explained["listener"]);
            assert_eq!(told["revision"], explained["revision"]);
            assert_eq!(told["nearMisses"], explained["nearMisses"]);
            assert_eq!(told["taken"]["endpoint"], upstream.address.to_string());
            let echo = answer.json().unwrap();
            assert!(!echo.to_string().contains("sluice-debug"), "{echo}");
        }
        let lost = connection.send(asking("/b", &any)).await.unwrap();
        assert_eq!(lost.status, StatusCode::NOT_FOUND);
        let lost = told(&lost);
        assert_eq!(lost["nearMisses"][0]["lostBy"], "path", "{lost}");
        let plain = connection
            .send(request(Method::GET, HOST, "/a", &[]))
            .await
            .unwrap();
        assert_eq!(told(&plain), Value::Null);
    }
}

/// Control planes sign with keys of their own, and a token holds for one host and for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_another_control_plane_for_another_host_or_of_old_tells_nothing() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = site(&upstream).await.unwrap();
    let elsewhere = Site::start(0).await.unwrap();
    let foreign = token(&elsewhere, json!({})).await.unwrap();
    let other = token(&site, json!({"host": "other.example.com"})).await.unwrap();
    let short = token(&site, json!({"expiresInSeconds": 1})).await.unwrap();
    let ask = async |token: &str| {
        let mut connection = Connection::open(site.address().await?, Protocol::Http1).await?;
        connection.send(asking("/a", token)).await
    };
    for token in [&foreign, &other] {
        let answer = ask(token).await.unwrap();
        assert_eq!((answer.status, told(&answer)), (StatusCode::OK, Value::Null));
    }
    eventually("the token has run out", SOON, async || {
        let answer = ask(&short).await?;
        anyhow::ensure!(told(&answer) == Value::Null, "{answer:?}");
        Ok(())
    })
    .await
    .unwrap();
}
