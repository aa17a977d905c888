//! What is secret stays so: everything that the product writes, prints, logs and answers is searched
//! for what was put into Secrets, in every form that it could take.

mod marker;
mod witness;

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use sluice_tests::client::get;
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::site::SOON;
use sluice_tests::upstream::Upstream;

use marker::{Certificate, Marker, base64};
use witness::Witness;

/// As `kubectl get -o yaml` prints it, with what it keeps of the last `kubectl apply`.
fn secret(name: &str, kind: &str, data: Value) -> Value {
    let mut secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind, "data": data});
    let applied = format!("{secret}\n");
    secret["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": applied});
    secret
}

fn tls(name: &str, certificate: &Certificate) -> Value {
    let data = json!({"tls.crt": base64(&certificate.chain), "tls.key": base64(&certificate.key)});
    secret(name, "kubernetes.io/tls", data)
}

/// A Gateway whose HTTPS listener serves the Secret `shop`.
fn https_gateway() -> Value {
    let mut gateway = gateway();
    let listener = json!({
        "name": "https", "port": 443, "protocol": "HTTPS", "hostname": HOST,
        "tls": {"certificateRefs": [{"name": "shop"}]},
    });
    gateway["spec"]["listeners"]
        .as_array_mut()
        .unwrap()
        .push(listener);
    gateway
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_written_anywhere_shows_what_a_secret_holds_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("data/control.db").display());
    std::fs::create_dir(directory.path().join("data")).unwrap();
    let witness = Witness::start(directory.path(), &url, &[]).await.unwrap();
    nothing_shows(witness, directory.path(), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_written_anywhere_shows_what_a_secret_holds_on_postgres() {
    let postgres = Postgres::start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    std::fs::write(&keys, base64(&[7; 32])).unwrap();
    let options = ["--key-file", keys.to_str().unwrap()];
    let witness = Witness::start(directory.path(), &postgres.url(), &options)
        .await
        .unwrap();
    nothing_shows(witness, directory.path(), Some(&postgres))
        .await
        .unwrap();
}

async fn nothing_shows(
    mut witness: Witness,
    directory: &Path,
    postgres: Option<&Postgres>,
) -> anyhow::Result<()> {
    let (first, second) = (Certificate::new(HOST)?, Certificate::new(HOST)?);
    let password = Marker::random("password")?;
    let text = Marker::random("text")?.as_text();

    let opaque = |password: &Marker| {
        let mut opaque = secret("api", "Opaque", json!({"password": base64(password.bytes())}));
        opaque["stringData"] = json!({"text": text.text()});
        opaque
    };
    let upstream = Upstream::echo("web").await?;
    let rest = [backend("web", &[upstream.address]), route_to("shop", HOST, "web")];
    let mut all = vec![tls("shop", &first), opaque(&password), https_gateway()];
    all.extend(rest);
    witness.applied(&list(&all)).await?;
    witness.applied(&list(&all)).await?;
    witness.applied(&tls("shop", &second)).await?;
    witness.rest_of_the_interface(&list(&all)).await?;
    refusals(&mut witness, &first, &password).await?;
    witness.commands(&all).await?;
    let answer = witness.request(get(HOST, "/a?b=c")).await?;
    assert_eq!(answer.status, 200);
    eventually("the request is logged", SOON, async || {
        anyhow::ensure!(std::fs::metadata(directory.join("access.log"))?.len() > 0);
        Ok(())
    })
    .await?;
    if let Some(postgres) = postgres {
        witness.saw("the rows of Postgres", postgres.sql(DUMP)?.into_bytes());
    }
    witness.stop().await?;
    witness.saw_files(directory)?;
    let certificates = first.markers.iter().chain(&second.markers);
    let markers: Vec<_> = certificates.chain([&password, &text]).collect();
    // What was written has all of them, so the search knows the forms that matter.
    let documents = [list(&all).to_string(), tls("shop", &second).to_string()].concat();
    let written = [documents.as_bytes(), &first.key, &second.key].concat();
    for marker in &markers {
        assert!(marker.is_in(&written), "{marker:?}");
    }
    witness.holds_none_of(&markers);
    for (place, text) in [
        ("control.log", "TRACE"),
        ("proxy.log", "TRACE"),
        ("access.log", HOST),
        ("edge-1/snapshot", "sealed"),
        ("sluice describe secret", "Secret"),
    ] {
        assert!(witness.saw_in(place, text), "{place}");
    }
    Ok(())
}

/// Every row of every table, bytes in hexadecimal.
const DUMP: &str = "SET xmlbinary = hex; SELECT database_to_xml(true, false, '')";

/// Input that is wrong in every way that an error could quote.
async fn refusals(witness: &mut Witness, certificate: &Certificate, password: &Marker) -> anyhow::Result<()> {
    let (key, word) = (base64(&certificate.key), base64(password.bytes()));
    let other = Certificate::new("other.example.com")?;
    let spoilt = [
        secret("bad", "Opaque", json!({"password": format!("{word}!")})),
        secret("bad", "Opaque", json!({"password": [word]})),
        secret("bad", "Opaque", json!({"password": {"value": word}})),
        secret("bad", "Opaque", json!({"password": "<redacted>"})),
        secret(
            "bad",
            "kubernetes.io/tls",
            json!({"tls.crt": key, "tls.key": key}),
        ),
        secret("bad", "kubernetes.io/tls", json!({"tls.key": key})),
        secret(
            "shop",
            "kubernetes.io/tls",
            json!({"tls.crt": base64(&other.chain), "tls.key": key}),
        ),
        secret(
            "shop",
            "kubernetes.io/tls",
            json!({"tls.crt": base64(&other.chain), "tls.key": word}),
        ),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad"}, "spec": {"data": {"a": word}}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad"}, "data": word}),
    ];
    for document in &spoilt {
        witness
            .refused(
                Method::POST,
                "/v1/apply",
                "application/json",
                document.to_string(),
            )
            .await?;
    }
    let shop = "/v1/namespaces/default/secrets/shop";
    for patch in [
        json!({"data": {"tls.key": word}}),
        json!({"data": {"tls.key": [key]}}),
        json!({"data": key}),
        json!({"stringData": {"tls.key": 7, "tls.crt": {"a": key}}}),
    ] {
        let body = patch.to_string();
        witness
            .refused(Method::PATCH, shop, "application/merge-patch+json", body)
            .await?;
    }
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: bad}\n";
    for (media, body) in [
        (
            "application/yaml",
            format!("{head}data:\n  password: {word}\n password: {word}\n"),
        ),
        (
            "application/yaml",
            format!("{head}data: {{password: {word}, *{word}}}\n"),
        ),
        ("application/yaml", format!("{head}data: [\"{word}\n")),
        ("application/yaml", format!("{head}data: !!{word} 7\n")),
        (
            "application/json",
            format!("{{\"kind\": \"Secret\", \"data\": {{\"password\": \"{word}\", {word}}}}}"),
        ),
        (
            "application/json",
            format!("{{\"kind\": \"Secret\", \"data\": {{\"password\": \"{word}"),
        ),
    ] {
        witness.refused(Method::POST, "/v1/apply", media, body).await?;
    }
    Ok(())
}
