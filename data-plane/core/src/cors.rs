//! Cross-origin requests (Fetch standard, section 3.2; Gateway API `HTTPCORSFilter`).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};
use sluice_model::{Allowed, Cors, OriginMatch};

/// The headers of the 204 that answers a preflight; `None` when the request is none and is forwarded.
///
/// A preflight of an origin that may not is answered as well, with no word of permission: it is never
/// the upstream's to decide.
pub fn preflight(cors: &Cors, method: &Method, request: &HeaderMap) -> Option<HeaderMap> {
    let asked = request.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let origin = request.get(ORIGIN).filter(|_| *method == Method::OPTIONS)?;
    let mut answer = HeaderMap::with_capacity(8);
    allow_origin(cors, origin, &mut answer);
    if !answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return Some(answer);
    }
    let wanted = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let methods = (&cors.allow_methods, Some(asked), ACCESS_CONTROL_REQUEST_METHOD);
    let headers = (&cors.allow_headers, wanted, ACCESS_CONTROL_REQUEST_HEADERS);
    for (name, (allowed, asked, by)) in [
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, headers),
    ] {
        allow(cors, name, allowed, asked, by, &mut answer);
    }
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    Some(answer)
}

/// Tells the browser, in the headers of an answer to `origin`, what its page may see. What the
/// upstream says of it is replaced, also when it is more.
pub fn apply(cors: &Cors, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
    ] {
        answer.remove(name);
    }
    match origin {
        Some(origin) => allow_origin(cors, origin, answer),
        // The answer to an origin would differ, and a cache must know.
        None if !says_the_same_to_all(cors) => vary(ORIGIN, answer),
        None => {}
    }
    let expose = match &cors.expose_headers {
        // With credentials `*` is a name like any other (Fetch section 3.2.3).
        Allowed::Any if cors.allow_credentials => exposed(answer),
        Allowed::Any => Some(HeaderValue::from_static("*")),
        Allowed::Listed(list) => list.clone(),
    };
    if let Some(list) = expose.filter(|_| answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)) {
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, list);
    }
}

/// Whether `origin` is one of those that may.
pub fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    let origin = origin.to_str().ok();
    origin.is_some_and(|origin| cors.allow_origins.iter().any(|one| one.matches(origin)))
}

fn says_the_same_to_all(cors: &Cors) -> bool {
    cors.allow_origins.contains(&OriginMatch::Any) && !cors.allow_credentials
}

