//! Requests that proxies sampled: added up in memory, written down once a minute, and read to be replayed.
//!
//! What cannot be stored is missed, and warned of: samples are no record of anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prost::Message as _;
use sluice_core::{Tally, TallyBounds};
use sluice_proto::v1::{self, sampled_header::Value};
use tokio_util::sync::CancellationToken;

use super::registry::Fleet;
use crate::clock;
use crate::compile::ViewKey;
use crate::store::{Store, StoredSamples, UnixMillis};

/// Between two rows.
const PERIOD: Duration = Duration::from_secs(60);
/// What is kept until then, of one view and one way of looking.
const BOUNDS: TallyBounds = TallyBounds {
    kinds: 20_000,
    bytes: 2 * 1024 * 1024,
};
/// Views and ways of looking at requests that are told apart until then.
const MAX_GROUPS: usize = 64;
/// Names of headers that a proxy may look at.
const MAX_HEADERS: usize = 100;
/// Longest text of a request.
const MAX_TEXT: usize = 4_096;
/// Headers of which values are kept in no report's plain words.
const SECRET: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "sluice-debug"];

/// What was heard since the last row.
#[derive(Debug, Default)]
pub struct Samples(Mutex<BTreeMap<Group, Tally<Vec<u8>>>>);

/// Requests of one view that were looked at in one way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    selectors: Vec<String>,
    headers: Vec<String>,
    query: bool,
}

impl Samples {
    /// Adds what a proxy of `view` reports. What is out of bounds is left out.
    pub(super) fn fold(&self, view: &ViewKey, samples: v1::Samples) {
        if samples.headers.len() > MAX_HEADERS || samples.headers.iter().any(|name| name.len() > MAX_TEXT) {
            return;
        }
        let group = Group {
            selectors: view.selectors().iter().map(ToString::to_string).collect(),
            headers: samples.headers,
            query: samples.query,
        };
        let mut groups = self.lock();
        if groups.len() >= MAX_GROUPS && !groups.contains_key(&group) {
            return;
        }
        let tally = groups
            .entry(group)
            .or_insert_with(|| Tally::new(BOUNDS, Vec::len));
        for mut request in samples.requests {
            let weight = std::mem::take(&mut request.weight);
            if weight > 0 && is_in_bounds(&request) {
                conceal(&mut request);
                tally.add(request.encode_to_vec(), weight);
            }
        }
    }

    /// What was heard since it was taken last.
    pub fn heard(&self) -> v1::StoredSamples {
        told(&self.lock())
    }

    fn take(&self) -> v1::StoredSamples {
        told(&std::mem::take(&mut *self.lock()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Group, Tally<Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_in_bounds(request: &v1::SampledRequest) -> bool {
    let query = request.query.as_deref().unwrap_or_default();
    let texts = [&*request.method, &*request.host, &*request.path, query];
    let header = |header: &v1::SampledHeader| {
        let value = match &header.value {
            Some(Value::Text(text)) => text.len(),
            Some(Value::Hash(hash)) => hash.len(),
            None => 0,
        };
        header.name.len() <= MAX_TEXT && value <= MAX_TEXT
    };
    texts.iter().all(|text| text.len() <= MAX_TEXT)
        && request.port <= u32::from(u16::MAX)
        && request.headers.len() <= MAX_HEADERS
        && request.headers.iter().all(header)
}

/// A proxy that tells what it should not is not believed to have meant it.
fn conceal(request: &mut v1::SampledRequest) {
    for header in &mut request.headers {
        if SECRET.contains(&&*header.name) && matches!(header.value, Some(Value::Text(_))) {
            header.value = Some(Value::Hash(Vec::new()));
        }
    }
}

fn told(groups: &BTreeMap<Group, Tally<Vec<u8>>>) -> v1::StoredSamples {
    let group = |(group, tally): (&Group, &Tally<Vec<u8>>)| {
        let request = |(kind, count): (&Vec<u8>, u64)| {
            let request = v1::SampledRequest::decode(kind.as_slice()).ok()?;
            let weight = count.saturating_mul(tally.factor());
            Some(v1::SampledRequest { weight, ..request })
        };
        v1::SampleGroup {
            selectors: group.selectors.clone(),
            samples: Some(v1::Samples {
                headers: group.headers.clone(),
                query: group.query,
                requests: tally.kinds().filter_map(request).collect(),
            }),
        }
    };
    v1::StoredSamples {
        groups: groups.iter().map(group).collect(),
    }
}

/// Writes what is heard, and takes away what is older than `age`, until `shutdown`; then what is left.
pub(crate) async fn keep_samples(
    fleet: Arc<Fleet>,
    store: Store,
    age: Duration,
    shutdown: CancellationToken,
) {
    loop {
        let is_over = tokio::select! {
            () = tokio::time::sleep(PERIOD) => false,
            () = shutdown.cancelled() => true,
        };
        let (samples, at) = (fleet.samples().take(), clock::wall());
        let row = (!samples.groups.is_empty()).then(|| StoredSamples {
            at,
            kinds: samples.encode_to_vec(),
        });
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let since = UnixMillis(at.0.saturating_sub(age));
        if let Err(error) = store.put_samples(row.as_ref(), since).await {
            tracing::warn!(%error, "samples of requests of the last minute are missed");
        }
        if is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, weight: u64, headers: &[(&str, Value)]) -> v1::SampledRequest {
        let header = |(name, value): &(&str, Value)| v1::SampledHeader {
            name: (*name).to_owned(),
            value: Some(value.clone()),
        };
        v1::SampledRequest {
            port: 80,
            method: "GET".into(),
            host: "a.x".into(),
            path: path.into(),
            query: None,
            headers: headers.iter().map(header).collect(),
            weight,
        }
    }

    fn samples(requests: Vec<v1::SampledRequest>) -> v1::Samples {
        v1::Samples {
            headers: vec!["cookie".into()],
            query: false,
            requests,
        }
    }

    #[test]
    fn what_is_equal_is_one_and_views_are_told_apart() {
        let heard = Samples::default();
        let [all, eu] = ["", "zone=eu"].map(ViewKey::from);
        heard.fold(&all, samples(vec![request("/a", 2, &[]), request("/b", 1, &[])]));
        heard.fold(&all, samples(vec![request("/a", 3, &[]), request("/c", 0, &[])]));
        heard.fold(&eu, samples(vec![request("/a", 7, &[])]));
        let told = heard.take();
        let weights = |group: &v1::SampleGroup| {
            let requests = group.samples.iter().flat_map(|samples| &samples.requests);
            requests
                .map(|one| (one.path.clone(), one.weight))
                .collect::<Vec<_>>()
        };
        assert_eq!(told.groups.len(), 2);
        assert_eq!(
            weights(&told.groups[0]),
            [("/a".to_owned(), 5), ("/b".to_owned(), 1)]
        );
        assert_eq!(weights(&told.groups[1]), [("/a".to_owned(), 7)]);
        assert_eq!(heard.heard(), v1::StoredSamples::default());
    }

    #[test]
    fn credentials_are_concealed_and_what_is_out_of_bounds_is_left_out() {
        let heard = Samples::default();
        let cookie = [("cookie", Value::Text("sid=secret".into()))];
        let long = "/".repeat(MAX_TEXT + 1);
        let requests = vec![request("/a", 1, &cookie), request(&long, 1, &[])];
        heard.fold(&ViewKey::from(""), samples(requests));
        let told = heard.heard();
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
        assert_eq!(told.groups[0].samples.as_ref().unwrap().requests.len(), 1);
    }
}
