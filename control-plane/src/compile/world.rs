//! Everything at one revision.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use sluice_core::{ResourceSet, Snapshot};
use sluice_intent::{Kind, Namespace, Resource, ResourceId};
use sluice_model::{CommitId, HistoryId, Key, Position, Revision, Violation};

use super::addressing::Addressing;
use super::audience::References;
use super::check::{self, Doubt};
use super::emit::secret;
use super::index::Index;
use super::intent::Intent;
use super::source::{Found, Source};
use super::views::Views;

/// Identity of a resource, shared by all the maps that name it.
pub(super) type Id = Arc<ResourceId>;

/// Everything at one revision: what users wrote, what it compiles to, and the snapshots that the
/// fleet builds from that. Clones share all of it.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) intents: OrdMap<Id, Arc<Intent>>,
    pub(super) index: Index,
    /// Keys of the wire resources that each intent became.
    pub(super) emitted: OrdMap<Id, Arc<[Key]>>,
    /// What each source knew when it was last heard of.
    pub(super) found: OrdMap<Source, Arc<[Found]>>,
    /// The youngest age of what it held so far; only of kinds of which the older one wins.
    pub(super) youngest: Revision,
    /// Seconds since 1970 by which certificates are judged; without, they are not.
    pub(super) now: Option<i64>,
    /// Which proxies Gateways are for.
    pub(super) addressing: Addressing,
    /// What wire resources refer to; kept only while any Gateway is not for all proxies.
    pub(super) references: References,
    /// Every wire resource, whoever it is for.
    pub(super) resources: ResourceSet,
    pub(super) views: Views,
    /// Which commit its revision is; not known before it is made.
    pub(super) commit: CommitId,
}

impl World {
    /// A world without resources, at revision 0.
    pub fn empty(history: HistoryId) -> Self {
        Self {
            intents: OrdMap::new(),
            index: Index::default(),
            emitted: OrdMap::new(),
            found: OrdMap::new(),
            youngest: Revision(0),
            now: None,
            addressing: Addressing::default(),
            references: References::default(),
            resources: ResourceSet::empty(),
            views: Views::empty(history),
            commit: CommitId::UNKNOWN,
        }
    }

    /// The same world, whose revision was committed as `commit`.
    #[must_use]
    pub fn committed(self, commit: CommitId) -> Self {
        Self { commit, ..self }
    }

    /// Which commit its revision is.
    pub fn commit(&self) -> CommitId {
        self.commit
    }

    /// The same world, in which certificates are judged by this time since 1970. Worlds that come
    /// of it keep it.
    pub fn at(self, since_1970: Duration) -> Self {
        Self {
            now: i64::try_from(since_1970.as_secs()).ok(),
            ..self
        }
    }

    /// The history that the revision counts in.
    pub fn history(&self) -> HistoryId {
        self.snapshot().history()
    }

    /// The newest revision in it.
    pub fn revision(&self) -> Revision {
        self.position().revision
    }

    /// What proxies that match no selector hold once they have it.
    pub fn position(&self) -> Position {
        self.snapshot().position()
    }

    /// Every wire resource, whichever proxies it is for.
    pub fn resources(&self) -> &ResourceSet {
        &self.resources
    }

    /// What proxies that match no selector build from it: all of it, while there are no selectors.
    pub fn snapshot(&self) -> &Snapshot {
        &self.views.default
    }

    /// One resource.
    pub fn get(&self, id: &ResourceId) -> Option<&Arc<Intent>> {
        self.intents.get(id)
    }

