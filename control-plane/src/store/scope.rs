//! What a token may do: verbs on kinds in namespaces.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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
        }
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
    fn allows(&self, verb: Verb, kind: Kind, namespace: &Namespace) -> bool {
        self.verbs.contains(&verb)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
            && self
                .namespaces
                .as_ref()
                .is_none_or(|namespaces| namespaces.contains(namespace))
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
        assert!(!scope.has(Verb::Debug) && Scope::Everything.has(Verb::Debug));
        assert!(Scope::Everything.allows(Verb::Delete, Kind::Secret, &"x".parse().unwrap()));
        let nothing = Scope::of(Some(vec![]));
        assert!(!nothing.allows(Verb::Get, Kind::Backend, &"x".parse().unwrap()));
    }
}
