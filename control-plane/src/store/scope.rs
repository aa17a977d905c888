//! What a token may do: verbs on kinds in namespaces.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_intent::{Kind, Namespace, ResourceId};

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// To read it.
    Get,
    /// To have a change of it judged that is not made: plans and dry runs.
    Plan,
    /// To make it.
    Create,
    /// To change it.
    Update,
    /// To take it away.
    Delete,
    /// To make debug tokens, with which proxies tell what becomes of requests. Of no kinds and namespaces.
    Debug,
    /// To replay requests that proxies sampled, and to be shown some of them. Of no kinds and namespaces. With
    /// `plan`, it lets find out by guesses whether a value was sent that samples have a hash of: hashes are
    /// compared with what is proposed. Of headers with credentials nothing is told.
    Samples,
}

impl Verb {
    /// The name in grants and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Plan => "plan",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Debug => "debug",
            Self::Samples => "samples",
        }
    }

    /// Whether it is done to no resource, so that kinds and namespaces say nothing of it.
    pub const fn is_of_no_kind(self) -> bool {
        matches!(self, Self::Debug | Self::Samples)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// What may be done; 1 or more.
    #[schemars(length(min = 1))]
    pub verbs: Vec<Verb>,
    /// To which kinds; to all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub kinds: Option<Vec<Kind>>,
    /// In which namespaces; in all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub namespaces: Option<Vec<Namespace>>,
}

impl Grant {
    /// A grant as it is stored, maybe by a later version. Verbs, kinds and namespaces that this one does not know
    /// allow nothing here; neither does a grant with a field that it does not know, which may be a condition.
    fn stored(grant: &Value) -> Option<Self> {
        let fields = grant.as_object()?;
        let is_known = |name: &String| ["verbs", "kinds", "namespaces"].contains(&name.as_str());
        if !fields.keys().all(is_known) {
            return None;
        }
        Some(Self {
            verbs: known(fields.get("verbs"))?,
            kinds: listed(fields.get("kinds"))?,
            namespaces: listed(fields.get("namespaces"))?,
        })
    }

    fn allows(&self, verb: Verb, kind: Kind, namespace: &Namespace) -> bool {
        self.verbs.contains(&verb)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            && self
                .namespaces
                .as_ref()
                .is_none_or(|namespaces| namespaces.contains(namespace))
    }
}

/// Those of a list that this version knows; `None` when it is none.
fn known<T: DeserializeOwned>(list: Option<&Value>) -> Option<Vec<T>> {
    let list = list?.as_array()?.iter();
    Some(list.filter_map(|one| T::deserialize(one).ok()).collect())
}

/// The same where to leave it out is to mean all.
fn listed<T: DeserializeOwned>(list: Option<&Value>) -> Option<Option<Vec<T>>> {
    match list {
        None | Some(Value::Null) => Some(None),
        list => known(list).map(Some),
    }
}

/// All that a token may do. Clones share it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything, also to tokens, certificates and proxies.
    #[default]
    Everything,
    /// What one of these allows, and to read of fleet and history.
    Granted(Arc<[Grant]>),
}

impl Scope {
    /// Of no grants: everything.
    pub fn of(grants: Option<Vec<Grant>>) -> Self {
        grants.map_or(Self::Everything, |grants| Self::Granted(grants.into()))
    }

    /// What stored grants allow, as far as this version knows what they mean; nothing where it does not.
    pub(super) fn stored(text: &str) -> Self {
        let grants: Option<Vec<Value>> = serde_json::from_str(text).ok();
        let grants = grants.unwrap_or_default();
        Self::Granted(grants.iter().filter_map(Grant::stored).collect())
    }

    /// The grants, unless everything is allowed.
    pub fn grants(&self) -> Option<&[Grant]> {
        match self {
            Self::Everything => None,
            Self::Granted(grants) => Some(grants),
        }
    }

