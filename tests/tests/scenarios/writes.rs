//! What a write promises to whoever repeats it, races it or only asks.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sluice_tests::client::served_by;
use sluice_tests::fake_proxy::FakeProxy;
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::rest::{Answer, Rest};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

const WEB: &str = "/v1/namespaces/default/backends/web";

async fn head(rest: &Rest) -> u64 {
    let answer = rest.send(Method::GET, "/v1/revisions", None).await.unwrap();
    answer.body["items"][0]["revision"].as_u64().unwrap_or_default()
}

async fn apply(rest: &Rest, manifests: &[Value], query: &str) -> Answer {
    let path = format!("/v1/apply?{query}");
    rest.send(Method::POST, &path, Some(&list(manifests)))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_write_is_answered_like_the_first_and_done_once() {
    let site = Site::start(0).await.unwrap();
    let rest = site.rest();
    let send = async |manifest: Value| {
        let request = rest
            .request(Method::POST, "/v1/apply")
            .header("idempotency-key", "job-17")
            .json(&manifest);
        Answer::to(request).await.unwrap()
    };
    let first = send(backend("web", &[])).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    let other = rest.apply(&backend("other", &[]), "").await.unwrap();
    let again = send(backend("web", &[])).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(head(rest).await, other.revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_race_is_judged_by_what_was_touched() {
    let site = Site::start(0).await.unwrap();
    let rest = site.rest();
    let nobody = "127.0.0.1:9".parse().unwrap();
    let base = rest.apply(&backend("web", &[]), "").await.unwrap().revision;
    rest.apply(&backend("web", &[nobody]), "").await.unwrap();

    let query = format!("baseRevision={base}");
    let raced = apply(rest, &[backend("web", &[])], &query).await;
    assert_eq!(raced.status, StatusCode::CONFLICT, "{raced:?}");
    raced.violations().unwrap();
    let beside = apply(rest, &[backend("beside", &[])], &query).await;
    assert_eq!(beside.status, StatusCode::OK, "{beside:?}");

    let read = rest.send(Method::GET, WEB, None).await.unwrap();
    let etag = read.headers["etag"].to_str().unwrap().to_owned();
    let put = async |etag: &str, manifest: Value| {
        let request = rest
            .request(Method::PUT, WEB)
            .header("if-match", etag)
            .json(&manifest);
        Answer::to(request).await.unwrap()
    };
    let taken = put(&etag, backend("web", &[])).await;
    assert!(taken.status.is_success(), "{taken:?}");
    let late = put(&etag, backend("web", &[nobody])).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED, "{late:?}");
    late.violations().unwrap();
    let read = rest.send(Method::GET, WEB, None).await.unwrap();
    assert_eq!(read.body["spec"]["endpoints"], json!([]), "{read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_tells_everything_and_changes_nothing() {
    let (old, new) = (
        Upstream::echo("old").await.unwrap(),
        Upstream::echo("new").await.unwrap(),
    );
    let site = Site::start(1).await.unwrap();
    let applied = site
        .apply(&[
            gateway(),
            backend("old", &[old.address]),
            backend("new", &[new.address]),
            route_to("shop", HOST, "old"),
        ])
        .await
        .unwrap();
    let dry = apply(
        site.rest(),
        &[route_to("shop", HOST, "new"), backend("more", &[])],
        "dryRun=true",
    )
    .await;
    assert_eq!(dry.status, StatusCode::OK, "{dry:?}");
    let action = |index: usize| dry.body["changes"][index]["action"].clone();
    assert_eq!(
        (action(0), action(1)),
        (json!("updated"), json!("created")),
        "{dry:?}"
    );
    let wrong = apply(site.rest(), &[route_to("shop", HOST, "nowhere")], "dryRun=true").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    assert_eq!(wrong.violations().unwrap()[0].code, "dangling");

    assert_eq!(head(site.rest()).await, applied.revision);
    let address = site.address().await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "old");
    // The next real one gets the next number.
    let next = site.apply(&[route_to("shop", HOST, "new")]).await.unwrap();
    assert_eq!(next.revision, applied.revision + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_the_input_any_more_is_pruned_within_its_label() {
    let site = Site::start(0).await.unwrap();
    let rest = site.rest();
    let labelled = |name: &str, team: &str| {
        let mut made = backend(name, &[]);
        made["metadata"]["labels"] = json!({"team": team});
        made
    };
    let all = [
        labelled("a", "shop"),
        labelled("b", "shop"),
        labelled("c", "other"),
    ];
    assert_eq!(apply(rest, &all, "").await.status, StatusCode::OK);
    let pruned = apply(rest, &[labelled("a", "shop")], "prune=team%3Dshop").await;
    assert_eq!(pruned.status, StatusCode::OK, "{pruned:?}");
    let changes = pruned.body["changes"].to_string();
    assert!(
        changes.contains("deleted") && changes.contains("unchanged"),
        "{changes}"
    );
    let left = rest
        .send(Method::GET, "/v1/namespaces/default/backends", None)
        .await
        .unwrap();
    let names: Vec<_> = left.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, [json!("a"), json!("c")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_that_runs_out_is_a_success_whose_receipt_names_who_is_missing() {
    let site = Site::start(1).await.unwrap();
    let mut silent = FakeProxy::join(site.control.grpc, "silent").await.unwrap();
    let held = silent.update().await.unwrap();
    silent.ack(&held).await.unwrap();
    site.fleet_of(2).await.unwrap();
    let half = apply(site.rest(), &[gateway()], "wait=20s&quorum=0.5").await;
    assert_eq!(half.body["receipt"]["applied"], 1, "{half:?}");
    let web = [backend("web", &[])];
    apply(site.rest(), &web, "wait=20s&quorum=0.5").await;
    // Nothing is left to be written, and one of two has it.
    let all = apply(site.rest(), &web, "wait=1s&quorum=1").await;
    assert_eq!(all.status, StatusCode::OK, "{all:?}");
    let receipt = &all.body["receipt"];
    assert_eq!(
        (&receipt["fleet"], &receipt["applied"]),
        (&json!(2), &json!(1)),
        "{receipt}"
    );
    assert_eq!(receipt["pending"], json!(["silent"]), "{receipt}");
    assert_eq!(all.body["revision"], head(site.rest()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_fleet_meets_no_quorum() {
    let site = Site::start(0).await.unwrap();
    let answer = apply(site.rest(), &[gateway()], "wait=1s&quorum=0.01").await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let receipt = &answer.body["receipt"];
    assert_eq!(
        (&receipt["fleet"], &receipt["applied"]),
        (&json!(0), &json!(0)),
        "{receipt}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_or_reads_without_a_token() {
    let site = Site::start(0).await.unwrap();
    let url = site.rest().url("/v1/fleet");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for token in [None, Some("wrong")] {
        let mut request = client.get(&url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = Answer::to(request).await.unwrap();
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert!(answer.headers.contains_key("www-authenticate"), "{answer:?}");
        answer.violations().unwrap();
    }
}
