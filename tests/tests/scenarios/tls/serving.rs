//! Which certificate is shown, for whom, and since when.

use std::process::Stdio;

use reqwest::Method;
use serde_json::json;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, certificate, https_gateway, route_to};
use sluice_tests::process::command;
use sluice_tests::site::{SOON, Site};
use sluice_tests::upstream::{Echo, Upstream};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{LISTENER, Secured, curl, last_request, s_client, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_verifies_the_certificate_and_speaks_both_versions_of_http() {
    let secured = Secured::start(1).await;
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let options = [option, "--write-out", "\n%{http_version} %{ssl_verify_result}"];
        let output = secured.curl(&options, "/a").await;
        assert!(output.status.success(), "{}", text(&output));
        let printed = String::from_utf8(output.stdout).unwrap();
        let (body, written) = printed.rsplit_once('\n').unwrap();
        assert_eq!(written, format!("{version} 0"));
        let echo: Echo = serde_json::from_str(body).unwrap();
        assert_eq!(echo.header("x-forwarded-proto").unwrap(), "https");
        assert_eq!(echo.header("x-forwarded-client-cert").unwrap(), "");
    }
    let output = curl(secured.address, &[], HOST, "/").await;
    assert_eq!(
        output.status.code(),
        Some(60),
        "an unknown authority: {}",
        text(&output)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_name_chooses_the_certificate_and_holds_for_every_request() {
    let secured = Secured::start(1).await;
    let other = secured.root.issue("other", &["DNS:other.example.com"]).unwrap();
    let tls = |name| json!({"certificateRefs": [{"name": name}]});
    let changed = [
        certificate("other", &other),
        https_gateway(&[
            ("https", HOST, tls("shop")),
            ("other", "other.example.com", tls("other")),
        ]),
        route_to("other", "other.example.com", "web"),
    ];
    secured.site.apply(&changed).await.unwrap();
    for (name, subject) in [(HOST, "CN = shop"), ("other.example.com", "CN = other")] {
        let shown = text(&s_client(secured.address, &["-servername", name], &last_request()).await);
        assert!(shown.contains(&format!("subject={subject}\n")), "{name}: {shown}");
    }
    let refused = s_client(secured.address, &["-servername", "nobody.example.com"], "").await;
    assert!(text(&refused).contains("unrecognized name"), "{}", text(&refused));

    // RFC 9110 section 15.5.20: a Host of another listener.
    for version in ["--http1.1", "--http2"] {
        let options = [
            version,
            "--header",
            "Host: other.example.com",
            "--write-out",
            "%{http_code}",
        ];
        let misdirected = text(&secured.curl(&options, "/").await);
        assert!(
            misdirected.contains("\"reason\":\"misdirected\""),
            "{misdirected}"
        );
        assert!(misdirected.contains("\n421"), "{misdirected}");
    }
}

/// The first client stays, and has the listener's only place: the next sees no certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_listener_closes_after_the_server_name_while_its_neighbour_serves() {
    let secured = Secured::start(1).await;
    let other = secured.root.issue("other", &["DNS:other.example.com"]).unwrap();
    let tls = |name| json!({"certificateRefs": [{"name": name}]});
    let policy = json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "TrafficPolicy",
        "metadata": {"name": "few"},
        "spec": {
            "targetRefs": [{
                "group": "gateway.networking.k8s.io",
                "kind": "Gateway",
                "name": "edge",
                "sectionName": "https",
            }],
            "limits": {"connections": 1},
        },
    });
    let changed = [
        certificate("other", &other),
        https_gateway(&[
            ("https", HOST, tls("shop")),
            ("other", "other.example.com", tls("other")),
        ]),
        policy,
    ];
    secured.site.apply(&changed).await.unwrap();
    let mut first = Staying::start(secured.address).await;
    let refused = text(&s_client(secured.address, &["-servername", HOST], "").await);
    assert!(refused.contains("no peer certificate available"), "{refused}");
    let asked = ["-servername", "other.example.com"];
    let shown = text(&s_client(secured.address, &asked, &last_request()).await);
    assert!(shown.contains("subject=CN = other\n"), "{shown}");
    let label = format!("listener=\"{LISTENER}\"");
    let labels = [label.as_str()];
    let metric = secured.site.proxies[0].metric("sluice_connections_over_limit_total", &labels);
    assert!(metric.await.unwrap() >= 1.0);
    first.0.kill().await.unwrap();
    let back = eventually("the place comes back", SOON, async || {
        let shown = text(&s_client(secured.address, &["-servername", HOST], &last_request()).await);
        anyhow::ensure!(shown.contains("HTTP/1.1 200 OK"), "{shown}");
        Ok(())
    });
    back.await.unwrap();
}

/// A client that had an answer, and stays.
struct Staying(tokio::process::Child);

impl Staying {
    async fn start(address: std::net::SocketAddr) -> Self {
        let mut client = tokio::process::Command::from(command("openssl"));
        client.args(["s_client", "-quiet", "-connect", &address.to_string()]);
        client.args(["-servername", HOST]).kill_on_drop(true);
        client.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = client.stderr(Stdio::null()).spawn().unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let stdin = client.stdin.as_mut().unwrap();
        stdin.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(client.stdout.as_mut().unwrap());
        let read = tokio::time::timeout(SOON, output.read_line(&mut line));
        read.await.unwrap().unwrap();
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        Self(client)
    }
}

