//! Postgres that goes away and comes back, and several control planes on one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use sluice_tests::client::served_by;
use sluice_tests::eventually::{eventually, median};
use sluice_tests::manifest::{HOST, backend, gateway, list, route_to};
use sluice_tests::postgres::Postgres;
use sluice_tests::rest::{Answer, Rest};
use sluice_tests::servers::{ControlPlane, DataPlane, command};
use sluice_tests::site::{SOON, Site, TOKEN};
use sluice_tests::upstream::Upstream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest time in which a write may be left without an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What one writer was told: names by revision, and names that were refused or not answered.
#[derive(Default)]
pub(crate) struct Told {
    written: BTreeMap<u64, String>,
    open: Vec<String>,
}

impl Told {
    /// The answer was that `name` is in `revision`.
    fn written(&mut self, revision: u64, name: String) {
        let last = self.written.last_key_value();
        assert!(
            last.is_none_or(|(last, _)| *last < revision),
            "{name} in {revision} after {last:?}"
        );
        self.written.insert(revision, name);
    }

    /// The answer was that `name` could not be written now, or there was none.
    fn open(&mut self, name: String) {
        self.open.push(name);
    }
}

/// Writes one name after the other, and remembers what it was told.
pub(crate) struct Writer {
    rest: Rest,
    /// Tells its names from those of others.
    number: usize,
    /// How many names there were.
    names: u64,
    told: Told,
}

impl Writer {
    pub(crate) fn new(rest: Rest, number: usize) -> Self {
        Self {
            rest,
            number,
            names: 0,
            told: Told::default(),
        }
    }

