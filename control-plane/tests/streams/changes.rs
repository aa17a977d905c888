//! A change on its way to the fleet and back, and proxies that come and go.

use sluice_control::Control;
use sluice_model::Revision;
use sluice_proto::v1::{self, proxy_message::Body};

use crate::proxy::Proxy;
use crate::site::{applied, backend, config, write};

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
