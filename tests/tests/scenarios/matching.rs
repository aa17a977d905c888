//! Which rule takes a request, over the wire. The exhaustive comparison with a reference is in
//! sluice-core; here every kind of condition is seen to arrive.

use http::Method;
use serde_json::{Value, json};
use sluice_tests::client::{Connection, Protocol, request};
use sluice_tests::manifest::{HOST, backend, gateway, gateway_on, route};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

/// A rule that tells the upstream its name.
fn rule(name: &str, matches: &Value) -> Value {
    let edit = json!({"set": [{"name": "x-rule", "value": name}]});
    json!({
        "name": name,
        "matches": matches,
        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": edit}],
        "backendRefs": [{"name": "web"}],
    })
}

fn path(kind: &str, value: &str) -> Value {
    json!([{"path": {"type": kind, "value": value}}])
}

/// A request, and the rule that takes it; no rule is an answer of 404.
struct Case(
    Method,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

async fn check(site: &Site, cases: &[Case]) {
    let address = site.address().await.unwrap();
    for protocol in [Protocol::Http1, Protocol::H2c] {
        let mut connection = Connection::open(address, protocol).await.unwrap();
        for Case(method, host, path, headers, rule) in cases {
            let what = format!("{protocol:?} {method} {host}{path} {headers:?}");
            let asked = request(method.clone(), host, path, headers);
            let answer = connection.send(asked).await.unwrap();
            if rule.is_empty() {
                assert_eq!(answer.status, 404, "{what}: {answer:?}");
                assert_eq!(answer.reason().unwrap(), "no_route", "{what}");
            } else {
                assert_eq!(answer.status, 200, "{what}: {answer:?}");
                assert_eq!(answer.echo().unwrap().header("x-rule").unwrap(), *rule, "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_methods_headers_and_parameters_choose_the_rule_in_the_gateway_apis_order() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let rules = json!([
        rule("root", &path("PathPrefix", "/")),
        rule("prefix", &path("PathPrefix", "/v2")),
        rule("longer", &path("PathPrefix", "/v2/items")),
        rule("exact", &path("Exact", "/v2/items")),
        rule("regex", &path("RegularExpression", "/files/[0-9]+")),
        rule("post", &json!([{"path": {"value": "/m"}, "method": "POST"}])),
        rule("get", &json!([{"path": {"value": "/m"}, "method": "GET"}])),
        rule(
            "one-header",
            &json!([{"path": {"value": "/m"}, "headers": [{"name": "X-A", "value": "1"}]}])
        ),
        rule(
            "two-headers",
            &json!([{"path": {"value": "/m"}, "headers": [
                {"name": "x-a", "value": "1"},
                {"name": "x-b", "type": "RegularExpression", "value": "b+"},
            ]}])
        ),
        rule(
            "parameter",
            &json!([{"path": {"value": "/m"}, "queryParams": [{"name": "p", "value": "1"}]}])
        ),
        rule(
            "either",
            &json!([
                {"path": {"type": "Exact", "value": "/either"}},
                {"path": {"type": "Exact", "value": "/or"}},
            ])
        ),
    ]);
    let files = json!([rule("files", &path("RegularExpression", "/files/[0-9]+"))]);
    site.apply(&[
        gateway(),
        backend("web", &[upstream.address]),
        route("shop", HOST, &rules),
        route("files", "files.example.com", &files),
    ])
    .await
    .unwrap();
    let (get, put) = (Method::GET, Method::PUT);
    check(
        &site,
        &[
            Case(get.clone(), HOST, "/", &[], "root"),
            Case(get.clone(), HOST, "/v2", &[], "prefix"),
            Case(get.clone(), HOST, "/v2/", &[], "prefix"),
            Case(get.clone(), HOST, "/v2example", &[], "root"),
            Case(get.clone(), HOST, "/V2", &[], "root"),
            Case(get.clone(), HOST, "/v2/x/../items/1", &[], "longer"),
            Case(get.clone(), HOST, "/v2/items", &[], "exact"),
            Case(get.clone(), HOST, "/v2/items/", &[], "longer"),
            // A prefix, even the shortest, goes before a regular expression.
            Case(get.clone(), HOST, "/files/17", &[], "root"),
            Case(get.clone(), "files.example.com", "/files/17", &[], "files"),
            Case(get.clone(), "files.example.com", "/files/17/x", &[], ""),
            Case(get.clone(), HOST, "/m", &[], "get"),
            Case(Method::POST, HOST, "/m", &[], "post"),
            Case(put.clone(), HOST, "/m", &[], "root"),
            Case(get.clone(), HOST, "/m", &[("x-a", "1")], "get"),
            Case(put.clone(), HOST, "/m", &[("x-a", "1")], "one-header"),
            Case(
                put.clone(),
                HOST,
                "/m",
                &[("x-a", "1"), ("x-b", "bb")],
                "two-headers",
            ),
            Case(
                put.clone(),
                HOST,
                "/m",
                &[("x-a", "1"), ("x-b", "bbc")],
                "one-header",
            ),
            Case(put.clone(), HOST, "/m?p=1", &[], "parameter"),
            Case(put.clone(), HOST, "/m?P=1", &[], "root"),
            Case(put.clone(), HOST, "/m?p=1", &[("x-a", "1")], "one-header"),
            Case(get.clone(), HOST, "/either", &[], "either"),
            Case(get.clone(), HOST, "/or", &[], "either"),
            Case(get.clone(), "other.example.com", "/", &[], ""),
            Case(get.clone(), "SHOP.example.COM:8080", "/v2", &[], "prefix"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_most_specific_hostname_takes_the_request_and_listeners_are_isolated() {
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::start(1).await.unwrap();
    let gateway = gateway_on(&[
        ("http", 80, None),
        ("team", 80, Some("*.team.example.com")),
        ("api", 80, Some("api.team.example.com")),
    ]);
    let on = |listener: &str, name: &str, hostnames: &[&str], prefix: &str| {
        let mut made = route(name, HOST, &json!([rule(name, &path("PathPrefix", prefix))]));
        made["spec"]["parentRefs"][0]["sectionName"] = json!(listener);
        made["spec"]["hostnames"] = json!(hostnames);
        made
    };
    let routes = [
        on("http", "any", &[], "/"),
        on("http", "exact", &["a.b.example.com"], "/"),
        on("http", "long", &["*.b.example.com"], "/"),
        on("http", "short", &["*.example.com"], "/"),
        on("team", "team", &[], "/"),
        // Attached where the request does not arrive: the listener `api` takes it.
        on("team", "team-api", &["api.team.example.com"], "/"),
        on("api", "api", &[], "/only"),
    ];
    let web = backend("web", &[upstream.address]);
    site.apply(&[&[gateway, web], &routes[..]].concat())
        .await
        .unwrap();
    let get = Method::GET;
    check(
        &site,
        &[
            Case(get.clone(), "elsewhere.org", "/", &[], "any"),
            Case(get.clone(), "a.b.example.com", "/", &[], "exact"),
            Case(get.clone(), "c.b.example.com", "/", &[], "long"),
            Case(get.clone(), "d.c.b.example.com", "/", &[], "long"),
            Case(get.clone(), "b.example.com", "/", &[], "short"),
            Case(get.clone(), "example.com", "/", &[], "any"),
            Case(get.clone(), "x.team.example.com", "/", &[], "team"),
            Case(get.clone(), "x.y.team.example.com", "/", &[], "team"),
            Case(get.clone(), "api.team.example.com", "/only", &[], "api"),
            Case(get.clone(), "api.team.example.com", "/", &[], ""),
        ],
    )
    .await;
}
