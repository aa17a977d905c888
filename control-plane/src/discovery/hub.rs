//! Follows what the live world wants to know: starts and ends those who ask, and hands on what they
//! find.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use imbl::{OrdMap, OrdSet};
use sluice_intent::ResourceId;
use sluice_model::Revision;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::dns::Names;
use super::etcd::{Cluster, Wanted};
use super::{Board, Config, MAX_SOURCES, Outbox};
use crate::compile::{EtcdCluster, Findings, Source, World};
use crate::live::Published;

/// Least time between two publications. Proxies may be this many times 64 (the versions that
/// differences start from) behind before they need everything.
const PACE: Duration = Duration::from_millis(250);

/// Who wants to know what.
type Sources = OrdMap<Source, OrdSet<Arc<ResourceId>>>;

/// The owner of everyone who asks.
pub(crate) struct Hub {
    published: watch::Receiver<Arc<Published>>,
    findings: mpsc::Sender<Findings>,
    outbox: Outbox,
    board: Board,
    names: watch::Sender<Arc<BTreeSet<Source>>>,
    clusters: BTreeMap<Arc<EtcdCluster>, watch::Sender<Wanted>>,
    /// Ends them when it is dropped.
    tasks: JoinSet<()>,
    seen: Seen,
}

/// What of the live world was looked at last.
#[derive(Default)]
struct Seen {
    sources: Sources,
    revision: Option<Revision>,
}

impl Hub {
    /// Follows `published` and hands what is found to `findings`.
    pub(crate) fn new(
        config: Config,
        published: watch::Receiver<Arc<Published>>,
        findings: mpsc::Sender<Findings>,
        board: Board,
    ) -> Self {
        let (outbox, names) = (Outbox::default(), watch::Sender::default());
        let mut tasks = JoinSet::new();
        let task = Names::new(config.resolver, names.subscribe(), outbox.clone(), board.clone());
        if let Some(task) = task {
            tasks.spawn(task.run());
        }
        Self {
            published,
            findings,
            outbox,
            board,
            names,
            clusters: BTreeMap::new(),
            tasks,
            seen: Seen::default(),
        }
    }

    /// Follows for ever; ends with the writer.
    pub(crate) async fn run(mut self) {
        self.follow();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                changed = self.published.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                findings = paced(&self.outbox, next) => {
                    if self.findings.send(findings).await.is_err() {
                        return;
                    }
                    next = Instant::now() + PACE;
                }
                // A cluster that nobody wants to know anything of any more, or a fault.
                Some(Err(error)) = self.tasks.join_next() => {
                    tracing::error!(%error, "who asked for endpoints is gone: they stay as they are");
                }
            }
        }
    }

    /// Looks at what is live now.
    fn follow(&mut self) {
        let published = Arc::clone(&self.published.borrow_and_update());
        let world = &published.world;
        let moved = !self.seen.sources.ptr_eq(world.sources());
        // Secrets change with revisions only.
        let revised = self.seen.revision != Some(world.revision());
        if moved {
            self.seen.sources = world.sources().clone();
            self.list();
        }
        if moved || (revised && !self.clusters.is_empty()) {
            self.follow_clusters(world);
        }
        self.seen.revision = Some(world.revision());
    }

    /// Lists what is wanted, and says so to who looks names up.
    fn list(&mut self) {
        let all = self.seen.sources.keys().take(MAX_SOURCES).cloned();
        let all: BTreeSet<Source> = all.collect();
        let left_out = self.seen.sources.len() - all.len();
        if left_out > 0 {
            tracing::error!(
                left_out,
                "more than {MAX_SOURCES} sources of endpoints: the last ones are not followed"
            );
        }
        self.board.list(&all);
        let names: BTreeSet<_> = all
            .iter()
            .filter(|source| !matches!(source, Source::Etcd(_)))
            .cloned()
            .collect();
        self.names.send_if_modified(|known| {
            let is_news = **known != names;
            if is_news {
                *known = Arc::new(names);
            }
            is_news
        });
    }

    fn follow_clusters(&mut self, world: &World) {
        let mut wanted: BTreeMap<Arc<EtcdCluster>, Wanted> = BTreeMap::new();
        for source in self.seen.sources.keys().take(MAX_SOURCES) {
            if let Source::Etcd(service) = source {
                let cluster = wanted.entry(Arc::clone(&service.cluster)).or_default();
                cluster.services.insert(service.prefix.clone(), source.clone());
            }
        }
        self.clusters.retain(|cluster, _| wanted.contains_key(cluster));
        for (cluster, mut wanted) in wanted {
            wanted.access = world.etcd_access(&cluster);
            match self.clusters.get(&cluster) {
                Some(known) => {
                    known.send_if_modified(|known| {
                        let is_news = *known != wanted;
                        *known = wanted;
                        is_news
                    });
                }
                None => {
                    let sender = watch::Sender::new(wanted);
                    let (outbox, board) = (self.outbox.clone(), self.board.clone());
                    let task = Cluster::new(Arc::clone(&cluster), sender.subscribe(), outbox, board);
                    self.tasks.spawn(task.run());
                    self.clusters.insert(cluster, sender);
                }
            }
        }
    }
}

/// What is found, but not before `next`.
async fn paced(outbox: &Outbox, next: Instant) -> Findings {
    tokio::time::sleep_until(next).await;
    outbox.take().await
}
