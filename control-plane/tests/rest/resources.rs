//! One resource, and lists of them.

use http::Method;
use serde_json::json;

use crate::manifests::{backend, gateway, labelled, shop};
use crate::server::Server;

const A: &str = "/v1/namespaces/default/backends/a";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_resource_lives_from_put_to_delete_under_the_tag_of_its_revision() {
    let server = Server::start().await;
    assert_eq!(
        server.get(A).await.problem(404),
        "Backend/default/a does not exist"
    );
    let created = server.json(Method::PUT, A, &backend("a", 1)).await;
    assert_eq!(
        (created.status, created.changes()),
        (201, vec!["a created".to_owned()])
    );
    assert_eq!(created.headers["etag"], "\"1\"");

    let patch = json!({"spec": {"protocol": "h2c"}, "metadata": {"labels": {"team": "shop"}}});
    let patched = server.json(Method::PATCH, A, &patch).await;
    assert_eq!(patched.changes(), ["a updated"]);
    let read = server.get(A).await;
    assert_eq!(read.headers["etag"], "\"2\"");
    assert_eq!(read.json["metadata"]["resourceVersion"], "2");
    assert_eq!(read.json["spec"]["protocol"], "h2c");
    assert_eq!(read.json["spec"]["endpoints"][0]["port"], 1);
    assert_eq!(read.json["metadata"]["labels"]["team"], "shop");

    // What was read can be written back as it is.
    let back = server.json(Method::PUT, A, &read.json).await;
    assert_eq!(
        (back.status, back.changes()),
        (200, vec!["a unchanged".to_owned()])
    );

    assert_eq!(
        server.delete(&format!("{A}?dryRun=true")).await.changes(),
        ["a deleted"]
    );
    assert_eq!(server.delete(A).await.changes(), ["a deleted"]);
    assert_eq!(server.delete(A).await.status, 404);
}

#[tokio::test]
async fn a_write_under_a_condition_that_does_not_hold_is_not_made() {
    let server = Server::start().await;
    server.apply(&[backend("a", 1)]).await;
    let body = backend("a", 2).to_string();
    let put = async |condition: (&str, &str)| {
        server
            .with(Method::PUT, A, &[JSON, condition], body.clone())
            .await
            .status
    };
    assert_eq!(put(("if-none-match", "*")).await, 412);
    assert_eq!(put(("if-match", "\"7\"")).await, 412);
    assert_eq!(put(("if-match", "7")).await, 400);
    assert_eq!(put(("if-match", "\"1\"")).await, 200);
    let stale = server.with(Method::DELETE, A, &[("if-match", "\"1\"")], "").await;
    assert_eq!(stale.problem(412), "Backend/default/a is not as expected");
    let gone = "/v1/namespaces/default/backends/gone";
    let body = backend("gone", 1).to_string();
    assert_eq!(
        server
            .with(Method::PUT, gone, &[JSON, ("if-match", "*")], body)
            .await
            .status,
        412
    );
}

#[tokio::test]
async fn what_is_put_must_be_what_the_path_names() {
    let server = Server::start().await;
    let other = server.json(Method::PUT, A, &backend("b", 1)).await;
    assert_eq!(
        (other.status, other.violations()),
        (422, vec!["Backend/default/b metadata conflict".to_owned()])
    );
    let two = crate::manifests::list(&[backend("a", 1), backend("b", 1)]);
    assert_eq!(
        server.json(Method::PUT, A, &two).await.violations(),
        ["input  invalid"]
    );
    server.apply(&[backend("a", 1)]).await;
    let renamed = server
        .json(Method::PATCH, A, &json!({"metadata": {"name": "b"}}))
        .await;
    assert_eq!(
        (renamed.status, renamed.violations()),
        (422, vec!["Backend/default/a metadata invalid".to_owned()])
    );
    let unknown = server
        .json(Method::PATCH, A, &json!({"spec": {"endpoint": []}}))
        .await;
    assert_eq!(
        unknown.violations(),
        ["Backend/default/a spec.endpoint unknownField"]
    );
}

#[tokio::test]
async fn what_is_still_referred_to_is_not_deleted() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let refused = server.delete("/v1/namespaces/default/backends/web").await;
    assert_eq!(
        (refused.status, refused.violations()),
        (422, vec!["Backend/default/web  inUse".to_owned()])
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_in_the_order_of_names() {
    let server = Server::start().await;
    let mut all: Vec<_> = ["e", "c", "a", "d", "b"].map(|name| backend(name, 1)).into();
    let mut elsewhere = backend("z", 1);
    elsewhere["metadata"]["namespace"] = json!("a-team");
    all.extend([elsewhere, gateway()]);
    server.apply(&all).await;
    let names = async |path: &str| {
        let answer = server.get(path).await;
        let items = answer.json["items"].as_array().unwrap().iter();
        let names: Vec<_> = items
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        (
            names.concat(),
            answer.json["continue"].as_str().map(ToOwned::to_owned),
        )
    };
    let list = "/v1/namespaces/default/backends";
    assert_eq!(names(list).await, ("abcde".into(), None));
    let (first, next) = names(&format!("{list}?limit=2")).await;
    let (second, last) = names(&format!("{list}?limit=3&continue={}", next.unwrap())).await;
    assert_eq!((first.as_str(), second.as_str(), last), ("ab", "cde", None));
    assert_eq!(
        names("/v1/namespaces/-/backends?limit=2").await,
        ("za".into(), Some("default/a".into()))
    );
    assert_eq!(
        names("/v1/namespaces/nobody/backends").await,
        (String::new(), None)
    );
}

#[tokio::test]
async fn a_list_has_only_what_is_selected() {
    let server = Server::start().await;
    let of = |name: &str, team: &str| labelled(backend(name, 1), json!({"team": team}));
    server.apply(&[of("a", "x"), of("b", "y"), backend("c", 1)]).await;
    let path = "/v1/namespaces/default/backends?labelSelector=team%20in%20(x,z),!legacy";
    let items = server.get(path).await.json["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(items[0]["metadata"]["name"], "a");
}

#[tokio::test]
async fn conditions_say_that_a_route_is_accepted_and_who_runs_it() {
    let server = Server::start().await;
    server.apply(&shop()).await;
    let route = server.get("/v1/namespaces/default/httproutes/shop").await.json;
    let conditions: Vec<_> = route["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            [&one["type"], &one["status"], &one["reason"]].map(|text| text.as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        conditions,
        [
            ["Accepted", "True", "Accepted"],
            ["ResolvedRefs", "True", "ResolvedRefs"],
            ["Programmed", "Unknown", "NoProxies"],
        ]
    );
}
