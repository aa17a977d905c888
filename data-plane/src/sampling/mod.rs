//! Samples of the requests that are made: what decides where they go, and nothing else of them.
//!
//! Off unless it is asked for. Each worker keeps a bounded reservoir of its own, in which every request is as
//! likely to be as any other; the control thread takes it along with what the worker counted, adds up what is equal,
//! and reports it. Of headers only those are looked at that were asked for; what clients prove themselves
//! with is never kept in plain.

mod gathered;
mod sampler;

use std::num::NonZeroU16;

use http::HeaderName;
use sluice_core::is_credential;
use thiserror::Error;

pub(crate) use self::{
    gathered::Gathered,
    sampler::{Reservoir, Sampled, Sampler},
};

/// Requests that a worker keeps at most until it is asked for them. With
/// [`MAX_BYTES`](sampler::MAX_BYTES) of each it is a bound on memory: 4 MiB.
const MAX_REQUESTS: u16 = 1_000;
/// Headers that are looked at.
const MAX_HEADERS: usize = 32;

/// What is kept of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    requests: NonZeroU16,
    /// By name, each once, and whether in plain.
    headers: Vec<(HeaderName, bool)>,
    query: bool,
}

/// Why that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SamplingError {
    /// Too many requests.
    #[error("at most {MAX_REQUESTS} requests of a worker can be kept at a time")]
    Requests,
    /// Too many headers.
    #[error("at most {MAX_HEADERS} headers can be looked at")]
    Headers,
}

impl Sampling {
    /// At most so many requests of a worker at a time (a second, mostly). Of `plain` headers the values are
    /// kept, of `hashed` ones, and of those that carry credentials, hashes under a key of the control planes.
    /// Queries are kept as they are, or not at all.
    ///
    /// # Errors
    /// Past 1,000 requests or 32 headers.
    pub fn new(
        requests: NonZeroU16,
        plain: &[HeaderName],
        hashed: &[HeaderName],
        query: bool,
    ) -> Result<Self, SamplingError> {
        let is_plain = |name: &HeaderName| !is_credential(name.as_str()) && !hashed.contains(name);
        let names = plain.iter().chain(hashed);
        let mut headers: Vec<_> = names.map(|name| (name.clone(), is_plain(name))).collect();
        headers.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        headers.dedup();
        if requests.get() > MAX_REQUESTS {
            return Err(SamplingError::Requests);
        }
        if headers.len() > MAX_HEADERS {
            return Err(SamplingError::Headers);
        }
        Ok(Self {
            requests,
            headers,
            query,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, COOKIE};

    use super::*;

    #[test]
    fn credentials_are_never_kept_in_plain() {
        let name = |text: &'static str| HeaderName::from_static(text);
        let sampling = Sampling::new(
            NonZeroU16::MIN,
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
        assert_eq!(sampling.unwrap().headers, headers);
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let names: Vec<_> = (0..=MAX_HEADERS)
            .map(|at| format!("x-{at}").parse().unwrap())
            .collect();
        let sampling = |requests: u16, headers: usize| {
            let requests = NonZeroU16::new(requests).unwrap();
            Sampling::new(requests, &names[..headers], &names[..headers], true).map(|_| ())
        };
        assert_eq!(sampling(MAX_REQUESTS, MAX_HEADERS), Ok(()));
        assert_eq!(sampling(MAX_REQUESTS + 1, 0), Err(SamplingError::Requests));
        assert_eq!(sampling(1, MAX_HEADERS + 1), Err(SamplingError::Headers));
    }
}
