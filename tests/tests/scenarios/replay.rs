//! Requests that proxies sample, kept by the control plane and replayed against a change.

use anyhow::ensure;
use http::Method;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sluice_tests::client::{request, send};
use sluice_tests::cluster::Cluster;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, LISTENER, backend, gateway, list, route};
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::Rest;
use sluice_tests::servers::{ControlPlane, command, sluice};
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;

/// What no store and no answer may hold.
const SECRETS: [&str; 3] = ["the-secret-cookie", "the-secret-token", "bob-whom-nobody-names"];

/// Where requests for `/`, of testers and of one user go.
fn routed(others: &str, testers: &str, user: &str) -> Value {
    let rules = json!([
        {"name": "all", "backendRefs": [{"name": others}]},
        {
            "name": "testers",
            "matches": [{"path": {"type": "PathPrefix", "value": "/pay"}, "headers": [{"name": "x-beta", "value": "yes"}]}],
            "backendRefs": [{"name": testers}],
        },
        {
            "name": "user",
            "matches": [{"path": {"type": "PathPrefix", "value": "/user"}, "headers": [{"name": "x-user", "value": "ann"}]}],
            "backendRefs": [{"name": user}],
        },
    ]);
    route("shop", HOST, &rules)
}

/// What a replay of the last hour says, once so many requests are there.
async fn replayed(rest: &Rest, proposal: &Value, requests: u64) -> Value {
    let body = json!({"manifests": list(std::slice::from_ref(proposal)).to_string(), "since": "1h"});
    eventually("the samples are there", SOON, async || {
        let answer = rest.send(Method::POST, "/v1/replay", Some(&body)).await?;
        ensure!(answer.body["traffic"]["requests"] == requests, "{answer:?}");
        Ok(answer.body)
    })
    .await
    .unwrap()
}

fn assert_no_secrets(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sampled_requests_are_replayed_and_nothing_else_of_them_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("control.db");
    let url = format!("sqlite://{}", database.display());
    let sampling = [
        "--sample-requests=1000",
        "--sample-header=x-beta",
        "--sample-header=cookie",
        "--sample-header=authorization",
        "--sample-hashed-header=x-user",
    ];
    let mut site = Site::with(1, Some(&url), &sampling).await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let mut manifests: Vec<_> = ["web", "next"]
        .map(|name| backend(name, &[upstream.address]))
        .into();
    manifests.extend([gateway(), routed("web", "web", "web")]);
    site.apply(&manifests).await.unwrap();

    let address = site.address().await.unwrap();
    let credentials = [
        ("cookie", "sid=the-secret-cookie"),
        ("authorization", "Bearer the-secret-token"),
    ];
    let ask = async |path: &str, header: (&str, &str), times: usize| {
        for _ in 0..times {
            let headers = [&credentials[..], &[header]].concat();
            let answer = send(address, request(Method::GET, HOST, path, &headers))
                .await
                .unwrap();
            assert!(answer.status.is_success(), "{answer:?}");
        }
    };
    ask("/?q=the-secret-token", ("x-other", "1"), 10).await;
    ask("/pay/now", ("x-beta", "yes"), 6).await;
    ask("/user", ("x-user", "ann"), 3).await;
    ask("/user", ("x-user", "bob-whom-nobody-names"), 1).await;

    // Testers and the one user whom a rule names are told apart by header; of the user only a hash is known.
    let proposal = routed("web", "next", "next");
    let answer = replayed(site.rest(), &proposal, 20).await;
    let traffic = &answer["traffic"];
    assert_eq!(
        (&traffic["targetPercent"], &traffic["judged"]),
        (&json!(45.0), &json!(20)),
        "{answer}"
    );
    assert_eq!(traffic["assumedRequests"], 0, "{answer}");
    assert_no_secrets(answer.to_string().as_bytes());
    let file = directory.path().join("proposal.json");
    std::fs::write(&file, proposal.to_string()).unwrap();
    let said = sluice(site.rest(), &["replay", "-f", &file.display().to_string()])
        .await
        .unwrap();
    assert!(said.starts_with("45 % of 20 requests change target.\n"), "{said}");

    // They outlive the control plane that heard them.
    site.control.process.signal(Signal::SIGTERM).unwrap();
    site.control.process.exit(SOON).await.unwrap();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name != "proposal.json") {
            assert_no_secrets(&std::fs::read(path).unwrap());
        }
    }
    let program = command("sluice-control", None).unwrap();
    let next = ControlPlane::start_at(program, &url, "another-token", site.control.grpc).await;
    let next = next.unwrap();
    let again = replayed(&next.rest, &proposal, 20).await;
    assert_eq!(again["traffic"]["target"], traffic["target"], "{again}");
    assert!(again["sampled"]["fromMs"].is_u64(), "{again}");
    // What is hashed after it is hashed as before.
    ask("/user", ("x-user", "ann"), 4).await;
    ask("/user", ("x-user", "bob-whom-nobody-names"), 1).await;
    let more = replayed(&next.rest, &proposal, 25).await;
    assert_eq!(
        (&more["traffic"]["judged"], &more["traffic"]["changed"]),
        (&json!(25), &json!(13)),
        "{more}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_proxies_of_two_control_planes_sampled_is_replayed_by_either() {
    let postgres = Postgres::start().await.unwrap();
    let mut cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let sampling = ["--sample-requests", "100", "--sample-hashed-header", "x-user"];
    let proxies = [("edge-1", 0), ("edge-2", 1)].map(|(id, first)| cluster.proxy_with(id, first, &sampling));
    let proxies = futures_util::future::try_join_all(proxies).await.unwrap();
    cluster.fleet_of(0, 2).await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let backends = ["web", "next"].map(|name| backend(name, &[upstream.address]));
    let manifests = [&backends[..], &[gateway(), routed("web", "web", "web")]].concat();
    let rest = cluster.controls[1].rest.clone();
    let applied = rest.apply(&list(&manifests), "wait=20s&quorum=1").await.unwrap();
    for proxy in &proxies {
        let address = proxy.listening(LISTENER, applied.revision, SOON).await.unwrap();
        for user in ["ann", "bob", "bob", "bob"] {
            let headers = [("x-user", user)];
            let answer = send(address, request(Method::GET, HOST, "/user", &headers)).await;
            assert!(answer.unwrap().status.is_success());
        }
    }
    let proposal = routed("web", "web", "next");
    // Each knows what it heard itself, at once.
    for control in &cluster.controls {
        replayed(&control.rest, &proposal, 4).await;
    }
    // What the one that ends heard is the other's to tell.
    let mut ended = cluster.controls.remove(0);
    ended.process.signal(Signal::SIGTERM).unwrap();
    ended.process.exit(SOON).await.unwrap();
    let answer = replayed(&rest, &proposal, 8).await;
    assert_eq!(
        (&answer["traffic"]["judged"], &answer["traffic"]["changed"]),
        (&json!(8), &json!(2)),
        "{answer}"
    );
    assert_eq!(postgres.sql("SELECT count(*) FROM sample_keys").unwrap(), "1");
}