/// The connection that curl keeps lives through the swaps; connections after them see the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_swapped_under_load_and_no_connection_drops() {
    let secured = Secured::start(1).await;
    let mut serials = Vec::new();
    let load = secured.curl(
        &[
            "--write-out",
            "\n%{http_code} %{num_connects}\n",
            "--fail",
            "--output",
            "/dev/null",
        ],
        "/[1-3000]",
    );
    let swaps = async {
        for _ in 0..5 {
            let shop = secured.root.issue("shop", &[&format!("DNS:{HOST}")]).unwrap();
            secured.site.apply(&[certificate("shop", &shop)]).await.unwrap();
            let shown = s_client(secured.address, &["-servername", HOST], &last_request()).await;
            serials.push((shop.serial, text(&shown)));
        }
    };
    let (load, ()) = tokio::join!(load, swaps);
    assert!(load.status.success(), "{}", text(&load));
    let printed = String::from_utf8(load.stdout).unwrap();
    assert_eq!(printed.matches("200 1\n").count(), 1, "one connection");
    assert_eq!(printed.matches("200 0\n").count(), 2_999);
    for (serial, shown) in serials {
        let pem = &shown[shown.find("-----BEGIN").unwrap()..];
        assert_eq!(serial_of(pem), serial);
    }
}

fn serial_of(pem: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shown.pem");
    std::fs::write(&file, pem).unwrap();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["x509", "-noout", "-serial", "-in"]).arg(file);
    let output = openssl.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.trim().strip_prefix("serial=").unwrap().to_owned()
}

/// Responses by openssl, for a certificate whose chain has its issuer: so they are verified whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_ocsp_response_is_stapled_and_one_that_says_revoked_is_refused() {
    let secured = Secured::start(1).await;
    let asked = ["-servername", HOST, "-status"];
    let without = text(&s_client(secured.address, &asked, &last_request()).await);
    assert!(without.contains("OCSP response: no response sent"), "{without}");

    let middle = secured.root.below("middle").unwrap();
    let shop = middle.issue("shop", &[&format!("DNS:{HOST}")]).unwrap();
    let with = |response: &[u8]| {
        let mut secret = certificate("shop", &shop);
        secret["data"] = json!({"tls.ocsp": base64(response)});
        secret
    };
    let good = with(&middle.ocsp(&shop).unwrap());
    secured.site.apply(&[good]).await.unwrap();
    let stapled = text(&s_client(secured.address, &asked, &last_request()).await);
    assert!(stapled.contains("OCSP Response Status: successful"), "{stapled}");
    assert!(stapled.contains("Cert Status: good"), "{stapled}");

    let other = middle.issue("other", &["DNS:other.example.com"]).unwrap();
    let foreign = with(&middle.ocsp(&other).unwrap());
    let revoked = with(&middle.ocsp_of_revoked(&shop).unwrap());
    for (refused, reason) in [(foreign, "says nothing of"), (revoked, "is revoked")] {
        let rest = secured.site.rest();
        let answer = rest
            .send(Method::POST, "/v1/apply", Some(&refused))
            .await
            .unwrap();
        let violations = answer.violations().unwrap();
        assert_eq!(violations[0].field, "data[\"tls.ocsp\"]", "{answer:?}");
        assert!(answer.body.to_string().contains(reason), "{answer:?}");
    }
}

fn base64(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bytes");
    std::fs::write(&file, bytes).unwrap();
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["base64", "-A", "-in"]).arg(file);
    String::from_utf8(openssl.output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_version_of_tls_is_a_setting() {
    let options = json!({"options": {"sluice.dev/min-version": "1.3"}});
    let strict = Secured::with(1, &options, |_| Vec::new()).await;
    let lenient = Secured::start(1).await;
    for (secured, version, accepted) in [
        (&strict, "-tls1_3", true),
        (&strict, "-tls1_2", false),
        (&lenient, "-tls1_3", true),
        (&lenient, "-tls1_2", true),
        (&lenient, "-tls1_1", false),
    ] {
        let output = s_client(secured.address, &["-servername", HOST, version], &last_request()).await;
        let answered = text(&output).contains("HTTP/1.1 200 OK");
        assert_eq!(answered, accepted, "{version}: {}", text(&output));
    }
}

/// The certificate's key is of P-256: clients that can only use RSA are told that nothing fits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_which_nothing_is_in_common_gets_handshake_failure() {
    let secured = Secured::start(1).await;
    for options in [
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"],
        ["-tls1_3", "-sigalgs", "RSA-PSS+SHA256"],
    ] {
        let options = [&["-servername", HOST], &options[..]].concat();
        let refused = text(&s_client(secured.address, &options, "").await);
        assert!(refused.contains("handshake failure"), "{options:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_of_every_hostname_serves_clients_that_send_no_name() {
    let directory = tempfile::tempdir().unwrap();
    let root = sluice_tests::authority::Authority::root(directory.path(), "root").unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::with(1, None, &["--port-map", "443=0"]).await.unwrap();
    let any = root.issue("any", &["DNS:*.example.com"]).unwrap();
    let mut gateway = https_gateway(&[("https", HOST, json!({"certificateRefs": [{"name": "any"}]}))]);
    let listener = gateway["spec"]["listeners"][0].as_object_mut().unwrap();
    listener.remove("hostname");
    let web = backend("web", &[upstream.address]);
    site.apply(&[
        certificate("any", &any),
        gateway,
        web,
        route_to("shop", HOST, "web"),
    ])
    .await
    .unwrap();
    let address = site.proxies[0].listening(LISTENER, 1, SOON).await.unwrap();
    let output = s_client(address, &["-noservername"], &last_request()).await;
    assert!(text(&output).contains("HTTP/1.1 200 OK"), "{}", text(&output));
}
