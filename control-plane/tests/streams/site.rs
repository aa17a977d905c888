//! A control plane in this process, and what is written to it.

use std::net::SocketAddr;
use std::time::Duration;

use sluice_control::live::{Precondition, Wish, WriteRequest};
use sluice_control::{CERTIFICATE_LIFETIME, Config, Running, TICKET_ROTATION, discovery};
use sluice_intent::Format;
use sluice_model::Revision;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// On free ports of loopback, with a store in memory.
pub(crate) fn config() -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config {
        database_urls: vec!["sqlite::memory:".into()],
        admin: any,
        grpc: any,
        key_file: None,
        ticket_rotation: TICKET_ROTATION,
        discovery: discovery::Config::default(),
        certificate_lifetime: CERTIFICATE_LIFETIME,
        leave_out: Vec::new(),
        max_streams: sluice_control::MAX_STREAMS,
        keep_samples: sluice_control::KEEP_SAMPLES,
        token: None,
    }
}

pub(crate) async fn write(control: &Running, wish: Wish) -> Revision {
    let request = WriteRequest {
        wish,
        dry_run: false,
        dangling: sluice_control::compile::DanglingRefs::Refuse,
        base: None,
        author: "test".into(),
        scope: sluice_control::store::Scope::Everything,
        message: String::new(),
        idempotency_key: None,
    };
    control.live().write(request).await.unwrap().revision
}

pub(crate) fn backend(name: &str) -> Wish {
    put(&format!(
        "apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}}}\n\
         spec: {{endpoints: [{{address: 10.0.0.1, port: 80}}]}}\n"
    ))
}

/// The Secret `api`, whose `password` is `value`.
pub(crate) fn secret(value: &str) -> Wish {
    put(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: api}}\nstringData: {{password: {value}}}\n"
    ))
}

fn put(yaml: &str) -> Wish {
    let resource = sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default")
        .unwrap()
        .remove(0);
    Wish::Put(Box::new(resource), Precondition::None)
}

/// Waits until all of `proxies` run `revision`.
pub(crate) async fn applied(control: &Running, revision: Revision, proxies: usize) {
    let quorum = "1".parse().unwrap();
    let receipt = control
        .fleet()
        .wait(revision, quorum, PATIENCE, control.live().watch())
        .await;
    assert_eq!(
        (receipt.fleet, receipt.applied),
        (proxies, proxies),
        "{receipt:?}"
    );
}