    /// Writes the next name and its twin; whether they were taken, and not refused.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn write(&mut self) -> anyhow::Result<bool> {
        let name = format!("w{}-{}", self.number, self.names);
        self.names += 1;
        let written = write(&self.rest, &name).await;
        match &written {
            Ok(Some(revision)) => self.told.written(*revision, name),
            Ok(None) | Err(_) => self.told.open(name),
        }
        Ok(written?.is_some())
    }

    pub(crate) fn told(self) -> Told {
        self.told
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_while_postgres_is_away_are_refused_clearly_and_nothing_is_lost_or_halved() {
    let mut postgres = Postgres::start().await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::with(1, Some(&postgres.url()), &[]).await.unwrap();
    let web = backend("web", &[upstream.address]);
    site.apply(&[gateway(), web, route_to("shop", HOST, "web")])
        .await
        .unwrap();
    let address = site.address().await.unwrap();

    let (end, refusals) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..2 {
        let rest = site.rest().clone();
        writers.spawn(write_until(end.clone(), rest, writer, Arc::clone(&refusals)));
    }
    for crash in [false, true] {
        head_beyond(site.rest(), 10).await;
        let refused = refusals.load(Ordering::SeqCst);
        match crash {
            false => postgres.stop().await.unwrap(),
            true => postgres.crash().await.unwrap(),
        }
        eventually("writes are refused", SOON, async || {
            anyhow::ensure!(refusals.load(Ordering::SeqCst) > refused + 1);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(served_by(address, HOST).await.unwrap(), "web");
        postgres.start_again().await.unwrap();
    }
    head_beyond(site.rest(), 10).await;
    end.cancel();
    let told = writers.join_all().await;
    verify(site.rest(), &told).await;

    // And the fleet follows again, without a restart of anything.
    let last = site.apply(&[backend("last", &[])]).await.unwrap();
    let config = site.proxies[0].config().await.unwrap();
    assert_eq!(config.revision, last.revision);
}

/// The newest revision.
pub(crate) async fn head(rest: &Rest) -> anyhow::Result<u64> {
    let answer = rest.send(Method::GET, "/v1/revisions?limit=1", None).await?;
    anyhow::ensure!(answer.status.is_success(), "{answer:?}");
    Ok(answer.body["items"][0]["revision"].as_u64().unwrap_or_default())
}

/// Waits until there are this many more revisions.
pub(crate) async fn head_beyond(rest: &Rest, more: u64) {
    let start = eventually("a revision is read", SOON, async || head(rest).await)
        .await
        .unwrap();
    eventually("writers make progress", SOON, async || {
        let head = head(rest).await?;
        anyhow::ensure!(head >= start + more, "{head}, {start} before");
        Ok(())
    })
    .await
    .unwrap();
}

/// Writes until `end`, to a control plane that answers each time.
pub(crate) async fn write_until(
    end: CancellationToken,
    rest: Rest,
    writer: usize,
    refusals: Arc<AtomicU64>,
) -> Told {
    let mut writer = Writer::new(rest, writer);
    while !end.is_cancelled() {
        if !writer.write().await.unwrap() {
            refusals.fetch_add(1, Ordering::SeqCst);
        }
    }
    writer.told()
}

/// Writes `name` and its twin at once; the revision that was told, none when it was refused.
///
/// # Errors
/// When there is no answer.
async fn write(rest: &Rest, name: &str) -> anyhow::Result<Option<u64>> {
    let twins = list(&[backend(name, &[]), backend(&twin(name), &[])]);
    let asked = Instant::now();
    let answer = rest.send(Method::POST, "/v1/apply", Some(&twins)).await;
    assert!(asked.elapsed() < ANSWER, "{:?} for {answer:?}", asked.elapsed());
    let answer = answer?;
    if answer.status == StatusCode::OK {
        return Ok(answer.body["revision"].as_u64());
    }
    unavailable(&answer);
    Ok(None)
}

fn twin(name: &str) -> String {
    format!("{name}-twin")
}

fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert_eq!(answer.violations().unwrap(), [], "{answer:?}");
    assert!(answer.body["title"].is_string(), "{answer:?}");
}

/// Every revision is there; acknowledged writes are whole, in the revision that was told, and in no other;
/// refused ones are absent, or whole and in one: the answer to a commit may be lost.
pub(crate) async fn verify(rest: &Rest, told: &[Told]) {
    let names = names(rest).await;
    let kept: BTreeSet<_> = names.iter().collect();
    assert_eq!(kept.len(), names.len(), "a name is there twice");
    let revisions = revisions(rest).await;
    let mut changed = BTreeMap::<_, u32>::new();
    for name in revisions.values().flatten() {
        *changed.entry(name).or_default() += 1;
    }
    for told in told {
        assert!(!told.written.is_empty(), "a writer has written nothing");
        for (revision, name) in &told.written {
            let twins = BTreeSet::from([name.clone(), twin(name)]);
            assert_eq!(revisions[revision], twins, "revision {revision}");
        }
        for name in told.written.values().chain(&told.open) {
            let twin = twin(name);
            let is_kept = [kept.contains(name), kept.contains(&twin)];
            assert_eq!(is_kept[0], is_kept[1], "{name} is half written");
            let times = [name, &twin].map(|name| changed.get(name).copied().unwrap_or_default());
            assert_eq!(times, is_kept.map(u32::from), "{name} is doubled");
        }
        let lost = told.written.values().find(|name| !kept.contains(name));
        assert_eq!(lost, None, "lost");
    }
}

/// Names of what each revision changed, from the first one to the newest.
async fn revisions(rest: &Rest) -> BTreeMap<u64, BTreeSet<String>> {
    let mut revisions = BTreeMap::new();
    for revision in 1..=head(rest).await.unwrap() {
        let path = format!("/v1/revisions/{revision}");
        let answer = rest.send(Method::GET, &path, None).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "revision {revision}: {answer:?}");
        assert_eq!(answer.body["revision"], revision, "{answer:?}");
        let changes = answer.body["changes"].as_array().unwrap().iter();
        let names = changes.map(|change| change["name"].as_str().unwrap().to_owned());
        revisions.insert(revision, names.collect());
    }
    revisions
}

/// Names of all Backends, page by page.
pub(crate) async fn names(rest: &Rest) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = String::new();
    loop {
        let path = format!("/v1/namespaces/default/backends?limit=100{page}");
        let answer = rest.send(Method::GET, &path, None).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        for item in answer.body["items"].as_array().unwrap() {
            names.push(item["metadata"]["name"].as_str().unwrap().to_owned());
        }
        match answer.body["continue"].as_str() {
            Some(next) => page = format!("&continue={next}"),
            None => return names,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_on_one_control_plane_reaches_the_proxies_of_another_at_once() {
    let postgres = Postgres::start().await.unwrap();
    let upstream = Upstream::echo("web").await.unwrap();
    let site = Site::with(1, Some(&postgres.url()), &[]).await.unwrap();
    let binary = command("sluice-control", None).unwrap();
    let other = ControlPlane::start(binary, &postgres.url(), TOKEN).await.unwrap();

    let web = backend("web", &[upstream.address]);
    let manifests = list(&[gateway(), web, route_to("shop", HOST, "web")]);
    let first = other.rest.apply(&manifests, "").await.unwrap();
    runs(&site.proxies[0], first.revision).await;
    // A poll would also get there, after 5 seconds: only a notification gets there at once.
    let (mut last, mut took) = (first.revision, Vec::new());
    for round in 0..5 {
        let name = format!("more-{round}");
        last = other.rest.apply(&backend(&name, &[]), "").await.unwrap().revision;
        let answered = Instant::now();
        runs(&site.proxies[0], last).await;
        took.push(answered.elapsed());
    }
    assert!(median(took.clone()) < Duration::from_secs(1), "{took:?}");
    let address = site.address().await.unwrap();
    assert_eq!(served_by(address, HOST).await.unwrap(), "web");
    let receipt = site.rest().receipt(last, SOON).await.unwrap();
    assert_eq!((receipt.fleet, receipt.applied), (1, 1));
}

async fn runs(proxy: &DataPlane, revision: u64) {
    eventually("the proxy runs the revision", SOON, async || {
        let config = proxy.config().await?;
        anyhow::ensure!(config.revision >= revision, "{config:?}");
        Ok(())
    })
    .await
    .unwrap();
}