    /// Whether it may be done to resources of `kind` in `namespace`.
    pub fn allows(&self, verb: Verb, kind: Kind, namespace: &Namespace) -> bool {
        let allows = |grant: &Grant| grant.allows(verb, kind, namespace);
        self.grants().is_none_or(|grants| grants.iter().any(allows))
    }

    /// Whether it may be done at all, for what is of no kind and namespace.
    pub fn has(&self, verb: Verb) -> bool {
        let has = |grant: &Grant| grant.verbs.contains(&verb);
        self.grants().is_none_or(|grants| grants.iter().any(has))
    }

    /// Whether the resource may be read, or changes of it asked about.
    pub fn may_ask(&self, id: &ResourceId) -> bool {
        [Verb::Get, Verb::Plan]
            .into_iter()
            .any(|verb| self.allows_to(verb, id))
    }

    /// Whether it may be done to the resource.
    pub fn allows_to(&self, verb: Verb, id: &ResourceId) -> bool {
        self.allows(verb, id.kind, &id.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_grant_allows_is_not_allowed_and_what_is_left_out_is_all() {
        let grants = serde_json::json!([
            {"verbs": ["get", "plan"]},
            {"verbs": ["create", "update"], "kinds": ["HTTPRoute"], "namespaces": ["shop"]},
        ]);
        let scope = Scope::of(Some(serde_json::from_value(grants).unwrap()));
        let allows = |verb, kind, namespace: &str| scope.allows(verb, kind, &namespace.parse().unwrap());
        assert!(allows(Verb::Plan, Kind::Gateway, "other"));
        assert!(allows(Verb::Update, Kind::HTTPRoute, "shop"));
        assert!(!allows(Verb::Delete, Kind::HTTPRoute, "shop"));
        assert!(!allows(Verb::Update, Kind::Backend, "shop"));
        assert!(!allows(Verb::Update, Kind::HTTPRoute, "default"));
        for verb in [Verb::Debug, Verb::Samples] {
            assert!(verb.is_of_no_kind() && !scope.has(verb) && Scope::Everything.has(verb));
        }
        assert!(Scope::Everything.allows(Verb::Delete, Kind::Secret, &"x".parse().unwrap()));
        let nothing = Scope::of(Some(vec![]));
        assert!(!nothing.allows(Verb::Get, Kind::Backend, &"x".parse().unwrap()));
    }
    #[test]
    fn of_what_a_later_version_granted_only_what_is_known_is_allowed() {
        let stored = |grants: Value| Scope::stored(&grants.to_string());
        let allows = |scope: &Scope, verb, kind| scope.allows(verb, kind, &"shop".parse().unwrap());
        let later = stored(serde_json::json!([
            {"verbs": ["get", "teleport"], "kinds": ["HTTPRoute", "Starship"], "namespaces": ["shop"]},
            {"verbs": ["delete"], "onlyOn": "sundays"},
            {"verbs": ["update"], "kinds": ["Starship"]},
            {"verbs": "everything"},
            "create",
        ]));
        assert!(allows(&later, Verb::Get, Kind::HTTPRoute));
        assert!(!allows(&later, Verb::Get, Kind::Backend));
        assert!(
            !allows(&later, Verb::Delete, Kind::HTTPRoute),
            "the condition is not known"
        );
        assert!(
            !allows(&later, Verb::Update, Kind::HTTPRoute),
            "of kinds that are not known"
        );
        assert!(!allows(&later, Verb::Create, Kind::HTTPRoute));
        for text in ["{}", "null", "nonsense", "[]"] {
            let scope = Scope::stored(text);
            assert!(scope.grants().is_some_and(<[Grant]>::is_empty), "{text}");
        }
        let plain = vec![Grant {
            verbs: vec![Verb::Plan, Verb::Debug],
            kinds: None,
            namespaces: Some(vec!["shop".parse().unwrap()]),
        }];
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!(Scope::stored(&text), Scope::of(Some(plain)));
    }
}
