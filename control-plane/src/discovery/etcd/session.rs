//! One connection's life: services are listed and watched on it until it is lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use sluice_proto::etcd::etcdserverpb::watch_request::RequestUnion;
use sluice_proto::etcd::etcdserverpb::{WatchCancelRequest, WatchCreateRequest, WatchRequest, WatchResponse};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Streaming;

use super::Cluster;
use super::client::{Client, EtcdError, end_of};
use super::service::{Listing, Next};

/// Lists under way at a time.
const CONCURRENT: usize = 4;
/// Requests on their way out; further ones wait in order.
const REQUESTS: usize = 16;
/// Pause before a service that could not be listed or watched is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Changes are told of at most this often: a list of endpoints is made anew each time.
const COALESCE: Duration = Duration::from_millis(100);

/// Why a session ended in good order.
pub(super) enum End {
    /// Nobody wants to know anything any more.
    Left,
    /// There are other Secrets to come in with.
    Renewed,
}

type Listed = (String, Result<Listing, EtcdError>);

/// What is under way on a connection.
struct Session {
    client: Client,
    /// When which service is to be listed.
    due: BTreeSet<(Instant, String)>,
    lists: FuturesUnordered<BoxFuture<'static, Listed>>,
    outgoing: VecDeque<WatchRequest>,
    /// The service of each watch, and the watch of each service.
    watches: BTreeMap<i64, String>,
    ids: BTreeMap<String, i64>,
    last_id: i64,
    /// When services that changed are told of.
    tell_at: Option<Instant>,
}

