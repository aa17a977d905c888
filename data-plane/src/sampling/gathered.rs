//! What all workers sampled and the control plane was not told yet: equal requests are one.

use std::sync::Arc;

use sluice_core::{Tally, TallyBounds, sampled_value};
use sluice_proto::v1::{self, sampled_header::Value};

use super::{Reservoir, Sampled, Sampling};

/// What is kept until it is told.
const BOUNDS: TallyBounds = TallyBounds {
    kinds: 5_000,
    bytes: 1024 * 1024,
};

/// Samples that are added up.
#[derive(Debug)]
pub(crate) struct Gathered {
    sampling: Arc<Sampling>,
    tally: Tally<Sampled>,
}

impl Gathered {
    pub(crate) fn new(sampling: Arc<Sampling>) -> Self {
        Self {
            sampling,
            tally: Tally::new(BOUNDS, bytes_of),
        }
    }

    /// Adds what a worker kept: together it stands for all that the worker saw.
    pub(crate) fn add(&mut self, reservoir: Reservoir) {
        let kept = reservoir.kept.len() as u64;
        let Some(each) = reservoir.seen.checked_div(kept) else {
            return;
        };
        let rest = reservoir.seen % kept;
        for (at, one) in (0..).zip(reservoir.kept) {
            self.tally.add(one, each + u64::from(at < rest));
        }
    }

    /// All of it as it travels, with `key` for the values that are hashed; without one they are not
    /// told. `None` when there is nothing.
    pub(crate) fn take(&mut self, key: Option<&[u8; 32]>) -> Option<v1::Samples> {
        if self.tally.is_empty() {
            return None;
        }
        let tally = std::mem::replace(&mut self.tally, Tally::new(BOUNDS, bytes_of));
        let factor = tally.factor();
        let requests = tally
            .into_kinds()
            .map(|(one, count)| self.told(one, count.saturating_mul(factor), key));
        let names = self.sampling.headers.iter();
        Some(v1::Samples {
            requests: requests.collect(),
            headers: names.map(|(name, _)| name.to_string()).collect(),
            query: self.sampling.query,
        })
    }

    fn told(&self, one: Sampled, weight: u64, key: Option<&[u8; 32]>) -> v1::SampledRequest {
        let header = |(at, value): (u16, Option<Box<str>>)| {
            let (name, is_plain) = self.sampling.headers.get(usize::from(at))?;
            let hash = |value: &str| key.map(|key| sampled_value(key, name, value).to_vec());
            let value = match value {
                Some(value) if *is_plain => Value::Text(value.into()),
                Some(value) => Value::Hash(hash(&value).unwrap_or_default()),
                None => Value::Hash(Vec::new()),
            };
            Some(v1::SampledHeader {
                name: name.to_string(),
                value: Some(value),
            })
        };
        v1::SampledRequest {
            port: one.port.into(),
            method: one.method.into(),
            host: one.host.into(),
            path: one.path.into(),
            query: one.query.map(Into::into),
            headers: one.headers.into_iter().filter_map(header).collect(),
            weight,
        }
    }
}

fn bytes_of(one: &Sampled) -> usize {
    let query = one.query.as_ref().map_or(0, |query| query.len());
    let headers = one.headers.iter();
    let headers: usize = headers
        .map(|(_, value)| value.as_ref().map_or(0, |value| value.len()))
        .sum();
    one.method.len() + one.host.len() + one.path.len() + query + headers
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use http::HeaderName;

    use super::*;

    fn sampled(path: &str, user: &str) -> Sampled {
        Sampled {
            port: 80,
            method: "GET".into(),
            host: "a.x".into(),
            path: path.into(),
            query: None,
            headers: [(0, Some("yes".into())), (1, Some(user.into()))].into(),
        }
    }

    fn gathered() -> Gathered {
        let name = |text: &'static str| HeaderName::from_static(text);
        let (plain, hashed) = ([name("x-beta")], [name("x-user")]);
        Gathered::new(Arc::new(Sampling::new(NonZeroU32::MIN, &plain, &hashed, false)))
    }

    #[test]
    fn what_is_kept_stands_for_all_that_was_seen_and_what_is_equal_is_one() {
        let mut gathered = gathered();
        let reservoir = |seen, paths: &[&str]| Reservoir {
            seen,
            kept: paths.iter().map(|path| sampled(path, "ann")).collect(),
        };
        gathered.add(reservoir(7, &["/a", "/b", "/a"]));
        gathered.add(reservoir(2, &["/b", "/b"]));
        gathered.add(reservoir(3, &[]));
        let told = gathered.take(Some(&[1; 32])).unwrap();
        let weights: Vec<_> = told.requests.iter().map(|one| (&*one.path, one.weight)).collect();
        assert_eq!(weights, [("/a", 5), ("/b", 4)]);
        assert_eq!(
            (told.headers, told.query),
            (vec!["x-beta".to_owned(), "x-user".to_owned()], false)
        );
        assert_eq!(gathered.take(None), None);
    }

    #[test]
    fn values_are_told_in_plain_or_as_hashes_as_was_asked_for() {
        let told = |user: &str, key: Option<&[u8; 32]>| {
            let mut gathered = gathered();
            gathered.add(Reservoir {
                seen: 1,
                kept: vec![sampled("/a", user)],
            });
            let mut told = gathered.take(key).unwrap();
            assert!(!format!("{told:?}").contains(user), "{told:?}");
            told.requests.remove(0).headers
        };
        let one = told("ann-the-first", Some(&[1; 32]));
        assert_eq!(one[0].value, Some(Value::Text("yes".into())));
        assert_eq!(one, told("ann-the-first", Some(&[1; 32])));
        assert_ne!(one, told("ann-the-second", Some(&[1; 32])));
        assert_ne!(one, told("ann-the-first", Some(&[2; 32])));
        assert_eq!(
            told("ann-the-first", None)[1].value,
            Some(Value::Hash(Vec::new()))
        );
    }
}
