//! Names: looked up when they are new, and again when what was answered has outlived itself. A name
//! that cannot be looked up, or has no records any more, keeps what it had: a resolver that is away,
//! or a zone that is broken, must not take upstreams with it.

mod answer;
mod resolver;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use self::answer::{Outcome, retry};
use self::resolver::Resolver;
use super::{Board, Outbox};
use crate::compile::{Found, Source};

/// Lookups at a time.
const CONCURRENT: usize = 16;

/// Looks names up.
pub(super) struct Names {
    resolver: Resolver,
    /// The sources to look up, as [`Source::Addresses`] and [`Source::Services`].
    wanted: watch::Receiver<Arc<BTreeSet<Source>>>,
    outbox: Outbox,
    board: Board,
    names: BTreeMap<Source, Name>,
    /// Who is to be looked up when.
    due: BTreeSet<(Instant, Source)>,
}

#[derive(Default)]
struct Name {
    known: Option<Arc<[Found]>>,
    failures: u32,
    /// When it is in `due`; while it is looked up it is not.
    due: Option<Instant>,
}

type Lookup = BoxFuture<'static, (Source, Outcome)>;

impl Names {
    /// Looks up what is `wanted` with the DNS server `server`, or those of the system; `None` when the
    /// system's cannot be used.
    pub(super) fn new(
        server: Option<SocketAddr>,
        wanted: watch::Receiver<Arc<BTreeSet<Source>>>,
        outbox: Outbox,
        board: Board,
    ) -> Option<Self> {
        let resolver = Resolver::new(server)
            .inspect_err(|error| tracing::error!(%error, "names cannot be looked up"))
            .ok()?;
        Some(Self {
            resolver,
            wanted,
            outbox,
            board,
            names: BTreeMap::new(),
            due: BTreeSet::new(),
        })
    }

    /// Looks up until nobody wants anything any more.
    pub(super) async fn run(mut self) {
        let mut running = FuturesUnordered::new();
        self.follow();
        loop {
            while running.len() < CONCURRENT
                && let Some(lookup) = self.next_due(Instant::now())
            {
                running.push(lookup);
            }
            let wake = self.due.first().map(|(at, _)| *at);
            tokio::select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                Some((source, outcome)) = running.next() => self.learn(&source, outcome),
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)),
                    if wake.is_some() && running.len() < CONCURRENT => {}
            }
        }
    }

    /// Takes in what is wanted now.
    fn follow(&mut self) {
        let wanted = Arc::clone(&self.wanted.borrow_and_update());
        self.names.retain(|source, _| wanted.contains(source));
        self.due.retain(|(_, source)| wanted.contains(source));
        let now = Instant::now();
        for source in &*wanted {
            if !self.names.contains_key(source) {
                self.names.insert(source.clone(), Name::default());
                self.plan(source, now);
            }
        }
    }

    /// Has `source` looked up at `at`, unless it is planned already: it may have been given up and
    /// wanted again while it was looked up.
    fn plan(&mut self, source: &Source, at: Instant) {
        if let Some(name) = self.names.get_mut(source).filter(|name| name.due.is_none()) {
            name.due = Some(at);
            self.due.insert((at, source.clone()));
        }
    }

    /// The next lookup that is due at `now`.
    fn next_due(&mut self, now: Instant) -> Option<Lookup> {
        if self.due.first().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, source) = self.due.pop_first()?;
        let name = self.names.get_mut(&source)?;
        name.due = None;
        let known = name.known.clone();
        let resolver = self.resolver.clone();
        Some(Box::pin(async move {
            let outcome = match &source {
                Source::Addresses(name) => {
                    resolver
                        .addresses(name, known.as_deref().unwrap_or_default())
                        .await
                }
                Source::Services(name) => resolver.services(name).await,
                Source::Etcd(_) => Outcome::Failed("not a name".to_owned()),
            };
            (source, outcome)
        }))
    }

    fn learn(&mut self, source: &Source, outcome: Outcome) {
        let Some(name) = self.names.get_mut(source) else {
            return;
        };
        let again = match outcome {
            Outcome::Found(mut found, again) => {
                found.sort_unstable();
                let is_news = name.known.as_deref() != Some(&*found);
                self.board.answered(source, found.len(), is_news, 0, None);
                name.failures = 0;
                if is_news {
                    name.known = Some(found.as_slice().into());
                    self.outbox.put(source, found);
                }
                again
            }
            Outcome::Nothing(again) => {
                self.board.failed([source], "the name has no such records");
                again
            }
            Outcome::Failed(why) => {
                self.board.failed([source], &why);
                name.failures += 1;
                retry(name.failures)
            }
        };
        self.plan(source, Instant::now() + again);
    }
}
