//! nginx as a real upstream and curl as a real client, HTTP/1.1 and h2c on both sides.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get};
use sluice_tests::manifest::{backend, backend_with, gateway, route_to};
use sluice_tests::nginx::Nginx;
use sluice_tests::site::Site;
use tokio::process::Command;

const MIB: usize = 1 << 20;

/// Hostnames of the two ways to nginx.
const HOSTS: [&str; 2] = ["http1.example.com", "h2c.example.com"];

/// Options of curl for the two ways to the proxy.
const PROTOCOLS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

struct Way {
    nginx: Nginx,
    site: Site,
    address: SocketAddr,
}

impl Way {
    async fn start() -> Self {
        let nginx = Nginx::start().await.unwrap();
        let site = Site::start(1).await.unwrap();
        let h2c = json!({"protocol": "h2c"});
        site.apply(&[
            gateway(),
            backend("http1", &[nginx.http1]),
            backend_with("h2c", &[nginx.h2c], &h2c),
            route_to("http1", HOSTS[0], "http1"),
            route_to("h2c", HOSTS[1], "h2c"),
        ])
        .await
        .unwrap();
        let address = site.address().await.unwrap();
        Self { nginx, site, address }
    }

    /// Runs curl for `paths` of `host`, one after the other, and takes what it prints.
    async fn curl(&self, host: &str, options: &[&str], paths: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]);
        curl.args(["--resolve", &format!("{host}:{}:127.0.0.1", self.address.port())]);
        curl.args(options);
        for path in paths {
            curl.arg(format!("http://{host}:{}{path}", self.address.port()));
        }
        let output = curl.kill_on_drop(true).output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{curl:?}: {}\n{error}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_every_shape_come_through() {
    let way = Way::start().await;
    std::fs::write(way.nginx.files().join("small"), "twelve bytes").unwrap();
    for (host, spoken) in HOSTS.into_iter().zip(["HTTP/1.1", "HTTP/2.0"]) {
        for protocol in PROTOCOLS {
            let seen = way.curl(host, &[protocol], &["/seen"]).await;
            let authority = format!("{spoken} {host} 127.0.0.1 http ");
            assert!(seen.starts_with(&authority), "{protocol}: {seen}");
            assert_eq!(
                way.curl(host, &[protocol], &["/files/small"]).await,
                "twelve bytes"
            );

            // A length without a body, and no body at all.
            let written = ["--write-out", "%{http_code} %{size_download}"];
            let options = [&[protocol, "--head"], &written[..]].concat();
            let head = way.curl(host, &options, &["/files/small"]).await;
            assert!(head.to_lowercase().contains("content-length: 12\r\n"), "{head}");
            assert!(head.ends_with("200 0"), "{protocol}: {head}");
            let options = [&[protocol, "--output", "/dev/null"], &written[..]].concat();
            for (path, told) in [
                ("/status/204", "204 0"),
                ("/status/304", "304 0"),
                ("/gone", "302 "),
                ("/files/none", "404 "),
            ] {
                let told_by_curl = way.curl(host, &options, &[path]).await;
                assert!(told_by_curl.starts_with(told), "{protocol}{path}: {told_by_curl}");
            }
        }
    }
}

/// nginx tells the number of the connection that a request came on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_alive_on_both_sides() {
    let way = Way::start().await;
    for host in HOSTS {
        // curl tells how often it had to connect. (Over h2c, curl 7.88 cannot use a connection
        // twice, whatever the server.)
        let options = ["--http1.1", "--write-out", " %{num_connects};"];
        let told = way.curl(host, &options, &["/seen"; 5]).await;
        let connects: Vec<_> = told.split_terminator(';').map(last).collect();
        assert_eq!(connects, ["1", "0", "0", "0", "0"], "{told}");
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let mut connection = Connection::open(way.address, protocol).await.unwrap();
            let mut upstream = Vec::new();
            for _ in 0..5 {
                let answer = connection.send(get(host, "/seen")).await.unwrap();
                upstream.push(last(std::str::from_utf8(&answer.body).unwrap()).to_owned());
            }
            upstream.dedup();
            assert_eq!(
                upstream.len(),
                1,
                "{protocol:?} {host}: the proxy connected again"
            );
        }
    }
}

fn last(words: &str) -> &str {
    words.rsplit(' ').next().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_are_streamed_both_ways_and_never_held() {
    let way = Way::start().await;
    let (sent, received) = (
        way.site.directory().join("sent"),
        way.site.directory().join("received"),
    );
    let block: Vec<u8> = (0..MIB).map(|index| (index * 31 % 251) as u8).collect();
    std::fs::write(&sent, block.repeat(100)).unwrap();
    let before = peak_memory(&way).unwrap();
    for (index, (host, protocol)) in [
        (HOSTS[0], PROTOCOLS[0]),
        (HOSTS[0], PROTOCOLS[1]),
        (HOSTS[1], PROTOCOLS[0]),
        (HOSTS[1], PROTOCOLS[1]),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/files/large-{index}");
        let file = sent.to_str().unwrap();
        let written = ["--write-out", "%{http_code}", "--output", "/dev/null"];
        let options = [&[protocol, "--upload-file", file], &written[..]].concat();
        assert_eq!(
            way.curl(host, &options, &[&path]).await,
            "201",
            "{host} {protocol}"
        );
        let stored = way.nginx.files().join(format!("large-{index}"));
        same(&sent, &stored).await;

        let target = received.to_str().unwrap();
        way.curl(host, &[protocol, "--output", target], &[&path]).await;
        same(&sent, &received).await;
        std::fs::remove_file(stored).unwrap();
    }
    let grown = peak_memory(&way).unwrap() - before;
    assert!(grown < 50 * MIB, "{grown} bytes more for bodies of 100 MiB");
}

/// Without a length, curl sends chunks; before a body of this size it asks with
/// `Expect: 100-continue` and waits a minute for the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_upload_waits_for_100_continue_and_arrives() {
    let way = Way::start().await;
    let sent = way.site.directory().join("sent");
    std::fs::write(&sent, "0123456789abcdef".repeat(MIB / 8)).unwrap();
    let file = sent.to_str().unwrap();
    let options = [
        "--http1.1",
        "--header",
        "Transfer-Encoding: chunked",
        "--header",
        "Expect: 100-continue",
        "--expect100-timeout",
        "60",
        "--upload-file",
        file,
        "--dump-header",
        "-",
    ];
    for host in HOSTS {
        let heads = way.curl(host, &options, &[&format!("/files/{host}")]).await;
        assert!(heads.contains("HTTP/1.1 100 Continue"), "{host}: {heads}");
        assert!(heads.contains("HTTP/1.1 201 Created"), "{host}: {heads}");
        same(&sent, &way.nginx.files().join(host)).await;
    }
}

async fn same(left: &Path, right: &Path) {
    let output = Command::new("cmp").arg(left).arg(right).output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// The most memory the proxy has had resident, in bytes (`VmHWM` of proc(5)).
fn peak_memory(way: &Way) -> anyhow::Result<usize> {
    let pid = way.site.proxies[0].process.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context(status.clone())?.trim().parse::<usize>()? * 1024)
}
