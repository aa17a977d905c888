//! Everything a proxy serves from: immutable, complete, and built from the one before it.

use std::{ops::Bound, sync::Arc};

use sluice_model::{
    Certificate, Class, Code, CommitId, CommitSeal, Endpoints, HistoryId, Key, Kind, Limits, Listener,
    Position, Revision, Tickets, Trust, Violation,
};

use crate::{
    BackendState, CompiledRule, Matched, RequestView, Target, Update,
    build::{self, Changes},
    carry::Uids,
    credentials::Credentials,
    registry::{Idx, Registry},
    resources::{Difference, ResourceSet},
    table::RouteTable,
};

/// One immutable state of the world. Built whole or not at all; cloning shares everything.
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) history: HistoryId,
    pub(crate) position: Position,
    pub(crate) commit: CommitId,
    pub(crate) commit_seal: CommitSeal,
    pub(crate) resources: ResourceSet,
    pub(crate) table: RouteTable,
    pub(crate) routes: imbl::OrdMap<Key, Arc<sluice_model::Route>>,
    pub(crate) rules: imbl::OrdMap<Key, Arc<CompiledRule>>,
    pub(crate) targets: Registry<Target>,
    pub(crate) backends: Registry<BackendState>,
    pub(crate) credentials: Credentials,
    pub(crate) endpoints: imbl::OrdMap<Key, Arc<Endpoints>>,
    pub(crate) uids: Uids,
}

impl Snapshot {
    /// The snapshot of nothing: complete, and answering 404 to everything.
    pub fn empty(history: HistoryId) -> Self {
        Self {
            history,
            position: Position::default(),
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            resources: ResourceSet::empty(),
            table: RouteTable::new(),
            routes: imbl::OrdMap::new(),
            rules: imbl::OrdMap::new(),
            targets: Registry::new(),
            backends: Registry::new(),
            credentials: Credentials::default(),
            endpoints: imbl::OrdMap::new(),
            uids: Uids::default(),
        }
    }

    /// The snapshot after `update`. What the update does not touch is shared with this one, and
    /// what is known about endpoints that stay is kept. A full update replaces whatever is held,
    /// also that of another history.
    ///
    /// # Errors
    /// Every violation: an update that starts elsewhere, resources that do not read, references to
    /// nothing, listeners in conflict, a digest that is not the target's. This snapshot is unchanged.
    pub fn apply(&self, update: &Update) -> Result<Self, Vec<Violation>> {
        let resources = match update.base {
            Some(base) if base != self.position || update.history != self.history => {
                return Err(vec![wrong_base(base, self.position)]);
            }
            Some(_) => self.resources.apply(&update.difference),
            None => ResourceSet::empty().apply(&update.difference),
        };
        let reached = [resources.digest(Class::Config), resources.digest(Class::Runtime)];
        if reached != [update.target.config, update.target.runtime] {
            let message = "the resources do not have the digest that the update promises";
            return Err(vec![Violation::new("update", "", Code::Corrupt, message)]);
        }
        let difference = self.resources.diff(&resources);
        let next = self.succeeded(update.history, update.target, resources, &difference)?;
        Ok(Self {
            commit: update.commit,
            commit_seal: update.commit_seal,
            ..next
        })
    }

    /// The snapshot of `resources`, which `difference` leads to and which are known to be whole:
    /// [`Snapshot::apply`] after its checks of what was sent. `difference` has each key once, and only
    /// what is different.
    ///
    /// # Errors
    /// Every violation, as for [`Snapshot::apply`].
    pub fn step(
        &self,
        revision: Revision,
        resources: ResourceSet,
        difference: &Difference,
    ) -> Result<Self, Vec<Violation>> {
        let target = Position {
            revision,
            config: resources.digest(Class::Config),
            runtime: resources.digest(Class::Runtime),
        };
        self.succeeded(self.history, target, resources, difference)
    }

    /// [`Snapshot::step`] over what was read already, to resources that are asked for once it is built: who has
    /// another thread makes them meanwhile.
    ///
    /// # Errors
    /// Every violation of resources together.
    pub fn step_read(
        &self,
        revision: Revision,
        changes: Changes,
        resources: impl FnOnce() -> ResourceSet,
    ) -> Result<Self, Vec<Violation>> {
        let built = build::build(self, changes);
        let resources = resources();
        let target = Position {
            revision,
            config: resources.digest(Class::Config),
            runtime: resources.digest(Class::Runtime),
        };
        Ok(built?.placed(self.history, target, resources))
    }

