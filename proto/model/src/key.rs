//! Keys of wire resources: stable identities such as `rule/default/shop/checkout`.

use std::{fmt, sync::Arc};

/// What a key names. The order is the order in which kinds are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `certificate/NAMESPACE/NAME`
    Certificate,
    /// `trust/NAMESPACE/NAME`
    Trust,
    /// `tickets/NAMESPACE/NAME`
    Tickets,
    /// `listener/NAMESPACE/GATEWAY/NAME`
    Listener,
    /// `backend/NAMESPACE/NAME`
    Backend,
    /// `endpoints/NAMESPACE/BACKEND`
    Endpoints,
    /// `split/NAMESPACE/ROUTE/RULE`
    Split,
    /// `experiment/NAMESPACE/NAME`
    Experiment,
    /// `route/NAMESPACE/NAME`
    Route,
    /// `rule/NAMESPACE/ROUTE/RULE`
    Rule,
}

impl Kind {
    /// All kinds, in order of application.
    pub const ALL: [Self; 10] = [
        Self::Certificate,
        Self::Trust,
        Self::Tickets,
        Self::Listener,
        Self::Backend,
        Self::Endpoints,
        Self::Split,
        Self::Experiment,
        Self::Route,
        Self::Rule,
    ];

    /// First segment of the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Trust => "trust",
            Self::Tickets => "tickets",
            Self::Listener => "listener",
            Self::Backend => "backend",
            Self::Endpoints => "endpoints",
            Self::Split => "split",
            Self::Experiment => "experiment",
            Self::Route => "route",
            Self::Rule => "rule",
        }
    }

    /// Segments after the first.
    const fn segments(self) -> usize {
        match self {
            Self::Listener | Self::Split | Self::Rule => 3,
            Self::Certificate
            | Self::Trust
            | Self::Tickets
            | Self::Backend
            | Self::Endpoints
            | Self::Experiment
            | Self::Route => 2,
        }
    }

    /// Whether resources of this kind change without a revision.
    pub const fn class(self) -> Class {
        match self {
            Self::Tickets | Self::Endpoints => Class::Runtime,
            Self::Certificate
            | Self::Trust
            | Self::Listener
            | Self::Backend
            | Self::Split
            | Self::Experiment
            | Self::Route
            | Self::Rule => Class::Config,
        }
    }
}

/// The two halves of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Changes only with a revision.
    Config,
    /// Changes without one.
    Runtime,
}

/// A parsed key. Cheap to clone; orders by its text, so that all rules of one route
/// stand together.
#[derive(Clone)]
pub struct Key {
    text: Arc<str>,
    kind: Kind,
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The first segment names no kind.
    #[error("the key does not start with a known kind")]
    Kind,
    /// Too few or too many segments, or one that is empty or has other than visible ASCII.
    #[error("the key does not have the segments of its kind, of visible ASCII")]
    Segments,
    /// Longer than [`Key::MAX_LEN`].
    #[error("the key is longer than 1024 bytes")]
    Length,
}

impl Key {
    /// Longest key, in bytes: three names of 253 and a kind, with room.
    pub const MAX_LEN: usize = 1024;

    /// The key of `kind` with these segments.
    pub fn new(kind: Kind, segments: &[&str]) -> Result<Self, KeyError> {
        let mut text = String::from(kind.as_str());
        for segment in segments {
            text.push('/');
            text.push_str(segment);
        }
        Self::parse(&text)
    }

    /// Parses `KIND/SEGMENT/...`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > Self::MAX_LEN {
            return Err(KeyError::Length);
        }
        let (head, rest) = text.split_once('/').ok_or(KeyError::Segments)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == head)
            .ok_or(KeyError::Kind)?;
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        let well_formed = rest.split('/').count() == kind.segments() && rest.split('/').all(is_name);
        match well_formed {
            true => Ok(Self {
                text: text.into(),
                kind,
            }),
            false => Err(KeyError::Segments),
        }
    }

    /// What the key names.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The key as it travels.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The segment at `index`, counted after the kind: 0 is the namespace. Empty past the end.
    pub fn segment(&self, index: usize) -> &str {
        self.text.split('/').nth(index + 1).unwrap_or("")
    }

    /// `NAMESPACE/NAME` of the object this belongs to: of a rule, its route.
    pub fn owner(&self) -> &str {
        let start = self.kind.as_str().len() + 1;
        let rest = &self.text[start..];
        let end = rest.match_indices('/').nth(1).map_or(rest.len(), |(at, _)| at);
        &rest[..end]
    }

    /// The key of another kind with the same segments (`rule/a/b/c` to `split/a/b/c`),
    /// or with as many of the first ones as that kind has (`rule/a/b/c` to `route/a/b`).
    pub fn sibling(&self, kind: Kind) -> Result<Self, KeyError> {
        let segments: Vec<&str> = self.text.split('/').skip(1).take(kind.segments()).collect();
        Self::new(kind, &segments)
    }
}

// Equality, hash and order are those of the text alone, as `Borrow<str>` asks.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        let key = Key::new(Kind::Rule, &["default", "shop", "checkout"]).unwrap();
        assert_eq!(key.as_str(), "rule/default/shop/checkout");
        assert_eq!(key.segment(2), "checkout");
        assert_eq!(key.owner(), "default/shop");
        assert_eq!(key.sibling(Kind::Route).unwrap().as_str(), "route/default/shop");
    }

    #[test]
    fn a_text_that_is_no_key_says_why() {
        assert_eq!(Key::parse("frog/a/b"), Err(KeyError::Kind));
        assert_eq!(Key::parse("rule/a/b"), Err(KeyError::Segments));
        assert_eq!(Key::parse("backend/a/"), Err(KeyError::Segments));
        assert_eq!(Key::parse("backend/a/\0"), Err(KeyError::Segments));
        assert_eq!(
            Key::parse(&format!("backend/a/{}", "x".repeat(1024))),
            Err(KeyError::Length)
        );
    }
}