fn allow_origin(cors: &Cors, origin: &HeaderValue, answer: &mut HeaderMap) {
    if says_the_same_to_all(cors) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        return;
    }
    vary(ORIGIN, answer);
    if !allows(cors, origin) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.allow_credentials {
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// With credentials `*` means nothing to a browser, so what it asked for is said instead.
fn allow(
    cors: &Cors,
    name: HeaderName,
    allowed: &Allowed,
    asked: Option<&HeaderValue>,
    by: HeaderName,
    answer: &mut HeaderMap,
) {
    let value = match allowed {
        Allowed::Listed(list) => list.clone(),
        Allowed::Any if !cors.allow_credentials => Some(HeaderValue::from_static("*")),
        Allowed::Any => {
            vary(by, answer);
            asked.cloned()
        }
    };
    if let Some(value) = value {
        answer.insert(name, value);
    }
}

/// The names of the headers that the answer has.
fn exposed(answer: &HeaderMap) -> Option<HeaderValue> {
    let names: Vec<&str> = answer.keys().map(HeaderName::as_str).collect();
    HeaderValue::try_from(names.join(", "))
        .ok()
        .filter(|list| !list.is_empty())
}

fn vary(by: HeaderName, answer: &mut HeaderMap) {
    let told = answer
        .get_all(VARY)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut names = told.flat_map(|value| value.split(',')).map(str::trim);
    if !names.any(|name| name == "*" || name.eq_ignore_ascii_case(by.as_str())) {
        // A head has far fewer headers than a map can hold.
        let _ = answer.try_append(VARY, HeaderValue::from(by));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{prelude::*, sample::select};

    use super::*;

    fn cors(credentials: bool) -> Cors {
        Cors {
            allow_origins: vec![OriginMatch::Wildcard {
                scheme: "https".into(),
                suffix: ".a.example".into(),
                port: None,
            }],
            allow_credentials: credentials,
            allow_methods: Allowed::Listed(Some(HeaderValue::from_static("GET, PUT"))),
            allow_headers: Allowed::Any,
            expose_headers: Allowed::Any,
            max_age: Duration::from_secs(5),
        }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    fn ask(cors: &Cors, origin: &str) -> Vec<(String, String)> {
        let request = headers(&[
            ("origin", origin),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a, x-b"),
        ]);
        listed(&preflight(cors, &Method::OPTIONS, &request).unwrap())
    }

    fn listed(map: &HeaderMap) -> Vec<(String, String)> {
        let pair = |(name, value): (&HeaderName, &HeaderValue)| {
            let name = name.as_str().trim_start_matches("access-control-");
            (name.to_owned(), value.to_str().unwrap().to_owned())
        };
        let mut all: Vec<_> = map.iter().map(pair).collect();
        all.sort();
        all
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_is_told_what_it_may() {
        let expected = [
            ("allow-headers", "*"),
            ("allow-methods", "GET, PUT"),
            ("allow-origin", "https://x.a.example"),
            ("max-age", "5"),
            ("vary", "origin"),
        ];
        assert_eq!(ask(&cors(false), "https://x.a.example"), pairs(&expected));
    }

    #[test]
    fn with_credentials_a_star_is_what_was_asked_for() {
        let expected = [
            ("allow-credentials", "true"),
            ("allow-headers", "x-a, x-b"),
            ("allow-methods", "GET, PUT"),
            ("allow-origin", "https://x.a.example"),
            ("max-age", "5"),
            ("vary", "access-control-request-headers"),
            ("vary", "origin"),
        ];
        assert_eq!(ask(&cors(true), "https://x.a.example"), pairs(&expected));
        let any = Cors {
            allow_origins: vec![OriginMatch::Any],
            ..cors(true)
        };
        assert!(
            ask(&any, "https://b.example").contains(&("allow-origin".into(), "https://b.example".into()))
        );
        let open = Cors {
            allow_credentials: false,
            ..any
        };
        assert!(ask(&open, "https://b.example").contains(&("allow-origin".into(), "*".into())));
    }

    #[test]
    fn a_preflight_of_another_origin_is_answered_without_permission() {
        assert_eq!(
            ask(&cors(true), "https://evil.example"),
            pairs(&[("vary", "origin")])
        );
    }

    #[test]
    fn what_is_no_preflight_is_forwarded() {
        let full = headers(&[
            ("origin", "https://x.a.example"),
            ("access-control-request-method", "PUT"),
        ]);
        assert!(preflight(&cors(false), &Method::GET, &full).is_none());
        for name in ["origin", "access-control-request-method"] {
            let mut part = full.clone();
            part.remove(name);
            assert!(preflight(&cors(false), &Method::OPTIONS, &part).is_none());
        }
    }

    #[test]
    fn the_upstream_does_not_widen_what_is_allowed() {
        let upstream = || {
            headers(&[
                ("access-control-allow-origin", "*"),
                ("access-control-allow-credentials", "true"),
                ("access-control-expose-headers", "x-secret"),
            ])
        };
        let mut answer = upstream();
        apply(
            &cors(false),
            Some(&HeaderValue::from_static("https://evil.example")),
            &mut answer,
        );
        assert_eq!(listed(&answer), pairs(&[("vary", "origin")]));
        let mut answer = upstream();
        apply(
            &cors(false),
            Some(&HeaderValue::from_static("https://x.a.example")),
            &mut answer,
        );
        let expected = [
            ("allow-origin", "https://x.a.example"),
            ("expose-headers", "*"),
            ("vary", "origin"),
        ];
        assert_eq!(listed(&answer), pairs(&expected));
    }

    #[test]
    fn a_cache_learns_that_answers_differ_by_origin_once() {
        let mut answer = headers(&[("vary", "Accept, Origin")]);
        apply(&cors(false), None, &mut answer);
        assert_eq!(listed(&answer), pairs(&[("vary", "Accept, Origin")]));
    }

    fn policy() -> impl Strategy<Value = Cors> {
        let origin = select(vec![
            OriginMatch::Any,
            OriginMatch::Exact("https://a.example".into()),
            cors(false).allow_origins[0].clone(),
        ]);
        let allowed = || {
            select(vec![
                Allowed::Any,
                Allowed::Listed(None),
                cors(false).allow_methods,
            ])
        };
        let origins = prop::collection::vec(origin, 0..3);
        (origins, any::<bool>(), allowed(), allowed(), allowed()).prop_map(
            |(allow_origins, allow_credentials, allow_methods, allow_headers, expose_headers)| Cors {
                allow_origins,
                allow_credentials,
                allow_methods,
                allow_headers,
                expose_headers,
                max_age: Duration::from_secs(5),
            },
        )
    }

    proptest! {
        #[test]
        fn permission_is_given_to_allowed_origins_only_and_never_by_a_star_with_credentials(
            policy in policy(),
            origin in select(&["https://a.example", "https://x.a.example", "https://evil.example", "null"]),
        ) {
            let request = headers(&[("origin", origin), ("access-control-request-method", "PUT")]);
            let mut answer = headers(&[("access-control-allow-origin", "*")]);
            apply(&policy, request.get(ORIGIN), &mut answer);
            let asked = preflight(&policy, &Method::OPTIONS, &request).unwrap();
            for told in [answer, asked] {
                let allowed = policy.allow_origins.iter().any(|one| one.matches(origin));
                prop_assert_eq!(told.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed);
                let credentials = told.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
                prop_assert_eq!(credentials, allowed && policy.allow_credentials);
                prop_assert!(!credentials || told.values().all(|value| value != "*"));
                // What is said to one origin alone is not for a cache to say to another.
                let alone = told.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none_or(|value| value != "*");
                prop_assert_eq!(told.contains_key(VARY), alone);
                prop_assert!(told.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count() <= 1);
            }
        }
    }
}
