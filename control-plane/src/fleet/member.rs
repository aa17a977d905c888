//! What is known of one proxy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sluice_intent::Labels;
use sluice_model::{HistoryId, Position, Revision};
use sluice_proto::v1;
use sluice_tls::ProxyPeer;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::refusal::Refused;
use super::registry::{Joining, StreamId};
use super::telemetry::Telemetry;
use crate::compile::ViewKey;
use crate::live;
use crate::store::UnixMillis;
use crate::trust::Peer;

/// How long a proxy counts as live after its stream broke.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// Bounds on what a proxy may say of itself.
const MAX_NAME: usize = 253;
const MAX_LABELS: usize = 64;
const MAX_LISTENERS: usize = 4_096;

/// One proxy.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) version: String,
    pub(super) admin: String,
    pub(super) instance: Vec<u8>,
    pub(super) stream: StreamId,
    pub(super) displace: CancellationToken,
    pub(super) recount: Arc<Notify>,
    /// What its labels give it.
    pub(super) view: ViewKey,
    /// Who it is for certain.
    pub(super) peer: Peer,
    /// Of several replicas that know it the one with the highest claim has it.
    pub(super) claim: u64,
    /// When its stream broke; `None` while it is connected.
    pub(super) broken: Option<Instant>,
    /// When this process was first heard of.
    pub(super) joined: Instant,
    pub(super) since: UnixMillis,
    /// What it runs.
    pub(super) holds: Option<(HistoryId, Position)>,
    pub(super) build_us: u64,
    /// Since when it is on its stream and in its view: before that nobody could have sent it anything.
    pub(super) here: Instant,
    /// From when its last update was live, and could be sent to it, until it had it.
    pub(super) took: Duration,
    pub(super) listeners: Vec<v1::BoundListener>,
    pub(super) warnings: Vec<String>,
    /// How often another process with its id appeared.
    pub(super) displaced: u64,
    pub(super) refusal: Option<Refused>,
    pub(super) telemetry: Telemetry,
}

impl Member {
    pub(super) fn new(hello: &v1::Hello, joining: Joining, since: UnixMillis, now: Instant) -> Self {
        let labels = hello
            .labels
            .iter()
            .map(|label| (label.name.clone(), label.value.clone()));
        Self {
            labels: labels.collect(),
            version: hello.version.clone(),
            admin: hello.admin.clone(),
            instance: hello.instance.clone(),
            stream: joining.stream,
            displace: joining.displace,
            recount: joining.recount,
            peer: joining.peer,
            view: joining.view,
            claim: 1,
            broken: None,
            joined: now,
            since,
            holds: joining.holds,
            build_us: 0,
            here: now,
            took: Duration::ZERO,
            listeners: hello.listeners.clone(),
            warnings: Vec::new(),
            displaced: 0,
            refusal: None,
            telemetry: Telemetry::default(),
        }
    }

    /// Goes on where the same process was on another stream.
    pub(super) fn resume(&mut self, before: Self) {
        self.joined = before.joined;
        self.since = before.since;
        self.displaced = before.displaced;
        let goes_on = before.holds == self.holds && before.view == self.view;
        self.refusal = before.refusal.filter(|_| goes_on);
        self.telemetry = before.telemetry;
        self.telemetry.endpoints.clear();
    }

    /// Whom its certificate names, if it has shown one.
    pub(super) fn proxy(&self) -> Option<&ProxyPeer> {
        match &self.peer {
            Peer::Proxy(proxy) => Some(proxy),
            Peer::Local | Peer::Stranger => None,
        }
    }

    /// Its labels, as far as they are such.
    pub(super) fn readable_labels(&self) -> Labels {
        live::readable(self.labels.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Goes on where it was on another replica, as that tells of it. A process that came in its place
    /// displaced it there.
    pub(super) fn take_over(&mut self, elsewhere: &Self) {
        self.claim = self.claim.max(elsewhere.claim + 1);
        if elsewhere.instance != self.instance {
            self.displaced = self
                .displaced
                .max(elsewhere.displaced + u64::from(elsewhere.broken.is_none()));
            return;
        }
        self.joined = self.joined.min(elsewhere.joined);
        self.since = self.since.min(elsewhere.since);
        self.displaced = self.displaced.max(elsewhere.displaced);
        let refusal = elsewhere
            .refusal
            .as_ref()
            .filter(|_| elsewhere.holds == self.holds);
        self.refusal = self.refusal.take().or(refusal.cloned());
    }

    /// Whether it counts: its stream stands, or broke less than [`LEASE`] ago.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.broken
            .is_none_or(|broken| now.duration_since(broken) < LEASE)
    }

    /// The revision it runs, in `history`.
    pub(super) fn revision_in(&self, history: HistoryId) -> Option<Revision> {
        self.holds
            .filter(|(held, _)| *held == history)
            .map(|(_, position)| position.revision)
    }
}

/// Whether a Hello keeps to the bounds.
pub(super) fn is_presentable(hello: &v1::Hello) -> bool {
    let short = |text: &str| text.len() <= MAX_NAME;
    !hello.proxy_id.is_empty()
        && hello
            .proxy_id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'/')
        && short(&hello.proxy_id)
        && short(&hello.version)
        && short(&hello.admin)
        && hello.instance.len() <= 64
        && hello.labels.len() <= MAX_LABELS
        && hello
            .labels
            .iter()
            .all(|label| short(&label.name) && short(&label.value))
        && are_presentable(&hello.listeners)
}

/// Whether listeners keep to the bounds.
pub(super) fn are_presentable(listeners: &[v1::BoundListener]) -> bool {
    listeners.len() <= MAX_LISTENERS
        && listeners
            .iter()
            .all(|bound| bound.listener.len() <= 1_024 && bound.address.len() <= 64)
}

#[cfg(test)]
pub(super) mod tests {
    use sluice_model::Digest;

    use super::*;
    use crate::fleet::stage;

    /// A proxy that connected at `since` and runs that revision.
    pub(in crate::fleet) fn member(since: UnixMillis, held: Option<(HistoryId, Revision)>) -> Member {
        let position = |revision| Position {
            revision,
            config: Digest::EMPTY,
            runtime: Digest::EMPTY,
        };
        let holds = held.map(|(history, revision)| (history, position(revision)));
        let joining = stage::joining(StreamId::of(1), holds);
        Member::new(&v1::Hello::default(), joining, since, Instant::now())
    }
}
