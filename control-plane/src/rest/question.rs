//! The request that is to be explained: read as it is written, normalised as a live one is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use schemars::JsonSchema;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use sluice_core::{normalize_host, normalize_path};
use sluice_intent::Namespace;
use sluice_model::{Code, Revision, Violation};

use super::documents::Documents;
use super::plan::PlanQuery;
use super::problem::INPUT;
use super::query::{self, ParameterError};
use crate::compile::DanglingRefs;

/// Most header fields of a request, and most labels.
const MAX_HEADERS: usize = 100;

/// The request to explain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Question {
    /// Its method; case-sensitive.
    method: String,
    /// Its URL, or a path when the host is among the headers. A port picks the listener if one has
    /// it; else all listeners are tried.
    url: String,
    /// Its header fields; the values of one name joined to one, as HTTP allows.
    #[serde(default)]
    headers: Few,
    /// Address of the client, for experiments on it; 127.0.0.1 when left out.
    pub(super) client_ip: Option<IpAddr>,
    /// As of this revision; the newest one when left out.
    pub(super) revision: Option<u64>,
    /// As if these manifests were applied to that revision: YAML or JSON, as a file has them. Nothing is
    /// written; it needs what a plan of them needs.
    pub(super) manifests: Option<String>,
    /// The namespace of manifests that name none; `default` when left out.
    namespace: Option<String>,
    /// As if what is not among the manifests were deleted: of that, everything with these labels, `*` for all
    /// of the manifests' namespaces, `*/*` for all.
    prune: Option<String>,
    /// What to do about references to what does not exist; `refuse` when left out.
    dangling_refs: Option<Dangling>,
    /// On the proxies with these labels; without labels and `proxy`, on one that has none.
    pub(super) labels: Option<Few>,
    /// On this proxy, instead of `labels`.
    pub(super) proxy: Option<String>,
}

/// Names and values: as many as there may be of either, and one more, which tells that there are too many. The
/// rest is not kept.
#[derive(Debug, Default, JsonSchema)]
#[schemars(with = "BTreeMap<String, String>", inline)]
pub(super) struct Few(pub(super) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Few {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FewOf)
    }
}

struct FewOf;

impl<'de> Visitor<'de> for FewOf {
    type Value = Few;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose members are texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Few, A::Error> {
        let mut few = BTreeMap::new();
        while few.len() <= MAX_HEADERS {
            match members.next_entry()? {
                Some((name, value)) => drop(few.insert(name, value)),
                None => return Ok(Few(few)),
            }
        }
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Few(few))
    }
}

/// What to do about references to what does not exist.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
enum Dangling {
    Refuse,
    Warn,
}

/// The parts of the request that decide.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) headers: HeaderMap,
}

impl Question {
    /// Reads it.
    ///
    /// # Errors
    /// All that no request could have.
    pub(super) fn read(&self) -> Result<Asked, Vec<Violation>> {
        let mut refused = Vec::new();
        let mut refuse = |field: &str, message: &dyn ToString| {
            refused.push(Violation::new(INPUT, field, Code::Invalid, message.to_string()));
        };
        let method = Method::from_bytes(self.method.as_bytes())
            .inspect_err(|_| refuse("method", &"must be a method such as `GET`"))
            .unwrap_or_default();
        let mut headers = self.headers(&mut refuse);
        let url = self.url.parse::<Uri>();
        let url = url.inspect_err(|error| refuse("url", error)).unwrap_or_default();
        let authority = authority(&url, &headers).into_owned();
        let host = normalize_host(&authority).inspect_err(|error| refuse("url", error));
        let (host, port) =
            host.map_or_else(|_| Default::default(), |host| (host.name.into_owned(), host.port));
        if let (false, Ok(value)) = (headers.contains_key(HOST), HeaderValue::from_str(&authority)) {
            headers.insert(HOST, value);
        }
        // A URL without a path asks for the root (RFC 9110 section 4.2.3).
        let path = Some(url.path()).filter(|path| !path.is_empty()).unwrap_or("/");
        let path = normalize_path(path)
            .inspect_err(|error| refuse("url", error))
            .unwrap_or_default();
        let asked = Asked {
            method,
            host,
            port,
            path: path.into_owned(),
            query: url.query().map(ToOwned::to_owned),
            headers,
        };
        match refused.is_empty() {
            true => Ok(asked),
            false => Err(refused),
        }
    }

