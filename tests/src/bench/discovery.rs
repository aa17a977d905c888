//! The time an endpoint takes from etcd to traffic.
//!
//! One key of a service moves between two upstreams. It has arrived when each of two proxies has
//! sent a request to the new one; requests go out without a pause, on one connection to each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::PROFILE;
use super::options::Discovery;
use crate::client::{Connection, Protocol, get};
use crate::etcd::{self, Etcd};
use crate::manifest::{HOST, gateway, route_to};
use crate::site::Site;
use crate::summary::{Percentiles, percentiles};
use crate::upstream::Upstream;
use crate::{machine, results};

/// Proxies that every change has to reach.
const PROXIES: usize = 2;
/// Longest time a change may take before the run fails.
const ARRIVED: Duration = Duration::from_secs(10);
/// Longest pause before a change that does not come right after the last one, and how the pauses
/// are spread over it.
const PAUSE: Duration = Duration::from_millis(600);
const STRIDE: u32 = 37;
/// Endpoints that change beside the one that is measured.
const OTHERS: u64 = 50;

/// Measures it, prints it, and writes it down if that is asked for.
pub(super) async fn measure(options: &Discovery) -> anyhow::Result<()> {
    let etcd = Etcd::start().await?;
    let upstreams = [Upstream::echo("odd").await?, Upstream::echo("even").await?];
    let site = Site::start(PROXIES).await?;
    let web = json!({
        "apiVersion": "sluice.dev/v1",
        "kind": "Backend",
        "metadata": {"name": "web"},
        "spec": {"discovery": {"etcd": {"endpoints": [etcd.url()], "service": "services/web"}}},
    });
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let _churn = churn(options.churn, client.clone(), etcd.url());
    let [mut at_once, mut any_time, mut taken] = [Vec::new(), Vec::new(), Vec::new()];
    // The first one brings the service into being.
    for number in 0..=2 * options.changes {
        let is_late = number > options.changes;
        if is_late {
            sleep(PAUSE * (number * STRIDE % 100) / 100).await;
        }
        let upstream = &upstreams[usize::from(number.is_multiple_of(2))];
        let name = if number.is_multiple_of(2) { "even" } else { "odd" };
        let value = json!({"Addr": upstream.address.to_string()}).to_string();
        let mut connections = connect(&site).await?;
        let start = Instant::now();
        etcd::put(&client, &etcd.url(), "services/web/one", &value).await?;
        taken.push(start.elapsed().as_secs_f64() * 1e3);
        let arriving = connections
            .iter_mut()
            .map(|connection| answered_by(connection, name));
        futures_util::future::try_join_all(arriving)
            .await
            .with_context(|| format!("change {number}"))?;
        let times = if is_late { &mut any_time } else { &mut at_once };
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let times = [at_once.split_off(1), any_time, taken.split_off(1)];
    let times = times.map(percentiles);
    let [Some(at_once), Some(any_time), Some(taken)] = times else {
        bail!("no change was made");
    };
    let text = markdown(options, [at_once, any_time, taken])?;
    println!("{text}");
    if options.write {
        results::write(&text)?;
    }
    Ok(())
}

/// A connection to each proxy. A new one for each change: there is a bound on the requests of one.
async fn connect(site: &Site) -> anyhow::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for index in 0..PROXIES {
        let address = site.address_of(index).await?;
        connections.push(Connection::open(address, Protocol::Http1).await?);
    }
    Ok(connections)
}

async fn answered_by(connection: &mut Connection, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let answer = connection.send(get(HOST, "/")).await?;
        if answer.status.is_success() && answer.echo()?.upstream == name {
            return Ok(());
        }
        ensure!(
            start.elapsed() < ARRIVED,
            "no answer of {name} within {ARRIVED:?}"
        );
    }
}

/// Changes other endpoints of the service at this rate; they have weight 0, and get no traffic.
fn churn(rate: u32, client: reqwest::Client, url: String) -> Option<AbortOnDropHandle<()>> {
    let pace = Duration::from_secs(1).checked_div(rate)?;
    let churning = async move {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for change in 0_u64.. {
            ticks.tick().await;
            let value = other(change).to_string();
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let key = format!("services/web/other-{}", change % OTHERS);
                // One that is lost is a change less.
                let _ = etcd::put(&client, &url, &key, &value).await;
            });
        }
    };
    Some(AbortOnDropHandle::new(tokio::spawn(churning)))
}

fn other(change: u64) -> Value {
    let port = 10_000 + u16::try_from(change % 20_000).unwrap_or_default();
    let address = SocketAddr::from(([127, 0, 0, 2], port));
    json!({"Addr": address.to_string(), "Metadata": {"weight": 0}})
}

fn markdown(options: &Discovery, times: [Percentiles; 3]) -> anyhow::Result<String> {
    let Discovery { changes, churn, .. } = options;
    let [at_once, any_time, taken] =
        times.map(|Percentiles { p50, p99, max }| format!("{p50:.0} | {p99:.0} | {max:.0}"));
    let heading = match churn {
        0 => "# Endpoints from etcd".to_owned(),
        _ => format!("# Endpoints from etcd, among {churn} other changes a second"),
    };
    Ok(format!(
        "{heading}\n\nWritten by `bench discovery --churn {churn} --write`: the time from sending it to etcd \
         until {PROXIES} proxies send traffic there, for {changes} changes of each kind; {}; {PROFILE}.\n\n\
         | milliseconds | p50 | p99 | max |\n| --- | --- | --- | --- |\n\
         | right after the change before | {at_once} |\n| at any time | {any_time} |\n| of that, until etcd has answered | {taken} |\n",
        machine::description()?,
    ))
}
