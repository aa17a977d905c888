//! A control plane as a whole, met over real sockets as a proxy meets it.

// Clippy's `allow-unwrap-in-tests` does not reach functions that tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use sluice_control::live::{Precondition, Wish, WriteRequest};
use sluice_control::store::{KeyRing, Store, StoreError};
use sluice_control::{
    CERTIFICATE_LIFETIME, Config, Control, Running, StartError, TICKET_ROTATION, discovery,
};
use sluice_core::{Snapshot, Update};
use sluice_intent::Format;
use sluice_model::{HistoryId, Revision};
use sluice_proto::v1::{self, control_message, fleet_client::FleetClient, proxy_message::Body};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

const PATIENCE: Duration = Duration::from_secs(20);

fn config() -> Config {
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

/// A proxy that applies what it gets with the proxies' own code.
struct Proxy {
    outbound: mpsc::Sender<v1::ProxyMessage>,
    inbound: Streaming<v1::ControlMessage>,
    snapshot: Snapshot,
}

impl Proxy {
    async fn join(grpc: SocketAddr, id: &str, instance: u8) -> Self {
        let channel = Channel::from_shared(format!("http://{grpc}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        let (outbound, messages) = mpsc::channel(8);
        let hello = v1::Hello {
            proxy_id: id.into(),
            instance: vec![instance; 16],
            ..v1::Hello::default()
        };
        outbound
            .send(v1::ProxyMessage {
                body: Some(Body::Hello(hello)),
            })
            .await
            .unwrap();
        let inbound = FleetClient::new(channel)
            .subscribe(ReceiverStream::new(messages))
            .await
            .unwrap();
        let mut proxy = Self {
            outbound,
            inbound: inbound.into_inner(),
            snapshot: Snapshot::empty(HistoryId::default()),
        };
        let Some(control_message::Body::Welcome(welcome)) = proxy.receive().await else {
            panic!("the first answer is Welcome")
        };
        assert_eq!(welcome.history.len(), 16);
        proxy
    }

    async fn receive(&mut self) -> Option<control_message::Body> {
        let message = tokio::time::timeout(PATIENCE, self.inbound.message())
            .await
            .expect("an answer in time");
        message.ok()?.and_then(|message| message.body)
    }

    /// Applies the next update; the number of resources that it changes.
    async fn step(&mut self) -> usize {
        let Some(control_message::Body::Update(update)) = self.receive().await else {
            panic!("no update")
        };
        let ack = v1::Ack {
            history: update.history.clone(),
            position: update.target.clone(),
            build_us: 7,
            ..v1::Ack::default()
        };
        let update = Update::from_wire(update).unwrap();
        self.snapshot = self.snapshot.apply(&update).unwrap();
        self.say(Body::Ack(ack)).await;
        update.difference.upserts.len()
    }

    async fn say(&self, body: Body) {
        self.outbound
            .send(v1::ProxyMessage { body: Some(body) })
            .await
            .unwrap();
    }
}

async fn write(control: &Running, wish: Wish) -> Revision {
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

fn backend(name: &str) -> Wish {
    let yaml = format!(
        "apiVersion: sluice.dev/v1\nkind: Backend\nmetadata: {{name: {name}}}\n\
         spec: {{endpoints: [{{address: 10.0.0.1, port: 80}}]}}\n"
    );
    let resource = sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default")
        .unwrap()
        .remove(0);
    Wish::Put(Box::new(resource), Precondition::None)
}

async fn applied(control: &Running, revision: Revision, proxies: usize) {
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

#[tokio::test]
async fn a_change_reaches_every_proxy_as_a_difference_and_comes_back_as_a_receipt() {
    let control = Control::start(config()).await.unwrap();
    assert_eq!(control.token.as_ref().map(String::len), Some(64));
    let mut proxies = [
        Proxy::join(control.grpc, "a", 1).await,
        Proxy::join(control.grpc, "b", 2).await,
    ];
    for proxy in &mut proxies {
        assert_eq!(proxy.step().await, 1, "the keys of session tickets");
    }
    applied(&control, Revision(0), 2).await;
    for (name, number) in [("one", 1), ("two", 2)] {
        let revision = write(&control, backend(name)).await;
        assert_eq!(revision, Revision(number));
        for proxy in &mut proxies {
            assert_eq!(proxy.step().await, 2, "the Backend and its endpoints");
        }
        applied(&control, revision, 2).await;
    }
    let live = control.live().published();
    for proxy in &proxies {
        assert_eq!(proxy.snapshot.position(), live.world.position());
        assert_eq!(proxy.snapshot.backends().count(), 2);
    }
    control.shutdown().await;
    for proxy in &mut proxies {
        assert!(
            proxy.receive().await.is_none(),
            "the stream ends with the control plane"
        );
    }
}

#[tokio::test]
async fn a_goodbye_takes_a_proxy_out_of_the_fleet_at_once() {
    let control = Control::start(config()).await.unwrap();
    let mut proxy = Proxy::join(control.grpc, "a", 1).await;
    proxy.step().await;
    applied(&control, Revision(0), 1).await;
    proxy.say(Body::Goodbye(v1::Goodbye::default())).await;
    assert!(proxy.receive().await.is_none());
    let listed = control
        .fleet()
        .proxies(&control.live().published(), tokio::time::Instant::now());
    assert!(listed.is_empty(), "{listed:?}");
    control.shutdown().await;
}

#[tokio::test]
async fn a_second_process_with_the_same_id_displaces_the_first() {
    let control = Control::start(config()).await.unwrap();
    let mut first = Proxy::join(control.grpc, "a", 1).await;
    first.step().await;
    let mut second = Proxy::join(control.grpc, "a", 2).await;
    assert!(first.receive().await.is_none());
    second.step().await;
    applied(&control, Revision(0), 1).await;
    control.shutdown().await;
}

#[tokio::test]
async fn plain_text_is_taken_on_loopback_only_and_a_taken_port_is_said() {
    let keyless = Config {
        database_urls: vec!["postgres://127.0.0.1:1/none".into()],
        grpc: "0.0.0.0:0".parse().unwrap(),
        ..config()
    };
    assert!(matches!(
        Control::start(keyless).await,
        Err(StartError::NoAuthority(_))
    ));
    let open = Config {
        grpc: "0.0.0.0:0".parse().unwrap(),
        ..config()
    };
    let control = Control::start(open).await.unwrap();
    let address = format!("http://127.0.0.1:{}", control.grpc.port());
    let plain = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let (_hello, messages) = mpsc::channel(1);
    let answer = FleetClient::new(plain)
        .subscribe(ReceiverStream::new(messages))
        .await;
    assert!(answer.is_err(), "even from here nobody is let in without TLS");
    control.shutdown().await;
    let control = Control::start(config()).await.unwrap();
    let taken = Config {
        admin: control.admin,
        ..config()
    };
    assert!(
        matches!(Control::start(taken).await, Err(StartError::Listen { address, .. }) if address == control.admin)
    );
    control.shutdown().await;
}

#[tokio::test]
async fn a_preset_token_is_stored_once_and_a_new_one_is_made_for_an_empty_store_only() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("control.db").display());
    let on_file = |token: Option<&str>| Config {
        database_urls: vec![url.clone()],
        token: token.map(str::to_owned),
        ..config()
    };
    for preset in [Some("0123456789abcdef"), Some("0123456789abcdef"), None] {
        let control = Control::start(on_file(preset)).await.unwrap();
        assert_eq!(control.token, None);
        control.shutdown().await;
    }
}

fn secret(value: &str) -> Wish {
    let yaml =
        format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: api}}\nstringData: {{password: {value}}}\n");
    let resource = sluice_intent::parse(yaml.as_bytes(), Format::Yaml, "default")
        .unwrap()
        .remove(0);
    Wish::Put(Box::new(resource), Precondition::None)
}

#[tokio::test]
async fn an_envelope_key_is_replaced_over_restarts_and_the_secrets_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let url = format!("sqlite://{}", directory.path().join("control.db").display());
    let (old, new) = (
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
        "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=",
    );
    let start = async |keys: &[&str]| {
        std::fs::write(&path, keys.join("\n")).unwrap();
        Control::start(Config {
            database_urls: vec![url.clone()],
            key_file: Some(path.clone()),
            ..config()
        })
        .await
    };
    let control = start(&[old]).await.unwrap();
    assert_eq!(write(&control, secret("hunter2")).await, Revision(1));
    let id = "Secret/default/api".parse().unwrap();
    let print = |control: &Running| {
        control
            .live()
            .fingerprints()
            .fingerprint(&id, "password", b"hunter2")
    };
    let before = print(&control);
    control.shutdown().await;
    assert!(matches!(
        start(&[new]).await,
        Err(StartError::Store(StoreError::UnknownKey))
    ));
    start(&[new, old]).await.unwrap().shutdown().await;
    // Without the old one, what is stored is still the same.
    let control = start(&[new]).await.unwrap();
    assert_eq!(print(&control), before);
    assert_eq!(write(&control, secret("hunter2")).await, Revision(1));
    assert_eq!(write(&control, secret("hunter3")).await, Revision(2));
    control.shutdown().await;
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(
        Control::start(Config {
            key_file: Some(path),
            ..config()
        })
        .await,
        Err(StartError::KeyFile(_))
    ));
}

