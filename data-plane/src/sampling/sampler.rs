//! A worker's reservoir (Vitter's algorithm R): of all requests since it was last emptied, as many as there is
//! room for, each as likely as any other.

use std::{cell::RefCell, sync::Arc};

use http::Method;
use sluice_core::RequestView;

use super::Sampling;
use crate::worker::Random;

/// Longest host, path, query or header value that is kept, in bytes; requests with longer ones count as seen and
/// are left out of the sample.
const MAX_TEXT: usize = 2_048;

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
    pub(crate) kept: Vec<Sampled>,
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
        let most = self.sampling.per_second.get() as usize;
        if reservoir.kept.len() < most {
            let sampled = self.sampled(port, request);
            reservoir.kept.extend(sampled);
            return;
        }
        // Uniform below `seen`, which is far below 2^64.
        let at = (u128::from(random.next()) * u128::from(reservoir.seen)) >> 64;
        if let Some(place) = usize::try_from(at).ok().and_then(|at| reservoir.kept.get_mut(at))
            && let Some(sampled) = self.sampled(port, request)
        {
            *place = sampled;
        }
    }

    /// Empties it.
    pub(crate) fn take(&self) -> Reservoir {
        self.reservoir.take()
    }

    fn sampled(&self, port: u16, request: &RequestView<'_>) -> Option<Sampled> {
        let query = request.query.filter(|_| self.sampling.query);
        let texts = [request.host, request.path, query.unwrap_or_default()];
        if texts.iter().any(|text| text.len() > MAX_TEXT) {
            return None;
        }
        let mut headers = Vec::new();
        for (at, (name, _)) in self.sampling.headers.iter().enumerate() {
            if !request.headers.contains_key(name) {
                continue;
            }
            let value = request.header(name);
            if value.as_ref().is_some_and(|value| value.len() > MAX_TEXT) {
                return None;
            }
            headers.push((u16::try_from(at).ok()?, value.map(|value| Box::from(&*value))));
        }
        Some(Sampled {
            port,
            method: method(request.method),
            host: request.host.into(),
            path: request.path.into(),
            query: query.map(Into::into),
            headers: headers.into(),
        })
    }
}

fn method(method: &Method) -> Box<str> {
    method.as_str().into()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn sampler(per_second: u32, query: bool) -> Sampler {
        let header = HeaderName::from_static("x-beta");
        let sampling = Sampling::new(NonZeroU32::new(per_second).unwrap(), &[header], &[], query);
        Sampler::new(Arc::new(sampling))
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
            let kept = sampler.take().kept;
            assert_eq!(kept[0].query.is_some(), query);
            assert_eq!(*kept[0].headers, [(0, Some("yes".into()))]);
            assert_eq!(format!("{kept:?}").contains("secret"), query);
            assert!(sampler.take().kept.is_empty());
        }
    }

    #[test]
    fn what_is_too_long_is_seen_and_not_kept() {
        let (sampler, random) = (sampler(1, false), Random::seeded());
        see(&sampler, &"/".repeat(MAX_TEXT + 1), &random);
        let taken = sampler.take();
        assert_eq!((taken.seen, taken.kept.len()), (1, 0));
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
            for one in &taken.kept {
                let at: usize = one.path[1..].parse().unwrap();
                kept[at / 10] += 1;
            }
        }
        // 400 are expected of each, with a standard deviation of 19: six of them are never seen.
        assert!(kept.iter().all(|count| count.abs_diff(400) < 120), "{kept:?}");
    }
}
