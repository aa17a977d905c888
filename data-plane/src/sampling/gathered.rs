//! What all workers sampled and the control plane was not told yet: equal requests are one. What nobody takes is
//! forgotten, and counted: it would pass for what was made when it is told.

use std::{collections::BTreeMap, mem, num::NonZeroU32, sync::Arc};

use sluice_core::{Tally, TallyBounds, sample_key_id, sampled_value, thin, thin_to};
use sluice_proto::v1::{self, sampled_header::Value};

use super::{Reservoir, Sampled, Sampling};

/// What is told at a time, and kept of each minute until then.
const BOUNDS: TallyBounds = TallyBounds {
    kinds: 2_000,
    bytes: 256 * 1024,
};

/// Samples that are added up.
#[derive(Debug)]
pub(crate) struct Gathered {
    sampling: Arc<Sampling>,
    latest: Minute,
    earlier: Minute,
    lost: u64,
}

/// What came between two turns.
#[derive(Debug)]
struct Minute {
    tally: Tally<Sampled>,
    left_out: u64,
}

impl Gathered {
    pub(crate) fn new(sampling: Arc<Sampling>) -> Self {
        Self {
            sampling,
            latest: Minute::new(),
            earlier: Minute::new(),
            lost: 0,
        }
    }

    /// Begins another minute. What came in the one before the last and was not taken is forgotten.
    pub(crate) fn turn(&mut self) {
        let latest = mem::replace(&mut self.latest, Minute::new());
        let forgotten = mem::replace(&mut self.earlier, latest);
        let requests = forgotten.tally.all().saturating_add(forgotten.left_out);
        self.lost = self.lost.saturating_add(requests);
    }

    /// How many requests were forgotten so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
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
                Some(one) => self.latest.tally.add(one, weight),
                None => self.latest.left_out = self.latest.left_out.saturating_add(weight),
            }
        }
    }

    /// All of it as it travels, with `key` for the values that are hashed; in at most so many kinds, which stand for
    /// all, where there is a bound. `None` when there is nothing.
    pub(crate) fn take(
        &mut self,
        key: &[u8; 32],
        most: Option<NonZeroU32>,
        mut offset: impl FnMut() -> u64,
    ) -> Option<v1::Samples> {
        let minutes = [&mut self.earlier, &mut self.latest].map(|minute| mem::replace(minute, Minute::new()));
        let mut kinds: BTreeMap<Sampled, u64> = BTreeMap::new();
        let mut left_out = 0_u64;
        for minute in minutes {
            left_out = left_out.saturating_add(minute.left_out);
            let factor = minute.tally.factor();
            for (one, count) in minute.tally.into_kinds() {
                let sum = kinds.entry(one).or_default();
                *sum = sum.saturating_add(count.saturating_mul(factor));
            }
        }
        if kinds.is_empty() && left_out == 0 {
            return None;
        }
        let most = most.map_or(BOUNDS.kinds, |most| BOUNDS.kinds.min(most.get() as usize));
        let kinds = thin(kinds.into_iter().collect(), most, offset());
        let kinds = thin_to(kinds, BOUNDS.bytes, bytes_of, offset);
        let requests = kinds.into_iter().map(|(one, weight)| self.told(one, weight, key));
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

impl Minute {
    fn new() -> Self {
        Self {
            tally: Tally::new(BOUNDS, bytes_of),
            left_out: 0,
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
        let told = gathered.take(&[1; 32], None, || 0).unwrap();
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
        assert_eq!(gathered.take(&[1; 32], None, || 0), None);
        gathered.add(reservoir(2, &["long"]));
        assert_eq!(gathered.take(&[1; 32], None, || 0).unwrap().left_out, 2);
    }

    /// Requests of so many kinds, two of each.
    fn kinds(count: u64) -> Reservoir {
        Reservoir {
            seen: 2 * count,
            kept: (0..count)
                .map(|at| Some(sampled(&format!("/{at:05}"), "ann")))
                .collect(),
        }
    }

    fn weight(told: &v1::Samples) -> u64 {
        told.requests.iter().map(|one| one.weight).sum()
    }

    #[test]
    fn what_nobody_takes_is_forgotten_after_two_minutes_and_counted() {
        let mut gathered = gathered();
        gathered.add(kinds(5));
        gathered.add(Reservoir {
            seen: 4,
            kept: vec![None],
        });
        gathered.turn();
        gathered.add(kinds(3));
        assert_eq!(gathered.lost(), 0);
        gathered.turn();
        gathered.add(kinds(2));
        assert_eq!(gathered.lost(), 14);
        let told = gathered.take(&[1; 32], None, || 0).unwrap();
        // The same in both minutes is one.
        assert_eq!((told.requests.len(), weight(&told), told.left_out), (3, 10, 0));
        (0..3).for_each(|_| gathered.turn());
        assert_eq!((gathered.lost(), gathered.take(&[1; 32], None, || 0)), (14, None));
    }

    #[test]
    fn no_more_kinds_are_told_than_are_asked_for_and_they_stand_for_all() {
        let mut gathered = gathered();
        for (most, told_kinds) in [(8, 8), (1, 1), (500, 100), (u32::MAX, 100)] {
            gathered.add(kinds(100));
            let told = gathered
                .take(&[1; 32], NonZeroU32::new(most), || 1 << 63)
                .unwrap();
            assert_eq!((told.requests.len(), weight(&told)), (told_kinds, 200), "{most}");
        }
        // Two minutes are no more than one is.
        gathered.add(kinds(1_500));
        gathered.turn();
        let of_others = (0..1_500).map(|at| Some(sampled(&format!("/other/{at}"), "bob")));
        gathered.add(Reservoir {
            seen: 1_500,
            kept: of_others.collect(),
        });
        let told = gathered.take(&[1; 32], None, || 1 << 63).unwrap();
        assert!(told.requests.len() <= BOUNDS.kinds, "{}", told.requests.len());
        assert_eq!(weight(&told), 4_500);
    }

    #[test]
    fn values_are_told_in_plain_or_as_hashes_as_was_asked_for() {
        let told = |user: &str, key: &[u8; 32]| {
            let mut gathered = gathered();
            gathered.add(Reservoir {
                seen: 1,
                kept: vec![Some(sampled("/a", user))],
            });
            let mut told = gathered.take(key, None, || 0).unwrap();
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