    /// How its manifests are to be judged.
    ///
    /// # Errors
    /// What of that does not read, and what is said without manifests.
    pub(super) fn terms(&self) -> Result<PlanQuery, Vec<Violation>> {
        let mut refused = Vec::new();
        let mut refuse = |field: &str, code, message: String| {
            refused.push(Violation::new(INPUT, field, code, message));
        };
        let alone = [
            ("namespace", self.namespace.is_some()),
            ("prune", self.prune.is_some()),
            ("danglingRefs", self.dangling_refs.is_some()),
        ];
        for (field, _) in alone.iter().filter(|(_, said)| *said && self.manifests.is_none()) {
            refuse(field, Code::Conflict, "is said of `manifests`".into());
        }
        let namespace = self.namespace.as_deref().map(str::parse::<Namespace>).transpose();
        let namespace = namespace.map_err(|_| ParameterError::Namespace);
        let namespace = namespace
            .inspect_err(|error| refuse("namespace", Code::Invalid, error.to_string()))
            .unwrap_or_default();
        let prune = self.prune.as_deref().map(query::prune).transpose();
        let prune = prune
            .inspect_err(|error| refuse("prune", Code::Invalid, error.to_string()))
            .unwrap_or_default();
        let terms = PlanQuery {
            documents: Documents { namespace, prune },
            dangling: match self.dangling_refs {
                Some(Dangling::Warn) => DanglingRefs::Warn,
                Some(Dangling::Refuse) | None => DanglingRefs::Refuse,
            },
            against: self.revision.map(Revision),
        };
        match refused.is_empty() {
            true => Ok(terms),
            false => Err(refused),
        }
    }

    fn headers(&self, refuse: &mut impl FnMut(&str, &dyn ToString)) -> HeaderMap {
        if self.headers.0.len() > MAX_HEADERS {
            refuse("headers", &format!("there may be {MAX_HEADERS}"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.0.iter().take(MAX_HEADERS) {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => drop(headers.append(name, value)),
                _ => refuse(&format!("headers[{name:?}]"), &"must be a header field of HTTP"),
            }
        }
        headers
    }
}

/// The URL's host and port, or else those of the Host header (RFC 9112 section 3.2.2).
fn authority<'a>(url: &'a Uri, headers: &'a HeaderMap) -> Cow<'a, str> {
    match (url.authority(), headers.get(HOST)) {
        (Some(authority), _) => Cow::Borrowed(authority.as_str()),
        (None, Some(host)) => String::from_utf8_lossy(host.as_bytes()),
        (None, None) => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(method: &str, url: &str, headers: &[(&str, &str)]) -> Question {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        Question {
            method: method.into(),
            url: url.into(),
            headers: Few(headers.collect()),
            client_ip: None,
            revision: None,
            manifests: None,
            namespace: None,
            prune: None,
            dangling_refs: None,
            labels: None,
            proxy: None,
        }
    }

    #[test]
    fn a_url_is_normalised_as_a_live_request_is() {
        let url = "http://Shop.Example.com.:8080/a/../%62?x=%62";
        let asked = question("GET", url, &[]).read().unwrap();
        assert_eq!((&*asked.host, asked.port), ("shop.example.com", Some(8080)));
        assert_eq!((&*asked.path, asked.query.as_deref()), ("/b", Some("x=%62")));
        assert_eq!(asked.headers[HOST], "Shop.Example.com.:8080");
        assert_eq!(question("GET", "http://shop", &[]).read().unwrap().path, "/");
    }

    #[test]
    fn the_host_of_a_bare_path_is_the_headers() {
        let asked = question("GET", "/a", &[("Host", "shop:80")]).read().unwrap();
        assert_eq!((&*asked.host, asked.port), ("shop", Some(80)));
    }

    #[test]
    fn what_is_said_of_manifests_needs_some() {
        let mut asked = question("GET", "/", &[]);
        asked.namespace = Some("shop".into());
        asked.prune = Some(" ".into());
        let fields = |asked: &Question| {
            let refused = asked.terms().unwrap_err();
            let fields: Vec<_> = refused.iter().map(|one| one.field.clone()).collect();
            fields
        };
        assert_eq!(fields(&asked), ["namespace", "prune", "prune"]);
        asked.manifests = Some("kind: Gateway".into());
        assert_eq!(fields(&asked), ["prune"]);
        asked.prune = Some("team=shop".into());
        let terms = asked.terms().unwrap();
        assert_eq!(terms.namespace().unwrap().as_str(), "shop");
    }

    #[test]
    fn of_too_many_headers_no_more_are_kept_than_tell_so() {
        let text = |count: usize| {
            let headers: BTreeMap<_, _> = (0..count).map(|at| (format!("x-{at}"), "1")).collect();
            serde_json::json!({"method": "GET", "url": "/", "headers": headers, "labels": headers})
                .to_string()
        };
        let kept = |count| {
            let read: Question = serde_json::from_str(&text(count)).unwrap();
            (
                read.headers.0.len(),
                read.labels.as_ref().unwrap().0.len(),
                read.read().is_ok(),
            )
        };
        assert_eq!(kept(100), (100, 100, true));
        assert_eq!(kept(5_000), (101, 101, false));
        assert!(
            serde_json::from_str::<Question>(r#"{"method": "GET", "url": "/", "headers": {"a": 1}}"#)
                .is_err()
        );
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong = question("G T", "http://a..b/%zz", &[("a b", "1")]);
        let refused = wrong.read().unwrap_err();
        let fields: Vec<_> = refused.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["method", "headers[\"a b\"]", "url", "url"]);
    }
}