    fn succeeded(
        &self,
        history: HistoryId,
        target: Position,
        resources: ResourceSet,
        difference: &Difference,
    ) -> Result<Self, Vec<Violation>> {
        let next = build::build(self, Changes::of(difference)?)?;
        Ok(next.placed(history, target, resources))
    }

    fn placed(self, history: HistoryId, target: Position, resources: ResourceSet) -> Self {
        Self {
            history,
            position: target,
            commit: CommitId::UNKNOWN,
            commit_seal: CommitSeal::NONE,
            resources,
            ..self
        }
    }

    /// The history its position belongs to.
    pub fn history(&self) -> HistoryId {
        self.history
    }

    /// Where in the history it stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Which commit its revision is, as the update to it said.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// What shows it, as the same update said.
    pub fn commit_seal(&self) -> CommitSeal {
        self.commit_seal
    }

    /// What it was built from.
    pub fn resources(&self) -> &ResourceSet {
        &self.resources
    }

    /// All listeners, by key.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.table.listeners()
    }

    /// Ports that listeners name, ascending.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.table.ports()
    }

    /// What clients may do on `port` before a request names its listener: the strictest limits of the
    /// port's listeners, the default without any.
    pub fn port_limits(&self, port: u16) -> Limits {
        self.table.limits(port)
    }

    /// The listener whose TLS a connection to `port` gets: the most specific one for the name it
    /// asks for (SNI, in any case). Without a name it is the one that takes every host, or else the
    /// only one of the port. `None` also when the port is plain.
    pub fn tls_listener(&self, port: u16, sni: Option<&str>) -> Option<&Arc<Listener>> {
        let listener = match sni {
            Some(name) => self.table.listener_for(port, &name.to_ascii_lowercase()),
            None => self.table.nameless(port),
        };
        listener.filter(|listener| listener.tls.is_some())
    }

    /// The listener that takes requests for `host` (lower case, without port) on `port`. Over TLS it
    /// has to be the one of [`Self::tls_listener`]; otherwise the answer is 421 (RFC 9110 section
    /// 15.5.20).
    pub fn listener_for(&self, port: u16, host: &str) -> Option<&Arc<Listener>> {
        self.table.listener_for(port, host)
    }

    /// The certificate under `key`; there, if a listener or backend refers to it.
    pub fn certificate(&self, key: &Key) -> Option<&Arc<Certificate>> {
        self.credentials.certificates.find(key)
    }

    /// All certificates, in no order.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.credentials.certificates.iter()
    }

    /// The roots under `key`; there, if a listener or backend refers to them.
    pub fn trust(&self, key: &Key) -> Option<&Arc<Trust>> {
        self.credentials.trusts.find(key)
    }

    /// All trusts, in no order.
    pub fn trusts(&self) -> impl Iterator<Item = &Arc<Trust>> {
        self.credentials.trusts.iter()
    }

    /// Keys of session tickets, by their resource's key.
    pub fn tickets(&self) -> impl Iterator<Item = &Arc<Tickets>> {
        self.credentials.tickets.values()
    }

    /// All backends, in no order.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<BackendState>> {
        self.backends.iter()
    }

    /// All rules, by key.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<CompiledRule>> {
        self.rules.values()
    }

    /// The keys of a route's rules.
    pub(crate) fn rules_of(&self, route: &Key) -> impl Iterator<Item = &Key> {
        let prefix = format!("{}/{}/", Kind::Rule.as_str(), route.owner());
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let rules = self.rules.range::<_, str>(from).map(|(key, _)| key);
        rules.take_while(move |key| key.as_str().starts_with(&prefix))
    }

    /// The rule for a request that came in on the port that a Gateway names.
    #[inline]
    pub fn route(&self, port: u16, request: &RequestView<'_>) -> Option<Matched<'_>> {
        self.table.find(port, request)
    }

    /// A target of one of this snapshot's rules.
    #[inline]
    pub fn target(&self, idx: Idx<Target>) -> Option<&Arc<Target>> {
        self.targets.get(idx)
    }

    /// A backend of one of this snapshot's targets.
    #[inline]
    pub fn backend(&self, idx: Idx<BackendState>) -> Option<&Arc<BackendState>> {
        self.backends.get(idx)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("history", &self.history)
            .field("position", &self.position)
            .field("resources", &self.resources.len())
            .finish_non_exhaustive()
    }
}

fn wrong_base(base: Position, held: Position) -> Violation {
    let message = format!(
        "the update starts from revision {}; held is {}",
        base.revision, held.revision
    );
    Violation::new("update", "base", Code::WrongBase, message)
}
