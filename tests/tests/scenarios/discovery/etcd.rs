//! Services that come and go in etcd.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get};
use sluice_tests::etcd::{self, Etcd};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::{HOST, backend, gateway};
use sluice_tests::site::SOON;

use super::{AT_ONCE, echo, register, revision, served_by, served_by_nobody, service, site, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_registers_itself_takes_traffic_and_one_whose_lease_ends_does_not() {
    let etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by_nobody(address).await;
    let before = revision(site.rest()).await;

    // As the documentation says: a lease, a sign of life now and then, and the key under it.
    let lease = etcd.ctl(&["lease", "grant", "5"]).unwrap();
    let lease = lease.split_whitespace().nth(1).unwrap().to_owned();
    let mut alive = etcd.background(&["lease", "keep-alive", &lease]).unwrap();
    alive.first_line(SOON).await.unwrap();
    let value = format!("{{\"Addr\":\"{}\"}}", one.address);
    etcd.ctl(&["put", "--lease", &lease, "services/web/one", &value])
        .unwrap();
    served_by(address, "one", AT_ONCE).await;
    register(&etcd, "other", other.address);
    served_by(address, "other", AT_ONCE).await;
    told(site.rest(), "Discovered", "2 endpoints").await;

    drop(alive);
    told(site.rest(), "Discovered", "1 endpoints").await;
    etcd.ctl(&["del", "services/web/other"]).unwrap();
    served_by_nobody(address).await;
    // A neighbour whose name begins alike is somebody else.
    etcd.ctl(&["put", "services/website/x", &value]).unwrap();
    told(site.rest(), "Discovered", "0 endpoints").await;
    assert_eq!(revision(site.rest()).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_are_no_endpoints_are_skipped_and_told() {
    let etcd = Etcd::start().await.unwrap();
    let one = echo("one").await;
    etcd.ctl(&["put", "services/web/bad", "10.0.0.1:80"]).unwrap();
    register(&etcd, "one", one.address);
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    told(
        site.rest(),
        "SomeSkipped",
        "1 endpoints found, 1 values skipped; services/web/bad: not JSON",
    )
    .await;
    let metrics = site.rest().request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for line in [
        "sluice_discovery_sources_up{source=\"etcd\"} 1",
        "sluice_discovery_endpoints{source=\"etcd\"} 1",
        "sluice_discovery_skipped{source=\"etcd\"} 1",
        "sluice_discovery_sources_up{source=\"dns\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_come_with_the_registration() {
    let etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let idle = json!({"Addr": other.address.to_string(), "Metadata": {"weight": 0}}).to_string();
    etcd.ctl(&["put", "services/web/other", &idle]).unwrap();
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    told(site.rest(), "Discovered", "2 endpoints").await;
    served_by(address, "one", AT_ONCE).await;
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    for _ in 0..50 {
        let answer = connection.send(get(HOST, "/")).await.unwrap();
        assert_eq!(answer.echo().unwrap().upstream, "one");
    }
}

/// Changes of the endpoints beside one that stays.
const CHANGES: u16 = 3_000;

/// As fast as etcd takes them: 50 endpoints, each somewhere else again and again.
async fn churn(etcd: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let changes = (0..CHANGES).map(|change| {
        // Weight 0: they are endpoints, and take no traffic.
        let address = format!("127.0.0.2:{}", 10_000 + change);
        let value = json!({"Addr": address, "Metadata": {"weight": 0}});
        let (client, etcd) = (&client, &etcd);
        async move {
            let key = format!("services/web/moving-{}", change % 50);
            etcd::put(client, etcd, &key, &value.to_string()).await.unwrap();
        }
    });
    let mut changes = futures_util::stream::iter(changes).buffer_unordered(32);
    while changes.next().await.is_some() {}
}

/// A second's worth of changes and more, on endpoints beside one that stays: nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_changes_reset_nothing_of_what_stays_and_are_a_few_updates() {
    let etcd = Etcd::start().await.unwrap();
    let stays = echo("stays").await;
    register(&etcd, "stays", stays.address);
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "stays", AT_ONCE).await;
    let before = revision(site.rest()).await;
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let peer = connection
        .send(get(HOST, "/"))
        .await
        .unwrap()
        .echo()
        .unwrap()
        .peer;

    let start = Instant::now();
    let churning = tokio::spawn(churn(etcd.url()));
    let mut served = 0u32;
    while !churning.is_finished() {
        let answer = connection.send(get(HOST, "/")).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        // The same connection to the endpoint, all the time.
        assert_eq!(answer.echo().unwrap().peer, peer);
        served += 1;
    }
    churning.await.unwrap();
    let took = start.elapsed();
    assert!(served > 0);
    told(site.rest(), "Discovered", "51 endpoints").await;
    let metrics = site.rest().request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let updates = "sluice_discovery_updates_total{source=\"etcd\"} ";
    let updates = metrics
        .lines()
        .find_map(|line| line.strip_prefix(updates))
        .unwrap();
    let updates: u128 = updates.parse().unwrap();
    // Ten lists of endpoints a second at most.
    assert!(updates <= took.as_millis() / 100 + 10, "{updates} in {took:?}");

    let last = echo("last").await;
    register(&etcd, "last", last.address);
    served_by(address, "last", AT_ONCE).await;
    assert_eq!(revision(site.rest()).await, before);
}

/// What is known of an endpoint survives the coming and going of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_ejected_stays_so_while_others_come_and_go() {
    let etcd = Etcd::start().await.unwrap();
    let good = echo("good").await;
    // Nobody listens there.
    let dead = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 3), good.address.port()));
    register(&etcd, "good", good.address);
    register(&etcd, "dead", dead);
    let site = site(&service(&[etcd.url()]), &[]).await;
    let ejected = async || {
        let answer = site.rest().send(Method::GET, "/v1/fleet/edge-1", None).await?;
        let text = answer.body.to_string().to_lowercase();
        anyhow::ensure!(
            text.contains(&dead.to_string()) && text.contains("ejected"),
            "{text}"
        );
        Ok(())
    };
    let address = site.address().await.unwrap();
    served_by(address, "good", AT_ONCE).await;
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    eventually("the dead one is ejected", SOON, async || {
        connection.send(get(HOST, "/")).await?;
        ejected().await
    })
    .await
    .unwrap();
    let third = echo("third").await;
    register(&etcd, "third", third.address);
    served_by(address, "third", AT_ONCE).await;
    eventually("it still is", SOON, ejected).await.unwrap();
    // The other way round: a Backend that gives discovery up takes what it says itself.
    site.apply(&[gateway(), backend("web", &[third.address])])
        .await
        .unwrap();
    served_by(address, "third", Duration::ZERO).await;
    etcd.ctl(&["del", "--prefix", "services/web/"]).unwrap();
    served_by(address, "third", Duration::ZERO).await;
}
