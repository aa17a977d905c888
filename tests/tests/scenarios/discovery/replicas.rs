//! Several control planes that watch one etcd, each for itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use prost::Message as _;
use serde_json::{Value, json};
use sluice_proto::v1::{Endpoints, Update};
use sluice_tests::cluster::Cluster;
use sluice_tests::etcd::{self, Etcd};
use sluice_tests::eventually::eventually;
use sluice_tests::fake_proxy::FakeProxy;
use sluice_tests::manifest::{HOST, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::site::SOON;

use super::{discovering, revision, service};
use crate::replicas::{holding, obedient};

/// Endpoints that there are when all is over.
const LEFT: u16 = 20;

/// How many endpoints of the Backend `web` the update brings; `None` when it brings none at all.
fn endpoints(update: &Update) -> Option<usize> {
    let of_web = |key: &str| key == "endpoints/default/web";
    let entry = update.upserts.iter().find(|one| of_web(&one.key))?;
    Some(Endpoints::decode(&*entry.body).unwrap().endpoints.len())
}

/// Writes to etcd as fast as it takes them, in no order: endpoints that come, move and go.
async fn churn(etcd: &Etcd) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = etcd.url();
    let register = |member: u16, port: u16| {
        let address = SocketAddr::from(([127, 0, 0, 2], port));
        let value = json!({"Addr": address.to_string()}).to_string();
        let key = format!("services/web/member-{member}");
        let (client, url) = (&client, &url);
        async move { etcd::put(client, url, &key, &value).await.unwrap() }
    };
    for round in 0..10 {
        let all = (0..2 * LEFT).map(|member| register(member, 1000 + 100 * round + member));
        futures_util::future::join_all(all).await;
        let gone = format!("services/web/member-{}", LEFT + round);
        etcd.ctl(&["del", &gone]).unwrap();
    }
    for member in LEFT..2 * LEFT {
        let gone = format!("services/web/member-{member}");
        etcd.ctl(&["del", &gone]).unwrap();
    }
}

/// The digests of what the two proxies run that stay, as the control plane of this index says.
async fn digests(cluster: &Cluster, index: usize) -> anyhow::Result<Vec<[Value; 2]>> {
    let fleet = cluster.fleet(index).await?.into_iter();
    let staying = fleet.filter(|one| one["id"] != "moves");
    Ok(staying
        .map(|one| [one["configDigest"].clone(), one["runtimeDigest"].clone()])
        .collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_planes_on_one_etcd_agree_and_a_proxy_that_moves_is_sent_nothing() {
    let (postgres, etcd) = (Postgres::start().await.unwrap(), Etcd::start().await.unwrap());
    let cluster = Cluster::start(2, &[postgres.url()]).await.unwrap();
    let [a, b] = [&cluster.controls[0], &cluster.controls[1]];
    let web = discovering(&service(&[etcd.url()]));
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    a.rest.apply(&manifests, "").await.unwrap();
    let proxies = [(a, "at-a"), (b, "at-b")].map(|(control, id)| FakeProxy::join(control.grpc, id));
    let proxies = futures_util::future::try_join_all(proxies).await.unwrap();
    let _proxies: Vec<_> = proxies.into_iter().map(obedient).collect();
    cluster.fleet_of(0, 2).await.unwrap();
    let before = revision(&b.rest).await;
    churn(&etcd).await;

    for control in [a, b] {
        super::told(&control.rest, "Discovered", &format!("{LEFT} endpoints")).await;
    }
    let hex = |digest: &[u8]| Value::String(digest.iter().map(|byte| format!("{byte:02x}")).collect());
    let held = eventually("all run the same", SOON, async || {
        let mut first = FakeProxy::join(a.grpc, "moves").await?;
        let held = first.update().await?;
        first.ack(&held).await?;
        first.leave().await?;
        ensure!(endpoints(&held) == Some(usize::from(LEFT)), "{held:?}");
        let target = held.target.as_ref().context("where it leads")?;
        let digest = [hex(&target.config_digest), hex(&target.runtime_digest)];
        for index in 0..2 {
            let all = digests(&cluster, index).await?;
            ensure!(all == [digest.clone(), digest.clone()], "{all:?}");
        }
        Ok(held)
    });
    let held = held.await.unwrap();

    let mut second = FakeProxy::say_hello(b.grpc, holding("moves", &held))
        .await
        .unwrap();
    second.quiet(Duration::from_millis(500)).await.unwrap();
    // What comes next is a difference from what it got elsewhere.
    let address = "127.0.0.2:80".parse().unwrap();
    super::register(&etcd, "one-more", address);
    let update = second.update().await.unwrap();
    assert_eq!(update.base, held.target);
    assert_eq!(endpoints(&update), Some(usize::from(LEFT) + 1));
    assert_eq!(
        (update.upserts.len(), update.removals.len()),
        (1, 0),
        "{update:?}"
    );
    assert_eq!(revision(&b.rest).await, before);
}
