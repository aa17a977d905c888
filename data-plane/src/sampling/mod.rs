//! Samples of the requests that are made: what decides where they go, and nothing else of them.
//!
//! Off unless it is asked for. Each worker keeps a bounded reservoir of its own, in which every request is as
//! likely to be as any other; the control thread takes it along with what the worker counted, adds up what is equal,
//! and reports it. Of headers only those are looked at that were asked for; what clients prove themselves
//! with is never kept in plain.

mod gathered;
mod sampler;

use std::num::NonZeroU32;

use http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};

pub(crate) use self::{
    gathered::Gathered,
    sampler::{Reservoir, Sampled, Sampler},
};

/// Headers of which at most a hash is kept, whatever was asked for.
const SECRET: [HeaderName; 4] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    // It carries a token.
    HeaderName::from_static("sluice-debug"),
];

/// What is kept of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    per_second: NonZeroU32,
    /// By name, each once, and whether in plain.
    headers: Vec<(HeaderName, bool)>,
    query: bool,
}

impl Sampling {
    /// At most so many requests of a worker in a second. Of `plain` headers the values are kept, of
    /// `hashed` ones, and of those that carry credentials, hashes under a key of the control planes. Queries
    /// are kept as they are, or not at all.
    pub fn new(per_second: NonZeroU32, plain: &[HeaderName], hashed: &[HeaderName], query: bool) -> Self {
        let is_plain = |name: &HeaderName| !SECRET.contains(name) && !hashed.contains(name);
        let names = plain.iter().chain(hashed);
        let mut headers: Vec<_> = names.map(|name| (name.clone(), is_plain(name))).collect();
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        headers.dedup();
        Self {
            per_second,
            headers,
            query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_kept_in_plain() {
        let name = |text: &'static str| HeaderName::from_static(text);
        let sampling = Sampling::new(
            NonZeroU32::MIN,
            &[name("x-beta"), COOKIE, AUTHORIZATION, name("x-user")],
            &[name("x-user"), name("x-user")],
            false,
        );
        let headers = [
            (AUTHORIZATION, false),
            (COOKIE, false),
            (name("x-beta"), true),
            (name("x-user"), false),
        ];
        assert_eq!(sampling.headers, headers);
    }
}
