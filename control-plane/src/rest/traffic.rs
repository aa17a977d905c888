//! Requests that were made, as they are brought to be replayed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sluice_core::diff::replay::{Recorded, Sample};
use sluice_core::{RequestView, normalize_host, normalize_path};
use sluice_model::{Code, Violation};

use super::problem::INPUT;
use crate::plan::Feed;

/// Most kinds of requests in one replay.
const MAX_KEYS: usize = 250_000;
/// Most names of headers that were looked at.
const MAX_RECORDED: usize = 1_000;
/// Most headers of one kind.
const MAX_HEADERS: usize = 100;
/// Most requests of one kind: so many of so many kinds can be added up.
const MAX_WEIGHT: u64 = 1 << 40;
/// Characters that are shown of a request that cannot be read.
const SHOWN: usize = 100;

/// Manifests, and requests that were made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ReplayRequest")]
pub(super) struct Traffic<'a> {
    /// Manifests in YAML, many documents, or JSON: what would be applied.
    #[serde(borrow)]
    #[expect(dead_code, reason = "read before the rest, see `ManifestsOf`")]
    manifests: Cow<'a, str>,
    /// Kinds of requests, at most 250,000.
    #[serde(borrow, default, deserialize_with = "keys")]
    keys: Vec<Key<'a>>,
    /// Instead of `keys`: the requests that proxies sampled so lately, such as `24h`, each on what its proxy
    /// has. It takes the verb `samples`.
    #[expect(dead_code, reason = "read before the rest, see `ManifestsOf`")]
    since: Option<String>,
    /// Headers that `keys` would have if the requests had had them, besides those that they have; `*` is all.
    /// Others are taken as absent, and it is said of how many requests. At most 1,000.
    #[serde(default, deserialize_with = "recorded")]
    recorded: Vec<String>,
    /// On proxies with these labels; without labels and `proxy`, on one that has none. Of samples, only those of
    /// proxies that have the same; without, all.
    pub(super) labels: Option<BTreeMap<String, String>>,
    /// On this proxy, instead of `labels`.
    pub(super) proxy: Option<String>,
}

/// The manifests, and what has to be looked up before the rest.
#[derive(Debug, Deserialize)]
pub(super) struct ManifestsOf<'a> {
    #[serde(borrow)]
    pub(super) manifests: Cow<'a, str>,
    pub(super) since: Option<String>,
}

/// Requests that differ in nothing that is known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "RequestKey")]
struct Key<'a> {
    /// Case-sensitive.
    #[serde(borrow)]
    method: Cow<'a, str>,
    /// As in the Host header; a port in it does not count.
    #[serde(borrow, default)]
    host: Cow<'a, str>,
    /// Path and query, as in the request line.
    #[serde(borrow)]
    path: Cow<'a, str>,
    /// The port that the Gateway names. Without it they came in on the first one that fits the scheme and where
    /// a rule takes them.
    port: Option<u16>,
    /// Over TLS or not, if that is known.
    scheme: Option<Scheme>,
    /// Header fields, as far as they are known; at most 100.
    #[serde(borrow, default, deserialize_with = "headers")]
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Fields<'a>,
    /// How many requests, at most 2^40.
    #[serde(default = "one")]
    weight: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "TrafficScheme")]
enum Scheme {
    Http,
    Https,
}

const fn one() -> u64 {
    1
}

impl Traffic<'_> {
    /// Names of headers that were looked at; `None`: all.
    ///
    /// # Errors
    /// Names that no header can have.
    pub(super) fn recorded(&self) -> Result<Option<Vec<HeaderName>>, Vec<Violation>> {
        if self.recorded.iter().any(|name| name == "*") {
            return Ok(None);
        }
        let name = |(at, name): (usize, &String)| {
            let refuse = |_| {
                let field = format!("recorded[{at}]");
                vec![Violation::new(
                    INPUT,
                    field,
                    Code::Invalid,
                    "must be the name of a header",
                )]
            };
            HeaderName::try_from(name).map_err(refuse)
        };
        let names = self.recorded.iter().enumerate().map(name);
        names.chain([Ok(HOST)]).collect::<Result<_, _>>().map(Some)
    }

    /// Whether it says anything of requests.
    pub(super) fn brings_requests(&self) -> bool {
        !self.keys.is_empty() || !self.recorded.is_empty()
    }

    /// Brings every kind of request.
    pub(super) fn feed(&self, recorded: Option<&[HeaderName]>, feed: &mut Feed<'_>) {
        let recorded = recorded.map_or(Recorded::Everything, Recorded::Only);
        let mut headers = HeaderMap::new();
        for key in &self.keys {
            headers.clear();
            if let Err(reason) = key.bring(recorded, &mut headers, feed) {
                feed.malformed(key.weight.min(MAX_WEIGHT), || {
                    let shown = |text: &str| text.chars().take(SHOWN).collect::<String>();
                    let [method, host, path] = [&key.method, &key.host, &key.path].map(|text| shown(text));
                    format!("{method} {host} {path}: {reason}")
                });
            }
        }
    }
}

impl Key<'_> {
    fn bring(
        &self,
        recorded: Recorded<'_>,
        headers: &mut HeaderMap,
        feed: &mut Feed<'_>,
    ) -> Result<(), String> {
        if self.weight > MAX_WEIGHT {
            return Err(format!("there may be {MAX_WEIGHT} requests of a kind"));
        }
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| "no method")?;
        let (path, query) = match self.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*self.path, None),
        };
        let host = normalize_host(&self.host).map_err(|error| error.to_string())?;
        let path = normalize_path(path).map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header has no name of one")?;
            let value = HeaderValue::from_str(value).map_err(|_| "a header has a value that none has")?;
            headers.append(name, value);
        }
        if let (false, Ok(value)) = (headers.contains_key(HOST), HeaderValue::from_str(&self.host)) {
            headers.insert(HOST, value);
        }
        feed.sample(&Sample {
            port: self.port,
            is_secure: self.scheme.map(|scheme| scheme == Scheme::Https),
            request: RequestView {
                method: &method,
                host: &host.name,
                path: &path,
                query,
                headers,
            },
            recorded,
            hidden: &[],
            unknown: &[],
            has_query: true,
            weight: self.weight,
        });
        Ok(())
    }
}

/// Reads keys, and no more than there may be.
fn keys<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Key<'a>>, D::Error> {
    deserializer.deserialize_seq(AtMost::<Key<'de>, MAX_KEYS>(PhantomData))
}

/// Reads names of headers, likewise.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_seq(AtMost::<String, MAX_RECORDED>(PhantomData))
}

/// Reads the fields of an object, likewise.
fn headers<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'a>, D::Error> {
    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an object of at most {MAX_HEADERS} header fields")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((Text(name), Text(value))) = object.next_entry()? {
                if all.len() == MAX_HEADERS {
                    return Err(A::Error::custom(format_args!(
                        "there may be {MAX_HEADERS} headers"
                    )));
                }
                all.push((name, value));
            }
            Ok(all)
        }
    }

    deserializer.deserialize_map(Object)
}

/// A text that is only copied where it has to be.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Names and values.
type Fields<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Reads a list, and refuses what is longer before the rest of it is read.
struct AtMost<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for AtMost<T, MOST> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            if all.len() == MOST {
                return Err(A::Error::custom(format_args!("there may be {MOST}")));
            }
            all.push(one);
        }
        Ok(all)
    }
}
