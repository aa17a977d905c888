//! A worker's reservoir (Vitter's algorithm R): of all requests since it was last emptied, as many as there is
//! room for, each as likely as any other.

use std::{cell::RefCell, sync::Arc};

use sluice_core::RequestView;

use super::Sampling;
use crate::worker::Random;

/// Most bytes of what is kept of one request. A longer one takes a place all the same, so that others do not stand
/// for it.
pub(super) const MAX_BYTES: usize = 4_096;

/// What decides where one request goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sampled {
    pub(crate) port: u16,
    pub(crate) method: Box<str>,
    pub(crate) host: Box<str>,
    pub(crate) path: Box<str>,
    pub(crate) query: Option<Box<str>>,
    /// By place in [`Sampling`]'s headers: those that the request has. `None`: not text.
    pub(crate) headers: Box<[(u16, Option<Box<str>>)]>,
}

/// What a worker kept since it was last asked, and of how many.
#[derive(Debug, Default)]
pub(crate) struct Reservoir {
    pub(crate) seen: u64,
    /// `None`: too long to be kept.
    pub(crate) kept: Vec<Option<Sampled>>,
}

/// Touched by its worker's thread alone.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Arc<Sampling>,
    reservoir: RefCell<Reservoir>,
}

impl Sampler {
    pub(crate) fn new(sampling: Arc<Sampling>) -> Self {
        Self {
            sampling,
            reservoir: RefCell::default(),
        }
    }

    /// A request came in on `port`. Most of them cost a random number.
    pub(crate) fn see(&self, port: u16, request: &RequestView<'_>, random: &Random) {
        let mut reservoir = self.reservoir.borrow_mut();
        reservoir.seen += 1;
        if reservoir.kept.len() < usize::from(self.sampling.requests.get()) {
            reservoir.kept.push(self.sampled(port, request));
            return;
        }
        // Uniform below `seen`, which is far below 2^64.
        let at = (u128::from(random.next()) * u128::from(reservoir.seen)) >> 64;
        if let Some(place) = usize::try_from(at).ok().and_then(|at| reservoir.kept.get_mut(at)) {
            *place = self.sampled(port, request);
        }
    }

    /// Empties it.
    pub(crate) fn take(&self) -> Reservoir {
        self.reservoir.take()
    }

    fn sampled(&self, port: u16, request: &RequestView<'_>) -> Option<Sampled> {
        let query = request.query.filter(|_| self.sampling.query);
        let method = request.method.as_str();
        let texts = [method, request.host, request.path, query.unwrap_or_default()];
        let length = texts.iter().map(|text| text.len()).sum();
        let mut left = MAX_BYTES.checked_sub(length)?;
        let mut headers = Vec::new();
        for (at, (name, _)) in self.sampling.headers.iter().enumerate() {
            if !request.headers.contains_key(name) {
                continue;
            }
            let value = request.header(name);
            left = left.checked_sub(value.as_ref().map_or(0, |value| value.len()))?;
            headers.push((u16::try_from(at).ok()?, value.map(|value| Box::from(&*value))));
        }
        Some(Sampled {
            port,
            method: method.into(),
            host: request.host.into(),
            path: request.path.into(),
            query: query.map(Into::into),
            headers: headers.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::*;

    fn sampler(requests: u16, query: bool) -> Sampler {
        let header = HeaderName::from_static("x-beta");
        let sampling = Sampling::new(NonZeroU16::new(requests).unwrap(), &[header], &[], query);
        Sampler::new(Arc::new(sampling.unwrap()))
    }

    fn see(sampler: &Sampler, path: &str, random: &Random) {
        let mut headers = HeaderMap::new();
        headers.insert("x-beta", HeaderValue::from_static("yes"));
        headers.insert("x-other", HeaderValue::from_static("secret"));
        let request = RequestView {
            method: &Method::GET,
            host: "a.x",
            path,
            query: Some("token=secret"),
            headers: &headers,
        };
        sampler.see(80, &request, random);
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let random = Random::seeded();
        for query in [false, true] {
            let sampler = sampler(1, query);
            see(&sampler, "/a", &random);
            let kept: Vec<_> = sampler.take().kept.into_iter().flatten().collect();
            assert_eq!(kept[0].query.is_some(), query);
            assert_eq!(*kept[0].headers, [(0, Some("yes".into()))]);
            assert_eq!(format!("{kept:?}").contains("secret"), query);
            assert!(sampler.take().kept.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_takes_its_place_and_is_not_kept() {
        let (sampler, random) = (sampler(2, false), Random::seeded());
        let rest = "GET".len() + "a.x".len() + "yes".len();
        for length in [MAX_BYTES - rest + 1, MAX_BYTES - rest] {
            see(&sampler, &"/".repeat(length), &random);
        }
        let taken = sampler.take();
        let is_kept: Vec<_> = taken.kept.iter().map(Option::is_some).collect();
        assert_eq!((taken.seen, is_kept), (2, vec![false, true]));
    }

    #[test]
    fn every_request_is_as_likely_to_be_kept_as_any_other() {
        let random = Random::seeded();
        // By the tenth of the requests that they come in.
        let mut kept = [0_u32; 10];
        for _ in 0..400 {
            let sampler = sampler(10, false);
            (0..100).for_each(|at| see(&sampler, &format!("/{at}"), &random));
            let taken = sampler.take();
            assert_eq!((taken.seen, taken.kept.len()), (100, 10));
            for one in taken.kept.iter().flatten() {
                let at: usize = one.path[1..].parse().unwrap();
                kept[at / 10] += 1;
            }
        }
        // 400 are expected of each, with a standard deviation of 19: six of them are never seen.
        assert!(kept.iter().all(|count| count.abs_diff(400) < 120), "{kept:?}");
    }
}