    /// Every resource, by kind, namespace and name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Intent>> {
        self.intents.values()
    }

    /// The resources that come after `after`, or all, by kind, namespace and name.
    pub fn following<'a>(
        &'a self,
        after: Option<&ResourceId>,
    ) -> impl Iterator<Item = &'a Arc<Intent>> + use<'a> {
        let start = match after {
            Some(after) => Bound::Excluded(Arc::new(after.clone())),
            None => Bound::Unbounded,
        };
        let range = self.intents.range((start, Bound::Unbounded));
        range.map(|(_, intent)| intent)
    }

    /// The resources of `kind` that come after `after`, by namespace and name.
    pub fn of_kind<'a>(
        &'a self,
        kind: Kind,
        after: Option<&ResourceId>,
    ) -> impl Iterator<Item = &'a Arc<Intent>> + use<'a> {
        let start = match after {
            Some(after) => Bound::Excluded(Arc::new(after.clone())),
            None => first_of(kind),
        };
        let range = self.intents.range((start, Bound::Unbounded));
        range
            .map(|(_, intent)| intent)
            .take_while(move |intent| intent.resource.id.kind == kind)
    }

    /// What is allowed about this resource but probably not meant: dangling references, a route
    /// that attaches to nothing.
    pub fn warnings(&self, intent: &Intent) -> Vec<Violation> {
        let doubts = self.doubts(intent).into_iter();
        doubts.map(|doubt| doubt.violation).collect()
    }

    /// The same warnings, each with its reason.
    pub fn doubts(&self, intent: &Intent) -> Vec<Doubt> {
        let findings = check::findings(self, &intent.resource).into_iter();
        findings.map(|finding| finding.doubt).collect()
    }

    /// The resources of `kind` in one namespace, by name.
    pub(super) fn in_namespace<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a Namespace,
    ) -> impl Iterator<Item = &'a Arc<Intent>> + use<'a> {
        let range = self.intents.range((first_in(kind, namespace), Bound::Unbounded));
        range.map(|(_, intent)| intent).take_while(move |intent| {
            let id = &intent.resource.id;
            id.kind == kind && id.namespace == *namespace
        })
    }

    /// The policies attached to `target`, the oldest first, then by name.
    pub(super) fn attached(&self, target: &ResourceId) -> Vec<&Arc<Intent>> {
        let policies = self.index.attached(target);
        let mut policies: Vec<_> = policies.filter_map(|id| self.intents.get(id)).collect();
        policies.sort_by_key(|intent| (intent.created, &intent.resource.id));
        policies
    }

    pub(super) fn resource(&self, id: &ResourceId) -> Option<&Resource> {
        self.intents.get(id).map(|intent| &intent.resource)
    }
}

/// The lowest id of a kind: ids order by kind first, and no name is below `0`.
fn first_of(kind: Kind) -> Bound<Id> {
    "0".parse()
        .map_or(Bound::Unbounded, |namespace| first_in(kind, &namespace))
}

/// The lowest id of a kind in one namespace.
fn first_in(kind: Kind, namespace: &Namespace) -> Bound<Id> {
    "0".parse().map_or(Bound::Unbounded, |name| {
        Bound::Included(Arc::new(ResourceId {
            kind,
            namespace: namespace.clone(),
            name,
        }))
    })
}

/// Violations of wire resources, said of the resource that the user knows.
pub(super) fn in_words_of_intent(violations: Vec<Violation>) -> Vec<Violation> {
    let translate = |violation: Violation| {
        let Ok(key) = Key::parse(&violation.resource) else {
            return violation;
        };
        let kind = match key.kind() {
            sluice_model::Kind::Certificate | sluice_model::Kind::Trust => {
                let (kind, name) = secret::origin(key.segment(1));
                return Violation {
                    resource: format!("{kind}/{}/{name}", key.segment(0)),
                    ..violation
                };
            }
            // The server's own.
            sluice_model::Kind::Tickets => return violation,
            sluice_model::Kind::Listener => Kind::Gateway,
            sluice_model::Kind::Backend | sluice_model::Kind::Endpoints => Kind::Backend,
            sluice_model::Kind::Experiment => Kind::Experiment,
            sluice_model::Kind::Split | sluice_model::Kind::Route | sluice_model::Kind::Rule => {
                Kind::HTTPRoute
            }
        };
        Violation {
            resource: format!("{kind}/{}", key.owner()),
            ..violation
        }
    };
    violations.into_iter().map(translate).collect()
}
