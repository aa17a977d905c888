//! Which resources a command is about: `KIND`, `KIND,KIND`, `KIND NAME` or `KIND/NAME`.

use std::str::FromStr;

use clap::Args;
use sluice_intent::{Kind, ObjectName};

/// A kind and perhaps a name, given as one word or two.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Kind (gateways, routes, backends, secrets, ..., or a short name), KIND,KIND, KIND/NAME, or all
    #[arg(value_name = "KIND[/NAME]")]
    kind: KindWord,
    /// Name of the resource
    #[arg(value_name = "NAME")]
    name: Option<ObjectName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct KindWord {
    /// None: all of them.
    kinds: Vec<Kind>,
    name: Option<ObjectName>,
}

/// What a [`Target`] means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Every kind.
    All,
    /// Every resource of these kinds, each once.
    Kinds(Vec<Kind>),
    /// One resource.
    One(Kind, ObjectName),
}

/// Why a text names no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KindError {
    /// Nothing is called so, but something is called nearly so.
    #[error("there is no such kind; did you mean {}?", .0.plural())]
    Nearly(Kind),
    /// Nothing is called so.
    #[error("there is no such kind; there are {}", Kind::ALL.map(Kind::plural).join(", "))]
    Unknown,
    /// The part behind the slash is no name.
    #[error("the name after the slash is not a name")]
    Name,
    /// A name needs one kind.
    #[error("a name goes with one kind")]
    NotOne,
}

impl Target {
    /// What is meant.
    ///
    /// # Errors
    /// When a name is given twice, or for all kinds.
    pub(crate) fn selection(&self) -> Result<Selection, KindError> {
        let KindWord { kinds, name } = &self.kind;
        match (kinds.as_slice(), name.as_ref().or(self.name.as_ref())) {
            _ if name.is_some() && self.name.is_some() => Err(KindError::Name),
            ([], None) => Ok(Selection::All),
            ([kind], Some(name)) => Ok(Selection::One(*kind, name.clone())),
            (_, Some(_)) => Err(KindError::NotOne),
            (kinds, None) => Ok(Selection::Kinds(kinds.to_vec())),
        }
    }
}

impl FromStr for KindWord {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        let (words, name) = match text.split_once('/') {
            Some((words, name)) => (words, Some(name.parse().map_err(|_| KindError::Name)?)),
            None => (text, None),
        };
        let mut kinds = Vec::new();
        if words != "all" {
            for word in words.split(',') {
                let nearly = || Kind::nearest(word).map_or(KindError::Unknown, KindError::Nearly);
                let kind = Kind::by_any_name(word).ok_or_else(nearly)?;
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        match (kinds.len(), &name) {
            (1, _) | (_, None) => Ok(Self { kinds, name }),
            (_, Some(_)) => Err(KindError::NotOne),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(kind: &str, name: Option<&str>) -> Result<Selection, KindError> {
        let name = name.map(|name| name.parse().unwrap());
        Target {
            kind: kind.parse()?,
            name,
        }
        .selection()
    }

    #[test]
    fn a_resource_is_named_in_one_word_or_two() {
        let shop = Selection::One(Kind::HTTPRoute, "shop".parse().unwrap());
        assert_eq!(selection("route", Some("shop")), Ok(shop.clone()));
        assert_eq!(selection("HTTPRoute/shop", None), Ok(shop));
        assert_eq!(selection("be", None), Ok(Selection::Kinds(vec![Kind::Backend])));
        assert_eq!(selection("all", None), Ok(Selection::All));
        let both = Selection::Kinds(vec![Kind::Secret, Kind::Gateway]);
        assert_eq!(selection("secret,gw,secrets", None), Ok(both));
    }

    #[test]
    fn what_names_nothing_is_refused_with_the_nearest_kind() {
        assert_eq!(selection("routez", None), Err(KindError::Nearly(Kind::HTTPRoute)));
        assert_eq!(selection("deployments", None), Err(KindError::Unknown));
        assert_eq!(selection("all", Some("shop")), Err(KindError::NotOne));
        assert_eq!(selection("gw,secret/a", None), Err(KindError::NotOne));
        assert_eq!(selection("gw,secret", Some("a")), Err(KindError::NotOne));
        assert_eq!(selection("gw,", None), Err(KindError::Unknown));
        assert!(KindError::Unknown.to_string().contains("secrets"));
        assert_eq!(selection("route/", None), Err(KindError::Name));
        assert_eq!(selection("route/a", Some("b")), Err(KindError::Name));
    }
}