/// Refuses the next update; the revision that it was to.
async fn refuse(proxy: &mut Proxy) -> u64 {
    let Some(control_message::Body::Update(update)) = proxy.receive().await else {
        panic!("no update")
    };
    let revision = update.target.as_ref().map_or(0, |target| target.revision);
    let violation = v1::Violation {
        resource: "backend/default/two".into(),
        code: "invalid".into(),
        ..v1::Violation::default()
    };
    let nack = v1::Nack {
        history: update.history,
        position: update.target,
        violations: vec![violation],
        retrying: false,
    };
    proxy.say(Body::Nack(nack)).await;
    revision
}

#[tokio::test]
async fn a_newcomer_starts_at_what_was_good_also_after_a_restart_of_the_control_plane() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("control.db").display());
    let on_file = || Config {
        database_urls: vec![url.clone()],
        ..config()
    };
    let control = Control::start(on_file()).await.unwrap();
    let mut old = Proxy::join(control.grpc, "old", 1).await;
    old.step().await;
    write(&control, backend("one")).await;
    old.step().await;
    applied(&control, Revision(1), 1).await;
    write(&control, backend("two")).await;
    assert_eq!(refuse(&mut old).await, 2);

    let starts_at_the_good_one = async |control: &Running, id: &str| {
        let mut newcomer = Proxy::join(control.grpc, id, 2).await;
        newcomer.step().await;
        assert_eq!(newcomer.snapshot.position().revision, Revision(1), "{id}");
        // From there it goes on like all, and may find that the newest is no good.
        assert_eq!(refuse(&mut newcomer).await, 2, "{id}");
        newcomer
    };
    let _second = starts_at_the_good_one(&control, "second").await;
    let history = control.live().published().version.history;
    let store = Store::open(std::slice::from_ref(&url), KeyRing::default())
        .await
        .unwrap();
    let stored = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while store.fallbacks(history).await.unwrap().is_empty() {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, stored)
        .await
        .expect("stored in time");
    store.close().await;
    control.shutdown().await;

    let control = Control::start(on_file()).await.unwrap();
    let _third = starts_at_the_good_one(&control, "third").await;
    control.shutdown().await;
}

