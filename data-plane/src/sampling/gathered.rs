//! What all workers sampled and the control plane was not told yet: equal requests are one.

use std::sync::Arc;

use sluice_core::{Tally, TallyBounds, sample_key_id, sampled_value};
use sluice_proto::v1::{self, sampled_header::Value};

use super::{Reservoir, Sampled, Sampling};

/// What is kept until it is told.
const BOUNDS: TallyBounds = TallyBounds {
    kinds: 2_000,
    bytes: 256 * 1024,
};

/// Samples that are added up.
#[derive(Debug)]
pub(crate) struct Gathered {
    sampling: Arc<Sampling>,
    tally: Tally<Sampled>,
    left_out: u64,
}

impl Gathered {
    pub(crate) fn new(sampling: Arc<Sampling>) -> Self {
        Self {
            sampling,
            tally: Tally::new(BOUNDS, bytes_of),
            left_out: 0,
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
            let weight = each + u64::from(at < rest);
            match one {
                Some(one) => self.tally.add(one, weight),
                None => self.left_out = self.left_out.saturating_add(weight),
            }
        }
    }

    /// All of it as it travels, with `key` for the values that are hashed. `None` when there is nothing.
    pub(crate) fn take(&mut self, key: &[u8; 32]) -> Option<v1::Samples> {
        let left_out = std::mem::take(&mut self.left_out);
        if self.tally.is_empty() && left_out == 0 {
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
            key_id: sample_key_id(key).to_vec(),
            left_out,
        })
    }

    fn told(&self, one: Sampled, weight: u64, key: &[u8; 32]) -> v1::SampledRequest {
        let header = |(at, value): (u16, Option<Box<str>>)| {
            let (name, is_plain) = self.sampling.headers.get(usize::from(at))?;
            let value = match value {
                Some(value) if *is_plain => Value::Text(value.into()),
                Some(value) => Value::Hash(sampled_value(key, name, &value).to_vec()),
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
    use std::num::NonZeroU16;

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
        let sampling = Sampling::new(NonZeroU16::MIN, &plain, &hashed, false);
        Gathered::new(Arc::new(sampling.unwrap()))
    }

    #[test]
    fn what_is_kept_stands_for_all_that_was_seen_and_what_is_equal_is_one() {
        let mut gathered = gathered();
        let reservoir = |seen, paths: &[&str]| Reservoir {
            seen,
            kept: paths
                .iter()
                .map(|path| (*path != "long").then(|| sampled(path, "ann")))
                .collect(),
        };
        gathered.add(reservoir(7, &["/a", "/b", "/a"]));
        gathered.add(reservoir(2, &["/b", "/b"]));
        gathered.add(reservoir(3, &[]));
        gathered.add(reservoir(6, &["long", "/a"]));
        let told = gathered.take(&[1; 32]).unwrap();
        let weights: Vec<_> = told.requests.iter().map(|one| (&*one.path, one.weight)).collect();
        assert_eq!(weights, [("/a", 8), ("/b", 4)]);
        assert_eq!(
            (told.left_out, told.key_id),
            (3, sample_key_id(&[1; 32]).to_vec())
        );
        assert_eq!(
            (told.headers, told.query),
            (vec!["x-beta".to_owned(), "x-user".to_owned()], false)
        );
        assert_eq!(gathered.take(&[1; 32]), None);
        gathered.add(reservoir(2, &["long"]));
        assert_eq!(gathered.take(&[1; 32]).unwrap().left_out, 2);
    }

    #[test]
    fn values_are_told_in_plain_or_as_hashes_as_was_asked_for() {
        let told = |user: &str, key: &[u8; 32]| {
            let mut gathered = gathered();
            gathered.add(Reservoir {
                seen: 1,
                kept: vec![Some(sampled("/a", user))],
            });
            let mut told = gathered.take(key).unwrap();
            assert!(!format!("{told:?}").contains(user), "{told:?}");
            told.requests.remove(0).headers
        };
        let one = told("ann-the-first", &[1; 32]);
        assert_eq!(one[0].value, Some(Value::Text("yes".into())));
        assert_eq!(one, told("ann-the-first", &[1; 32]));
        assert_ne!(one, told("ann-the-second", &[1; 32]));
        assert_ne!(one, told("ann-the-first", &[2; 32]));
    }
}
