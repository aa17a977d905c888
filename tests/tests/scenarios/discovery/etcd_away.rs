//! An etcd that is killed, cut off, compacted, or not what it was: the last endpoints stay, and what
//! happened meanwhile is caught up with.

use std::time::Duration;

use sluice_tests::etcd::Etcd;
use sluice_tests::link::{Fault, Link};
use sluice_tests::site::SOON;

use super::{AT_ONCE, echo, register, served_by, service, site, told, told_within};

/// What was asked of a member that fell silent is asked of the next one: a keep-alive that is due
/// every 6 s and waited for 3 s, and some for a busy machine.
const SILENT: Duration = Duration::from_secs(25);

fn url_of(link: &Link) -> String {
    format!("http://127.0.0.1:{}", link.port())
}

/// The revision that etcd is at.
fn revision_of(etcd: &Etcd) -> String {
    let status = etcd
        .ctl(&["endpoint", "status", "--write-out", "fields"])
        .unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("\"Revision\""))
        .unwrap();
    line.split_whitespace().last().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_stay_while_etcd_is_dead_and_follow_it_when_it_is_back() {
    let mut etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;

    etcd.kill().await.unwrap();
    told(site.rest(), "Unreachable", "1 endpoints found").await;
    served_by(address, "one", Duration::ZERO).await;
    etcd.start_again().await.unwrap();
    register(&etcd, "one", other.address);
    served_by(address, "other", SOON).await;
    told(site.rest(), "Discovered", "1 endpoints").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_starts_while_etcd_is_dead_takes_nothing_from_anybody() {
    let mut etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let mut site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    // Found a moment ago, it is written down by now or in a moment.
    register(&etcd, "one", other.address);
    served_by(address, "other", AT_ONCE).await;
    site.proxies.push(site.proxy("edge-2", &[]).await.unwrap());
    site.fleet_of(2).await.unwrap();
    remembered(&site, other.address.port()).await;

    etcd.kill().await.unwrap();
    site.replace_control().await.unwrap();
    site.fleet_of(2).await.unwrap();
    told(site.rest(), "Unreachable", "").await;
    served_by(address, "other", Duration::ZERO).await;
    // Somebody who never heard of the endpoints, and a change of the Backend itself.
    site.proxies.push(site.proxy("edge-3", &[]).await.unwrap());
    site.fleet_of(3).await.unwrap();
    served_by(site.address_of(2).await.unwrap(), "other", AT_ONCE).await;
    let mut changed = super::discovering(&service(&[etcd.url()]));
    changed["spec"]["connectTimeout"] = "1s".into();
    site.apply(&[changed]).await.unwrap();
    served_by(address, "other", Duration::ZERO).await;

    etcd.start_again().await.unwrap();
    register(&etcd, "one", one.address);
    served_by(address, "one", SOON).await;
}

/// Waits until the store knows of an endpoint at `port`.
async fn remembered(site: &sluice_tests::site::Site, port: u16) {
    let file = site.directory().join("control.db");
    // Varint of the port: the field of the wire message in which it is kept.
    let varint = [
        0x10,
        (port & 0x7f) as u8 | 0x80,
        (port >> 7) as u8 & 0x7f | 0x80,
        (port >> 14) as u8,
    ];
    let varint = if port < 1 << 14 {
        vec![0x10, varint[1], varint[2] & 0x7f]
    } else {
        varint.to_vec()
    };
    let hex: String = varint.iter().map(|byte| format!("{byte:02X}")).collect();
    sluice_tests::eventually::eventually("it is written down", SOON, async || {
        let query = "SELECT hex(endpoints) FROM discovered";
        let output = std::process::Command::new("sqlite3")
            .arg(&file)
            .arg(query)
            .output()?;
        let stored = String::from_utf8(output.stdout)?;
        anyhow::ensure!(stored.contains(&hex), "{hex} is not in {stored:?}");
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_whose_past_was_compacted_is_begun_anew() {
    let etcd = Etcd::start().await.unwrap();
    let link = Link::to(etcd.port()).await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let site = site(&service(&[url_of(&link)]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;

    link.set(Fault::Cut);
    told(site.rest(), "Unreachable", "1 endpoints found").await;
    register(&etcd, "other", other.address);
    etcd.ctl(&["del", "services/web/one"]).unwrap();
    etcd.ctl(&["compaction", &revision_of(&etcd)]).unwrap();
    served_by(address, "one", Duration::ZERO).await;
    link.set(Fault::None);
    served_by(address, "other", SOON).await;
    told(site.rest(), "Discovered", "1 endpoints").await;
    register(&etcd, "other", one.address);
    served_by(address, "one", AT_ONCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_falls_silent_is_left_for_the_next_one() {
    let etcd = Etcd::start().await.unwrap();
    let link = Link::to(etcd.port()).await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let site = site(&service(&[url_of(&link), etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    link.set(Fault::Frozen);
    register(&etcd, "one", other.address);
    served_by(address, "other", SILENT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_etcd_in_the_place_of_the_old_one_is_believed_from_the_start() {
    let mut etcd = Etcd::start().await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    // Far ahead of what the next one will count to.
    for _ in 0..20 {
        register(&etcd, "one", one.address);
    }
    let site = site(&service(&[etcd.url()]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    etcd.kill().await.unwrap();
    etcd.forget().unwrap();
    etcd.start_again().await.unwrap();
    register(&etcd, "other", other.address);
    served_by(address, "other", SOON).await;
    told(site.rest(), "Discovered", "1 endpoints").await;
}

/// Nobody says that the only member is gone: it does not answer, and ends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_member_falls_silent_and_the_last_endpoints_stay_until_it_thaws() {
    let etcd = Etcd::start().await.unwrap();
    let link = Link::to(etcd.port()).await.unwrap();
    let (one, other) = (echo("one").await, echo("other").await);
    register(&etcd, "one", one.address);
    let mut site = site(&service(&[url_of(&link)]), &[]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;

    link.set(Fault::Frozen);
    register(&etcd, "one", other.address);
    told_within(site.rest(), "Unreachable", "1 endpoints found", SILENT).await;
    served_by(address, "one", Duration::ZERO).await;
    // Somebody who never heard of the endpoints gets them as well.
    site.proxies.push(site.proxy("edge-2", &[]).await.unwrap());
    site.fleet_of(2).await.unwrap();
    served_by(site.address_of(1).await.unwrap(), "one", AT_ONCE).await;

    link.set(Fault::None);
    served_by(address, "other", SOON).await;
    told(site.rest(), "Discovered", "1 endpoints").await;
    register(&etcd, "one", one.address);
    served_by(address, "one", AT_ONCE).await;
}
