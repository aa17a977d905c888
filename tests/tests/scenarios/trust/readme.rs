//! What the README says about joining goes as written.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use sluice_tests::eventually::eventually;
use sluice_tests::process::{self, Process};
use sluice_tests::servers::binary;
use sluice_tests::site::{SOON, TOKEN};

use super::fleet::Fleet;

/// The commands of the section, block by block.
fn blocks() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(file).unwrap();
    let (_, section) = readme.split_once("### A proxy that joins\n").unwrap();
    let (section, _) = section.split_once("\n### ").unwrap();
    let blocks = section.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0.replace("$ ", ""));
    blocks.collect()
}

/// A shell in the fleet's directory, with the built programs and the fleet's token.
fn shell(fleet: &Fleet, commands: &str) -> Command {
    let programs = binary("sluice").unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = process::command("bash");
    shell
        .args(["-euo", "pipefail", "-c", commands])
        .current_dir(fleet.path());
    shell.env("PATH", format!("{}:{path}", programs.parent().unwrap().display()));
    shell
        .env("SLUICE_ADMIN", fleet.rest().url(""))
        .env("SLUICE_TOKEN", TOKEN);
    shell
}

/// What the commands print.
fn run(fleet: &Fleet, commands: &str) -> String {
    let output = shell(fleet, commands).output().unwrap();
    assert!(output.status.success(), "{commands}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_joins_and_is_revoked_as_the_readme_says() {
    let blocks = blocks();
    let [create, start, look, revoke, rotate] = &blocks[..] else {
        panic!("{blocks:?}");
    };
    let fleet = Fleet::start(&[]).await.unwrap();
    run(&fleet, create);
    let start = start
        .replace("10.0.0.1:7401", &fleet.grpc().to_string())
        .replace("sluice-proxy ", "exec sluice-proxy --admin 127.0.0.1:0 ");
    let proxy = Process::spawn("the proxy of the README", shell(&fleet, &start)).unwrap();
    let joined = fleet.connected("edge-1", true, SOON).await;
    let joined = joined
        .map_err(|error| format!("{error:#} {}", proxy.log()))
        .unwrap();
    assert_eq!(joined["authentication"], "certificate", "{joined}");
    assert_eq!(joined["labels"], json!({"zone": "eu"}), "{joined}");
    assert!(fleet.path().join("state/identity").is_file(), "what it stores");

    let told = run(&fleet, look);
    assert!(
        told.contains("used by edge-1") && told.contains("zone=eu"),
        "{told}"
    );
    assert_eq!(run(&fleet, revoke), "certificate of proxy edge-1 revoked\n");
    fleet.connected("edge-1", false, SOON).await.unwrap();
    eventually("it is told why", SOON, async || {
        anyhow::ensure!(
            proxy.log().contains("the certificate was revoked"),
            "{}",
            proxy.log()
        );
        Ok(())
    })
    .await
    .unwrap();
    // A new token in the same file, and it comes back without a restart.
    run(&fleet, create);
    fleet.connected("edge-1", true, SOON).await.unwrap();
    let told = run(&fleet, rotate);
    assert!(told.contains("issuing") && told.contains("incoming"), "{told}");
}
