//! The seeds in `corpus` are what they are meant to be: inputs that get past the first checks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf};

use prost::Message;
use sluice_core::{Snapshot, Update, normalize_host, normalize_path};
use sluice_fuzz::{
    http1,
    promises::{HISTORY, position, receive},
    tls,
    world::World,
};
use sluice_intent::{Format, parse};
use sluice_proto::v1;

fn corpus(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "corpus", target].iter().collect()
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(corpus(target)).unwrap();
    let seeds: Vec<_> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!seeds.is_empty());
    seeds
}

#[test]
fn every_manifest_is_read() {
    for seed in seeds("intent_yaml") {
        assert!(!parse(&seed, Format::Auto, "default").unwrap().is_empty());
    }
}

#[test]
fn every_request_target_is_a_path_or_a_host() {
    for seed in seeds("request_target") {
        let text = String::from_utf8(seed).unwrap();
        assert!(
            normalize_path(&text).is_ok() || normalize_host(&text).is_ok(),
            "{text}"
        );
    }
}

#[test]
fn every_message_is_let_in() {
    type LetIn = fn(&[u8]) -> bool;
    let targets: [(&str, LetIn); 4] = [
        ("client_hello", tls::client_hello),
        ("request_head", http1::request_head),
        ("response_head", http1::response_head),
        ("chunked_body", http1::chunked_body),
    ];
    for (target, is_let_in) in targets {
        for seed in seeds(target) {
            assert!(is_let_in(&seed), "{target}: {}", seed.escape_ascii());
        }
    }
}

/// After a change of the wire format: `SEED=write cargo test -p sluice-fuzz --test seeds`.
#[test]
fn the_update_is_one_of_todays_format_and_builds() {
    let resources = World::small().unwrap().resources();
    let update = Update::full(HISTORY, position(1, &resources), &resources);
    let bytes = update.to_wire().encode_to_vec();
    let file = corpus("wire_snapshot").join("small");
    if std::env::var_os("SEED").is_some_and(|wish| wish == "write") {
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let read = Update::from_wire(v1::Update::decode(&*bytes).unwrap()).unwrap();
    assert_eq!(
        receive(&Snapshot::empty(HISTORY), &read).unwrap().rules().count(),
        1
    );
}
