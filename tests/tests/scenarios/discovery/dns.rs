//! Endpoints that the DNS knows.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::StatusCode;
use serde_json::json;
use sluice_tests::client::{Connection, Protocol, get};
use sluice_tests::dns::{Dns, Reply};
use sluice_tests::eventually::eventually;
use sluice_tests::manifest::HOST;
use sluice_tests::site::SOON;

use super::{AT_ONCE, discovering, echo, revision, served_by, served_by_nobody, site, told};

const NAME: &str = "web.internal";
const SERVICE: &str = "_http._tcp.web.internal";
/// Where the upstreams of tests are, and where nobody is.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// Waits until a name was asked for once more; when that was.
async fn asked_again(dns: &Dns, name: &str) -> Instant {
    let before = dns.asked(name).len();
    let asked = eventually("it is asked again", SOON, async || {
        let asked = dns.asked(name).get(before).copied();
        asked.with_context(|| format!("{before} times"))
    });
    asked.await.unwrap()
}

/// Waits for two questions, of which the second one is asked because the answer to the first has outlived itself
/// after 2 seconds.
async fn asked_when_outlived(dns: &Dns, name: &str) {
    let first = asked_again(dns, name).await;
    let pause = asked_again(dns, name).await - first;
    assert!(
        pause >= Duration::from_millis(1_800),
        "asked again after {pause:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_asked_for_again_when_its_answer_has_outlived_itself_and_not_before() {
    let (dns, one) = (Dns::start().await.unwrap(), echo("one").await);
    dns.set(NAME, Reply::Addresses(vec![HERE], 2));
    let discovery = json!({"dns": {"name": NAME, "port": one.address.port()}});
    let site = site(&discovery, &["--resolver", &dns.address.to_string()]).await;
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    let before = revision(site.rest()).await;
    asked_when_outlived(&dns, NAME).await;

    // Another answer is believed, that there is none is not.
    dns.set(NAME, Reply::Addresses(vec![NOWHERE], 1));
    eventually("the new address is used", SOON, async || {
        let status = sluice_tests::client::send(address, get(HOST, "/")).await?.status;
        ensure!(status == StatusCode::BAD_GATEWAY, "{status}");
        Ok(())
    })
    .await
    .unwrap();
    dns.set(NAME, Reply::Addresses(vec![HERE], 1));
    served_by(address, "one", SOON).await;
    for trouble in [Reply::Nothing(1), Reply::Failure] {
        dns.set(NAME, trouble);
        told(site.rest(), "Unreachable", "1 endpoints found").await;
        asked_again(&dns, NAME).await;
        served_by(address, "one", Duration::ZERO).await;
    }
    assert_eq!(revision(site.rest()).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_exist_is_asked_for_when_the_answer_says() {
    let (dns, one) = (Dns::start().await.unwrap(), echo("one").await);
    dns.set(NAME, Reply::Nothing(2));
    let discovery = json!({"dns": {"name": NAME, "port": one.address.port()}});
    let site = site(&discovery, &["--resolver", &dns.address.to_string()]).await;
    let address = site.address().await.unwrap();
    told(site.rest(), "Unreachable", "no such records").await;
    served_by_nobody(address).await;
    asked_when_outlived(&dns, NAME).await;
    dns.set(NAME, Reply::Addresses(vec![HERE], 60));
    served_by(address, "one", SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_have_ports_weights_and_priorities() {
    let dns = Dns::start().await.unwrap();
    let (one, other, spare) = (echo("one").await, echo("other").await, echo("spare").await);
    let port = |upstream: &sluice_tests::upstream::Upstream| upstream.address.port();
    let services = |last| {
        let services = vec![
            (10, 30, port(&one), "a.internal."),
            (10, 10, port(&other), "a.internal."),
            (20, 1, port(&spare), "b.internal."),
        ];
        Reply::Services(services, last)
    };
    dns.set(SERVICE, services(1));
    dns.set("a.internal", Reply::Addresses(vec![HERE], 1));
    dns.set("b.internal", Reply::Addresses(vec![HERE], 1));
    let discovery = json!({"dns": {"name": SERVICE, "type": "SRV"}});
    let site = site(&discovery, &["--resolver", &dns.address.to_string()]).await;
    let address = site.address().await.unwrap();
    told(site.rest(), "Discovered", "2 endpoints").await;
    served_by(address, "one", AT_ONCE).await;
    let mut connection = Connection::open(address, Protocol::Http1).await.unwrap();
    let mut first = 0;
    for _ in 0..400 {
        let answer = connection.send(get(HOST, "/")).await.unwrap();
        match &*answer.echo().unwrap().upstream {
            "one" => first += 1,
            "other" => {}
            name => panic!("{name} is only for when the others cannot be found"),
        }
    }
    // Five standard deviations of 400 throws at three to one.
    assert!((257..=343).contains(&first), "{first} of 400");

    dns.set("a.internal", Reply::Nothing(1));
    served_by(address, "spare", SOON).await;
    // Said to be no such service (RFC 2782), which is believed.
    dns.set(SERVICE, Reply::Services(vec![(0, 0, 0, ".")], 1));
    served_by_nobody(address).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_written_endpoints_are_looked_up_in_the_same_way() {
    let (dns, one) = (Dns::start().await.unwrap(), echo("one").await);
    dns.set(NAME, Reply::Addresses(vec![HERE], 60));
    let discovery = json!({"dns": {"name": "other.internal", "port": 1}});
    let site = site(&discovery, &["--resolver", &dns.address.to_string()]).await;
    let mut written = discovering(&discovery);
    written["spec"] = json!({"endpoints": [{"address": NAME, "port": one.address.port()}]});
    site.apply(&[written]).await.unwrap();
    let address = site.address().await.unwrap();
    served_by(address, "one", AT_ONCE).await;
    // A change of the Backend asks nobody anew, and loses nothing.
    let asked = dns.asked(NAME);
    let mut changed = discovering(&discovery);
    changed["spec"] = json!({
        "endpoints": [{"address": NAME, "port": one.address.port()}],
        "connectTimeout": "1s",
    });
    site.apply(&[changed]).await.unwrap();
    served_by(address, "one", Duration::ZERO).await;
    assert_eq!(dns.asked(NAME), asked);
}