/// The stream of answers. etcd opens it with the first one.
enum Inbound {
    Opening(BoxFuture<'static, Result<Streaming<WatchResponse>, EtcdError>>),
    Open(Box<Streaming<WatchResponse>>),
}

impl Cluster {
    /// Connects to a member and watches everything there.
    ///
    /// # Errors
    /// When that cannot be, or not any more.
    pub(super) async fn session(&mut self, member: usize) -> Result<End, EtcdError> {
        self.follow();
        let access = self.wanted.borrow().access.clone().ok_or(EtcdError::Access)?;
        let (url, hostname) = (&self.cluster.urls[member], self.cluster.hostname.as_deref());
        let client = Client::connect(url, hostname, &access).await?;
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let watching = client.clone();
        let mut inbound = Inbound::Opening(Box::pin(async move { watching.watch(receiver).await }));
        let mut session = Session::new(client);
        self.resume(&mut session);
        loop {
            session.start_lists();
            let wake = session.wake_at();
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return Ok(End::Left);
                    }
                    if self.wanted.borrow().access.as_ref() != Some(&access) {
                        return Ok(End::Renewed);
                    }
                    self.follow();
                    self.resume(&mut session);
                }
                response = inbound.next() => self.heard(&mut session, &response?),
                Some((prefix, listed)) = session.lists.next() => self.listed(&mut session, prefix, listed)?,
                permit = requests.reserve(), if !session.outgoing.is_empty() => {
                    let permit = permit.map_err(|_| EtcdError::Ended)?;
                    if let Some(request) = session.outgoing.pop_front() {
                        permit.send(request);
                    }
                }
                () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    session.tell_at = session.tell_at.filter(|at| *at > Instant::now());
                }
            }
            self.tell_in_time(&mut session);
        }
    }

    /// Has watched what is not watched yet, and given up what nobody wants any more.
    fn resume(&self, session: &mut Session) {
        let gone: Vec<_> = session
            .ids
            .keys()
            .filter(|prefix| !self.watched.contains_key(*prefix))
            .cloned()
            .collect();
        gone.iter().for_each(|prefix| session.unwatch(prefix));
        session
            .due
            .retain(|(_, prefix)| self.watched.contains_key(prefix));
        for (prefix, watched) in &self.watched {
            if session.ids.contains_key(prefix) {
                continue;
            }
            match watched.service.resume_at() {
                Some(revision) => session.watch(prefix, revision),
                None => session.list(prefix, Instant::now()),
            }
        }
    }

    fn listed(
        &mut self,
        session: &mut Session,
        prefix: String,
        listed: Result<Listing, EtcdError>,
    ) -> Result<(), EtcdError> {
        let Some(watched) = self.watched.get_mut(&prefix) else {
            return Ok(());
        };
        match listed {
            Ok(listing) => {
                watched.service.listed(listing);
                if let Some(revision) = watched.service.resume_at() {
                    session.watch(&prefix, revision);
                }
                Ok(())
            }
            Err(error) if error.is_of_service() => {
                self.board.failed([&watched.source], &error.to_string());
                session.list(&prefix, Instant::now() + RETRY);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn heard(&mut self, session: &mut Session, response: &WatchResponse) {
        let Some(prefix) = session.watches.get(&response.watch_id).cloned() else {
            return;
        };
        let Some(watched) = self.watched.get_mut(&prefix) else {
            return;
        };
        let service = &mut watched.service;
        if response.canceled {
            session.forget(&prefix);
            service.forget_revision();
            let is_compacted = response.compact_revision != 0;
            if !is_compacted {
                self.board.failed([&watched.source], &response.cancel_reason);
            }
            let pause = if is_compacted { Duration::ZERO } else { RETRY };
            return session.list(&prefix, Instant::now() + pause);
        }
        let Some(header) = &response.header else { return };
        let next = match response.created {
            true if !service.goes_on(header.cluster_id, header.revision) => Next::List,
            true => {
                let (skipped, complaint) = service.complaint();
                let endpoints = service.found().len();
                self.board
                    .answered(&watched.source, endpoints, false, skipped, complaint);
                Next::Watch
            }
            false => service.apply(&response.events),
        };
        if next == Next::List {
            session.unwatch(&prefix);
            service.forget_revision();
            return session.list(&prefix, Instant::now());
        }
        // Of a revision that comes in pieces only the last makes it complete. Without events it is
        // said how far the watch has come; with some, later ones may be on their way.
        let last = response.events.iter().filter_map(|event| event.kv.as_ref());
        let last = last.map(|pair| pair.mod_revision).max();
        match last {
            Some(revision) if !response.fragment => service.reached(revision),
            None if !response.created => service.reached(header.revision),
            _ => {}
        }
    }

    /// Tells of what changed, now or soon.
    fn tell_in_time(&mut self, session: &mut Session) {
        if session.tell_at.is_none() && self.watched.values().any(|watched| watched.service.is_dirty) {
            self.tell();
            session.tell_at = Some(Instant::now() + COALESCE);
        }
    }
}

impl Session {
    fn new(client: Client) -> Self {
        Self {
            client,
            due: BTreeSet::new(),
            lists: FuturesUnordered::new(),
            outgoing: VecDeque::new(),
            watches: BTreeMap::new(),
            ids: BTreeMap::new(),
            last_id: 0,
            tell_at: None,
        }
    }

    /// When something is to be done, if nothing happens before.
    fn wake_at(&self) -> Option<Instant> {
        let list = self.due.first().map(|(at, _)| *at);
        let list = list.filter(|_| self.lists.len() < CONCURRENT);
        self.tell_at.into_iter().chain(list).min()
    }

    /// Has `prefix` listed at `at`.
    fn list(&mut self, prefix: &str, at: Instant) {
        self.due.insert((at, prefix.to_owned()));
    }

    fn start_lists(&mut self) {
        let now = Instant::now();
        while self.lists.len() < CONCURRENT && self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, prefix)) = self.due.pop_first() else {
                return;
            };
            let client = self.client.clone();
            self.lists.push(Box::pin(async move {
                let listed = client.list(&prefix).await;
                (prefix, listed)
            }));
        }
    }

    /// Has `prefix` watched from `revision` on.
    fn watch(&mut self, prefix: &str, revision: i64) {
        if self.ids.contains_key(prefix) {
            return;
        }
        self.last_id += 1;
        self.watches.insert(self.last_id, prefix.to_owned());
        self.ids.insert(prefix.to_owned(), self.last_id);
        self.send(RequestUnion::CreateRequest(WatchCreateRequest {
            key: prefix.as_bytes().to_vec(),
            range_end: end_of(prefix),
            start_revision: revision,
            progress_notify: true,
            watch_id: self.last_id,
            fragment: true,
        }));
    }

    /// Gives up the watch of `prefix`.
    fn unwatch(&mut self, prefix: &str) {
        if let Some(watch_id) = self.forget(prefix) {
            self.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id }));
        }
    }

    fn forget(&mut self, prefix: &str) -> Option<i64> {
        let id = self.ids.remove(prefix)?;
        self.watches.remove(&id);
        Some(id)
    }

    fn send(&mut self, request: RequestUnion) {
        self.outgoing.push_back(WatchRequest {
            request_union: Some(request),
        });
    }
}

impl Inbound {
    /// The next answer. May be dropped and asked again.
    async fn next(&mut self) -> Result<WatchResponse, EtcdError> {
        loop {
            match self {
                Self::Opening(opening) => {
                    let stream = opening.await?;
                    *self = Self::Open(Box::new(stream));
                }
                Self::Open(stream) => return stream.message().await?.ok_or(EtcdError::Ended),
            }
        }
    }
}
