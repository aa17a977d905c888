//! Requests that proxies sampled, to be replayed.

use std::collections::BTreeMap;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use prost::Message as _;
use sluice_core::RequestView;
use sluice_core::diff::replay::{Recorded, Sample, Spelt};
use sluice_proto::v1::{self, sampled_header::Value};

use super::Api;
use super::problem::Problem;
use crate::clock;
use crate::plan::Feed;
use crate::store::{StoredSamples, UnixMillis};

/// What is stored, and what this control plane heard since it stored something last.
#[derive(Debug)]
pub(super) struct Sampled {
    stored: Vec<StoredSamples>,
    heard: v1::StoredSamples,
    key: [u8; 32],
}

/// How requests were looked at: names of headers, and whether queries were.
type Looked = (Vec<HeaderName>, bool);

/// Kinds of requests, each as a message without its weight, by how they were looked at.
type Kinds = BTreeMap<(usize, Vec<u8>), u64>;

impl Sampled {
    /// Those of the last `age`.
    pub(super) async fn since(api: &Api, age: Duration) -> Result<Self, Problem> {
        let now = clock::wall();
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let since = UnixMillis(now.0.saturating_sub(age));
        Ok(Self {
            stored: api.store.samples(since).await?,
            heard: api.fleet.samples().heard(),
            key: api.live.fingerprints().sample_key(),
        })
    }

    /// Brings those of the view that is replayed. Takes a core for a while.
    pub(super) fn feed(self, feed: &mut Feed<'_>) {
        let (mut looked, mut kinds) = (Vec::new(), Kinds::new());
        for row in self.stored {
            // What another version wrote in another way is passed over.
            let Ok(samples) = v1::StoredSamples::decode(row.kinds.as_slice()) else {
                continue;
            };
            if gather(samples, feed.selectors(), &mut looked, &mut kinds) {
                feed.sampled_from(row.at.0);
            }
        }
        if gather(self.heard, feed.selectors(), &mut looked, &mut kinds) {
            feed.sampled_from(clock::wall().0);
        }
        let spelt = feed.spelt(&self.key);
        let mut headers = HeaderMap::new();
        for ((at, kind), weight) in kinds {
            let Some(((names, has_query), request)) = looked
                .get(at)
                .zip(v1::SampledRequest::decode(kind.as_slice()).ok())
            else {
                continue;
            };
            let request = v1::SampledRequest { weight, ..request };
            headers.clear();
            let brought = bring(&request, (names, *has_query), &spelt, &mut headers, feed);
            if brought.is_none() {
                feed.malformed(weight, || {
                    format!("a sample of {} {}", request.host, request.path)
                });
            }
        }
    }
}

/// Adds up what is of the view with these selectors. Whether anything is.
fn gather(
    samples: v1::StoredSamples,
    selectors: &[String],
    looked: &mut Vec<Looked>,
    kinds: &mut Kinds,
) -> bool {
    let mut is_any = false;
    for group in samples
        .groups
        .into_iter()
        .filter(|group| group.selectors == selectors)
    {
        let Some(samples) = group.samples else { continue };
        let names = samples.headers.iter();
        let names = names.filter_map(|name| HeaderName::try_from(name).ok());
        let how = (names.chain([HOST]).collect(), samples.query);
        let at = looked.iter().position(|one| *one == how).unwrap_or_else(|| {
            looked.push(how);
            looked.len() - 1
        });
        for mut request in samples.requests {
            is_any = true;
            let weight = std::mem::take(&mut request.weight);
            *kinds.entry((at, request.encode_to_vec())).or_default() += weight;
        }
    }
    is_any
}

/// `None` for what no proxy would have sampled.
fn bring(
    request: &v1::SampledRequest,
    (names, has_query): (&[HeaderName], bool),
    spelt: &Spelt,
    headers: &mut HeaderMap,
    feed: &mut Feed<'_>,
) -> Option<()> {
    let method = Method::from_bytes(request.method.as_bytes()).ok()?;
    let mut hidden = Vec::new();
    for header in &request.headers {
        let name = HeaderName::try_from(&header.name).ok()?;
        let value = match header.value.as_ref()? {
            Value::Text(text) => Some(text.as_str()),
            Value::Hash(hash) => spelt.value(&name, hash),
        };
        match value {
            Some(value) => drop(headers.append(name, HeaderValue::try_from(value).ok()?)),
            None => hidden.push(name),
        }
    }
    if let (false, Ok(value)) = (headers.contains_key(HOST), HeaderValue::from_str(&request.host)) {
        headers.insert(HOST, value);
    }
    feed.sample(&Sample {
        port: Some(u16::try_from(request.port).ok()?),
        is_secure: None,
        request: RequestView {
            method: &method,
            host: &request.host,
            path: &request.path,
            query: request.query.as_deref(),
            headers,
        },
        recorded: Recorded::Only(names),
        hidden: &hidden,
        has_query,
        weight: request.weight,
    });
    Some(())
}
