//! The document that describes it all.

use axum::body::Body;
use http::{Method, Request};
use serde_json::Value;

use crate::server::Server;

#[tokio::test]
async fn every_operation_of_the_document_is_served_and_asks_for_a_token_where_it_says_so() {
    let server = Server::start().await;
    let document = server
        .raw(Request::get("/openapi.json").body(Body::empty()).unwrap())
        .await
        .json;
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| *name != "parameters");
        for (method, operation) in methods {
            operations += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path
                .replace("{plural}", "backends")
                .replace("{revision}", "1")
                .replace(['{', '}'], "");
            let request = Request::builder()
                .method(method)
                .uri(path)
                .body(Body::empty())
                .unwrap();
            let open = operation["security"] == Value::Array(Vec::new());
            let answer = server.raw(request).await;
            assert_eq!(answer.status, if open { 200 } else { 401 }, "{operation}");
        }
    }
    assert_eq!(operations, 37);
}

#[tokio::test]
async fn the_document_names_parameters_bodies_and_answers() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").await.json;
    let apply = &document["paths"]["/v1/apply"]["post"];
    let parameters: Vec<_> = apply["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str())
        .collect();
    assert!(
        parameters.contains(&Some("baseRevision")) && parameters.contains(&Some("wait")),
        "{parameters:?}"
    );
    assert!(apply["requestBody"]["content"].get("application/yaml").is_some());
    assert_eq!(
        apply["responses"]["200"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Applied"
    );
    assert_eq!(
        document["components"]["schemas"]["Receipt"]["properties"]["pending"]["type"],
        "array"
    );
    assert!(
        document["components"]["schemas"]["HTTPRoute"]["properties"]
            .get("spec")
            .is_some()
    );
}
