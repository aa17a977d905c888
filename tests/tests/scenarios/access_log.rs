//! The access log.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};
use sluice_tests::client::{Connection, Protocol, get, raw, request, served_by};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, gateway_on, route, route_to};
use sluice_tests::servers::sluice;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::Upstream;
use tokio::process::Command;

fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    let line = |line| serde_json::from_str(line).context(line.to_owned());
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_says_what_was_decided_by_which_revision() {
    let upstream = Upstream::echo("web").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let site = Site::with(1, None, &["--access-log", log.to_str().unwrap()])
        .await
        .unwrap();
    let rules = json!([
        {"name": "all", "backendRefs": [{"name": "web"}]},
        {"name": "trial", "matches": [{"path": {"value": "/trial"}}], "backendRefs": [{"name": "web"}]},
    ]);
    let experiment = json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Experiment",
        "metadata": {"name": "trial"},
        "spec": {
            "targetRefs": [{"kind": "HTTPRoute", "name": "shop", "sectionName": "trial"}],
            "unit": {"clientIP": {}},
            "variants": [{"name": "only", "share": 100, "backendRefs": [{"name": "web"}]}],
        },
    });
    let web = backend("web", &[upstream.address]);
    let applied = site
        .apply(&[gateway(), web, route("shop", HOST, &rules), experiment])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let strange = request(
        http::Method::POST,
        HOST,
        "/a?b=c",
        &[("user-agent", "a \"quoted\" \\ agent")],
    );
    connection.send(strange).await.unwrap();
    connection.send(get(HOST, "/trial")).await.unwrap();
    connection.send(get("nowhere.example.com", "/")).await.unwrap();

    let told = eventually("the lines are written", SOON, async || {
        let told = lines(&log)?;
        anyhow::ensure!(told.len() == 3, "{told:?}");
        Ok(told)
    })
    .await
    .unwrap();
    for line in &told {
        assert_eq!(line["revision"], applied.revision, "{line}");
        assert_eq!(line["protocol"], "HTTP/1.1", "{line}");
        assert!(line["client"].to_string().contains("127.0.0.1"), "{line}");
    }
    let at = |line: &Value| {
        ["method", "host", "path", "status", "backend", "endpoint"].map(|field| line[field].clone())
    };
    let endpoint = json!(upstream.address.to_string());
    let web = json!("default/web");
    let shop = json!(HOST);
    assert_eq!(
        at(&told[0]),
        [
            json!("POST"),
            shop.clone(),
            json!("/a?b=c"),
            json!(200),
            web.clone(),
            endpoint.clone()
        ],
        "{}",
        told[0]
    );
    assert_eq!(
        at(&told[1]),
        [json!("GET"), shop, json!("/trial"), json!(200), web, endpoint],
        "{}",
        told[1]
    );
    assert_eq!(told[2]["status"], 404, "{}", told[2]);
    for (line, rule, variant) in [(&told[0], "all", ""), (&told[1], "trial", "only")] {
        assert_eq!(line["route"], "default/shop", "{line}");
        assert_eq!(line["rule"], format!("rule/default/shop/{rule}"), "{line}");
        assert_eq!(line["variant"].as_str().unwrap_or_default(), variant, "{line}");
        assert!(line["bytes_out"].as_u64().unwrap() > 100, "{line}");
    }
    assert_eq!(told[2]["reason"], "no_route", "{}", told[2]);
}

/// A named pipe that nobody reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_blocks_holds_up_no_request_and_lost_lines_are_counted() {
    let upstream = Upstream::echo("web").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("access.log");
    let made = Command::new("mkfifo").arg(&pipe).status().await.unwrap();
    assert!(made.success());
    // Held open in both directions: opening one end alone waits for the other.
    let _unread = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let site = Site::with(1, None, &["--access-log", pipe.to_str().unwrap()])
        .await
        .unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();
    // Pipelined, and without a route: the cheapest requests that are logged.
    let one = "GET / HTTP/1.1\r\nHost: nowhere.example.com\r\n";
    let burst = format!("{one}\r\n").repeat(1_999) + one + "Connection: close\r\n\r\n";
    eventually("lines are dropped", SOON, async || {
        let answers = raw(address, burst.as_bytes()).await?;
        assert_eq!(answers.matches("HTTP/1.1 404 ").count(), 2_000);
        let dropped = site.proxies[0]
            .metric("sluice_access_log_dropped_total", &[])
            .await?;
        anyhow::ensure!(dropped > 0.0, "none so far");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
}

/// Two ports take the same requests, and what changes is on the one that they did not come in on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_our_own_log_knows_on_which_ports_requests_came_in() {
    let upstream = Upstream::echo("web").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("access.log");
    let options = ["--port-map", "80=0", "--port-map", "81=0", "--access-log"];
    let options = [&options[..], &[log.to_str().unwrap()]].concat();
    let site = Site::with(1, None, &options).await.unwrap();
    let on = |listener: &str, rules: &Value| {
        let mut route = route(listener, HOST, rules);
        route["spec"]["parentRefs"][0]["sectionName"] = listener.into();
        route
    };
    let to_web = json!([{"name": "all", "backendRefs": [{"name": "web"}]}]);
    let manifests = [
        gateway_on(&[("http", 80, None), ("other", 81, None)]),
        backend("web", &[upstream.address]),
        on("http", &to_web),
        on("other", &to_web),
    ];
    site.apply(&manifests).await.unwrap();
    let address = site.address().await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    let told = eventually("the line is written", SOON, async || {
        let told = lines(&log)?;
        anyhow::ensure!(!told.is_empty());
        Ok(told)
    })
    .await
    .unwrap();
    for line in &told {
        assert_eq!(
            (&line["port"], &line["scheme"]),
            (&json!(80), &json!("http")),
            "{line}"
        );
    }

    let elsewhere = directory.path().join("elsewhere.json");
    let redirect = json!([{"name": "all", "filters": [
        {"type": "RequestRedirect", "requestRedirect": {"hostname": "new.example.com"}},
    ]}]);
    std::fs::write(&elsewhere, on("other", &redirect).to_string()).unwrap();
    let portless = directory.path().join("portless.log");
    let without_port = |line: &Value| {
        let mut line = line.clone();
        line.as_object_mut().unwrap().remove("port");
        format!("{line}\n")
    };
    std::fs::write(&portless, told.iter().map(without_port).collect::<String>()).unwrap();
    let count = told.len() as u64;
    for (log, changed) in [(&log, 0), (&portless, count)] {
        let arguments = ["replay", "-o", "json", "-f", elsewhere.to_str().unwrap()];
        let arguments = [&arguments[..], &["--log", log.to_str().unwrap()]].concat();
        let answer = sluice(site.rest(), &arguments).await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let traffic = &answer["traffic"];
        assert_eq!(
            (
                &traffic["judged"],
                &traffic["changed"],
                &traffic["portNotRecorded"]
            ),
            (&json!(count), &json!(changed), &json!(changed)),
            "{answer}"
        );
    }
}
