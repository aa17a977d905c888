//! Hostnames of listeners and routes (Gateway API `Hostname`).

use std::fmt;

/// Which hosts a listener or a route serves. Lower case, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hostname {
    /// `shop.example.com`
    Exact(Box<str>),
    /// `*.example.com`, kept as `.example.com`: any depth below, but not the name itself.
    Wildcard(Box<str>),
    /// Every host, and requests without one.
    Any,
}

/// Why a text is no hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// Longer than 253 bytes.
    #[error("a hostname has at most 253 characters")]
    Length,
    /// A label that RFC 1123 does not allow.
    #[error("labels are 1 to 63 of a-z, 0-9 and '-', and neither start nor end with '-'")]
    Label,
    /// A `*` elsewhere than as the whole first label.
    #[error("'*' may only be the whole first label, as in *.example.com")]
    Wildcard,
    /// An IP address.
    #[error("an IP address is no hostname")]
    Address,
}

impl Hostname {
    /// Parses a lower-case hostname; empty is [`Hostname::Any`].
    pub fn parse(text: &str) -> Result<Self, HostnameError> {
        if text.is_empty() {
            return Ok(Self::Any);
        }
        if text.len() > 253 {
            return Err(HostnameError::Length);
        }
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostnameError::Address);
        }
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.contains('*') {
            return Err(HostnameError::Wildcard);
        }
        if !name.split('.').all(is_label) {
            return Err(HostnameError::Label);
        }
        Ok(match wildcard {
            true => Self::Wildcard(text[1..].into()),
            false => Self::Exact(text.into()),
        })
    }

    /// Whether `host` (lower case, no port) is one of these.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
            Self::Any => true,
        }
    }

    /// Hosts in both, or `None` when there are none.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, any) | (any, Self::Any) => Some(any.clone()),
            (Self::Exact(name), _) => other.matches(name).then(|| self.clone()),
            (_, Self::Exact(name)) => self.matches(name).then(|| other.clone()),
            (Self::Wildcard(a), Self::Wildcard(b)) => {
                let (short, long, narrow) = if a.len() <= b.len() {
                    (a, b, other)
                } else {
                    (b, a, self)
                };
                long.ends_with(&**short).then(|| narrow.clone())
            }
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
            Self::Any => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Hostname {
        Hostname::parse(text).unwrap()
    }

    #[test]
    fn a_wildcard_matches_any_depth_and_not_the_name_itself() {
        let wildcard = host("*.example.com");
        assert!(wildcard.matches("a.example.com"));
        assert!(wildcard.matches("a.b.example.com"));
        assert!(!wildcard.matches("example.com"));
        assert!(!wildcard.matches("badexample.com"));
    }

    #[test]
    fn an_intersection_is_the_narrower_of_two_that_meet() {
        assert_eq!(host("*.x.com").intersect(&host("a.x.com")), Some(host("a.x.com")));
        assert_eq!(
            host("*.x.com").intersect(&host("*.a.x.com")),
            Some(host("*.a.x.com"))
        );
        assert_eq!(host("").intersect(&host("*.x.com")), Some(host("*.x.com")));
        assert_eq!(host("x.com").intersect(&host("*.x.com")), None);
        assert_eq!(host("*.ax.com").intersect(&host("*.x.com")), None);
    }

    #[test]
    fn bad_hostnames_are_refused() {
        assert_eq!(Hostname::parse("10.0.0.1"), Err(HostnameError::Address));
        assert_eq!(Hostname::parse("a.*.com"), Err(HostnameError::Wildcard));
        assert_eq!(Hostname::parse("*"), Err(HostnameError::Wildcard));
        assert_eq!(Hostname::parse("A.com"), Err(HostnameError::Label));
        assert_eq!(Hostname::parse("a..com"), Err(HostnameError::Label));
        assert_eq!(Hostname::parse("-a.com"), Err(HostnameError::Label));
    }
}
