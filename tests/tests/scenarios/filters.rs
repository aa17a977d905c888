//! Redirects, rewrites and header changes, over the wire.

use http::Method;
use serde_json::{Value, json};
use sluice_tests::client::{Answer, Connection, Protocol, request};
use sluice_tests::manifest::{HOST, backend, gateway_on, route};
use sluice_tests::site::Site;
use sluice_tests::upstream::Upstream;

/// The Gateway's port: other than the bound one, and other than the scheme's.
const WRITTEN: u16 = 8080;

fn rule(prefix: &str, filter: &Value) -> Value {
    let matches = json!([{"path": {"type": "PathPrefix", "value": prefix}}]);
    match filter["type"] == "RequestRedirect" {
        true => json!({"matches": matches, "filters": [filter]}),
        false => json!({"matches": matches, "filters": [filter], "backendRefs": [{"name": "web"}]}),
    }
}

fn redirect(fields: &Value) -> Value {
    json!({"type": "RequestRedirect", "requestRedirect": fields})
}

fn rewrite(fields: &Value) -> Value {
    json!({"type": "URLRewrite", "urlRewrite": fields})
}

fn full_path(path: &str) -> Value {
    json!({"type": "ReplaceFullPath", "replaceFullPath": path})
}

fn prefix(path: &str) -> Value {
    json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path})
}

struct Filtered {
    _upstream: Upstream,
    _site: Site,
    connection: Connection,
}

impl Filtered {
    async fn start(rules: &Value) -> Self {
        let upstream = Upstream::echo("web").await.unwrap();
        let site = Site::with(1, None, &["--port-map", &format!("{WRITTEN}=0")])
            .await
            .unwrap();
        let gateway = gateway_on(&[("http", WRITTEN, None)]);
        let web = backend("web", &[upstream.address]);
        site.apply(&[gateway, web, route("shop", HOST, rules)])
            .await
            .unwrap();
        let address = site.address().await.unwrap();
        Self {
            _upstream: upstream,
            _site: site,
            connection: Connection::open(address, Protocol::Http1).await.unwrap(),
        }
    }

    async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let asked = request(Method::GET, HOST, path, headers);
        self.connection.send(asked).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_answered_without_an_upstream() {
    let rules = json!([
        rule("/https", &redirect(&json!({"scheme": "https"}))),
        rule(
            "/host",
            &redirect(&json!({"hostname": "new.example.com", "statusCode": 301}))
        ),
        rule("/port", &redirect(&json!({"port": 9000, "statusCode": 308}))),
        rule("/80", &redirect(&json!({"port": 80, "scheme": "http"}))),
        rule(
            "/full",
            &redirect(&json!({"path": full_path("/moved"), "statusCode": 303}))
        ),
        rule(
            "/old",
            &redirect(&json!({"path": prefix("/new"), "statusCode": 307}))
        ),
    ]);
    let mut filtered = Filtered::start(&rules).await;
    for (path, status, location) in [
        ("/https/a?b=c", 302, "https://shop.example.com/https/a?b=c"),
        ("/host/a", 301, "http://new.example.com:8080/host/a"),
        ("/port/a", 308, "http://shop.example.com:9000/port/a"),
        ("/80/a", 302, "http://shop.example.com/80/a"),
        ("/full/a?b=c", 303, "http://shop.example.com:8080/moved?b=c"),
        ("/old/a?b=c", 307, "http://shop.example.com:8080/new/a?b=c"),
        ("/old", 307, "http://shop.example.com:8080/new"),
    ] {
        let answer = filtered.get(path, &[]).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(answer.header("location"), location, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_and_paths_are_rewritten() {
    let rules = json!([
        rule("/host", &rewrite(&json!({"hostname": "internal.example.com"}))),
        rule("/full", &rewrite(&json!({"path": full_path("/one")}))),
        rule("/old/api", &rewrite(&json!({"path": prefix("/v2")}))),
        rule("/strip", &rewrite(&json!({"path": prefix("/")}))),
    ]);
    let mut filtered = Filtered::start(&rules).await;
    for (path, host, target) in [
        ("/host/a?b", "internal.example.com", "/host/a?b"),
        ("/full/a?b=c", HOST, "/one?b=c"),
        ("/old/api/a?b=c", HOST, "/v2/a?b=c"),
        ("/old/api", HOST, "/v2"),
        ("/old/api/", HOST, "/v2/"),
        ("/strip/a", HOST, "/a"),
        ("/strip", HOST, "/"),
    ] {
        let echo = filtered.get(path, &[]).await.echo().unwrap();
        assert_eq!(
            (echo.header("host").unwrap(), &*echo.target),
            (host, target),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn header_changes_set_add_and_remove() {
    let edit = json!({
        "set": [{"name": "X-Set", "value": "proxy"}],
        "add": [{"name": "X-Add", "value": "proxy"}],
        "remove": ["X-Remove", "X-Upstream"],
    });
    let rules = json!([
        rule(
            "/request",
            &json!({"type": "RequestHeaderModifier", "requestHeaderModifier": edit})
        ),
        rule(
            "/response",
            &json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": edit})
        ),
    ]);
    let mut filtered = Filtered::start(&rules).await;
    let sent = [
        ("x-set", "client"),
        ("x-set", "twice"),
        ("x-add", "client"),
        ("x-remove", "client"),
        ("x-kept", "client"),
    ];
    let echo = filtered.get("/request", &sent).await.echo().unwrap();
    assert_eq!(echo.headers["x-set"], ["proxy"]);
    assert_eq!(echo.headers["x-add"], ["client", "proxy"]);
    assert_eq!(echo.headers["x-kept"], ["client"]);
    assert!(!echo.headers.contains_key("x-remove"));

    let answer = filtered.get("/response", &sent).await;
    assert_eq!(
        (answer.header("x-set"), answer.header("x-add")),
        ("proxy", "proxy")
    );
    assert!(!answer.headers.contains_key("x-upstream"), "{answer:?}");
    assert_eq!(answer.echo().unwrap().headers["x-remove"], ["client"]);
}
