//! Services that register themselves in etcd: listed once, then watched.
//!
//! One task for each cluster, with one connection to one member and one stream on it, on which all
//! services are watched. When the connection is lost the next member is tried, and each watch goes on
//! from the revision that it had come to; only when etcd has compacted that, or is not the etcd that
//! it was, the service is listed anew.

mod client;
mod service;
mod session;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use self::client::EtcdError;
use self::service::Service;
use self::session::End;
use super::{Board, Outbox};
use crate::compile::{EtcdAccess, EtcdCluster, Source};

/// First and longest pause before the next member is tried.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// A connection that held for this long was a good one: after it pauses begin anew.
const GOOD: Duration = Duration::from_secs(10);

/// What is to be watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// By what their keys begin with.
    pub(super) services: BTreeMap<String, Source>,
    /// What lets the control plane in; `None` when it is not there.
    pub(super) access: Option<EtcdAccess>,
}

/// Watches the services of one cluster.
pub(super) struct Cluster {
    cluster: Arc<EtcdCluster>,
    wanted: watch::Receiver<Wanted>,
    outbox: Outbox,
    board: Board,
    watched: BTreeMap<String, Watched>,
}

/// A service, and who wants to know of it.
struct Watched {
    source: Source,
    service: Service,
}

impl Cluster {
    pub(super) fn new(
        cluster: Arc<EtcdCluster>,
        wanted: watch::Receiver<Wanted>,
        outbox: Outbox,
        board: Board,
    ) -> Self {
        Self {
            cluster,
            wanted,
            outbox,
            board,
            watched: BTreeMap::new(),
        }
    }

    /// Watches until nobody wants to know anything any more.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_RETRY;
        for member in (0..self.cluster.urls.len()).cycle() {
            let since = Instant::now();
            let error = match self.session(member).await {
                Ok(End::Left) => return,
                Ok(End::Renewed) => continue,
                Err(error) => error,
            };
            self.failed(member, &error);
            if since.elapsed() > GOOD {
                pause = FIRST_RETRY;
            }
            tokio::select! {
                () = tokio::time::sleep(pause + jitter(pause)) => {}
                // A Secret that was missing may be there.
                changed = self.wanted.changed() => match changed {
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
            pause = (pause * 2).min(LAST_RETRY);
        }
    }

    /// Takes in which services are wanted.
    fn follow(&mut self) {
        let wanted = self.wanted.borrow_and_update();
        self.watched
            .retain(|prefix, _| wanted.services.contains_key(prefix));
        for (prefix, source) in &wanted.services {
            self.watched.entry(prefix.clone()).or_insert_with(|| Watched {
                source: source.clone(),
                service: Service::default(),
            });
        }
    }

    fn failed(&mut self, member: usize, error: &EtcdError) {
        self.follow();
        let complaint = format!("{}: {error}", self.cluster.urls[member]);
        let sources = self.watched.values().map(|watched| &watched.source);
        self.board.failed(sources, &complaint);
    }

    /// Tells of all services that changed.
    fn tell(&mut self) {
        for watched in self.watched.values_mut() {
            if std::mem::take(&mut watched.service.is_dirty) {
                let found = watched.service.found();
                let (skipped, complaint) = watched.service.complaint();
                self.board
                    .answered(&watched.source, found.len(), true, skipped, complaint);
                self.outbox.put(&watched.source, found);
            }
        }
    }
}

/// Up to half of `pause`, so that replicas do not come in step. Without randomness there is none.
fn jitter(pause: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or_default();
    pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
}