#[tokio::test]
async fn a_newcomer_that_refuses_what_is_newest_is_sent_what_others_accepted_before() {
    let control = Control::start(config()).await.unwrap();
    let mut old = Proxy::join(control.grpc, "old", 1).await;
    old.step().await;
    for (number, name) in [(1, "one"), (2, "two")] {
        write(&control, backend(name)).await;
        old.step().await;
        applied(&control, Revision(number), 1).await;
    }
    let mut newcomer = Proxy::join(control.grpc, "new", 2).await;
    assert_eq!(refuse(&mut newcomer).await, 2, "all of the fleet run it");
    newcomer.step().await;
    assert_eq!(newcomer.snapshot.position().revision, Revision(1));
    let receipt = |revision| {
        let (published, now) = (control.live().published(), tokio::time::Instant::now());
        control.fleet().receipt(Revision(revision), &published, now)
    };
    let accepted = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while receipt(1).applied < 2 {
            pause.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.expect("accepted");
    assert_eq!(receipt(2).refused_count, 1, "it runs what is before that");
    write(&control, backend("three")).await;
    for proxy in [&mut old, &mut newcomer] {
        proxy.step().await;
        assert_eq!(proxy.snapshot.position().revision, Revision(3));
    }
    applied(&control, Revision(3), 2).await;
    control.shutdown().await;
}
