//! What a control plane starts with: addresses, tokens, envelope keys.

use sluice_control::store::StoreError;
use sluice_control::{Config, Control, Running, StartError};
use sluice_model::Revision;
use sluice_proto::v1::fleet_client::FleetClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::site::{config, secret, write};

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
