//! What rules change on the way: paths, redirects, headers (Gateway API `HTTPRouteFilter`).

use std::borrow::Cow;

use http::HeaderMap;
use sluice_model::{Filters, HeaderEdit, PathEdit, Redirect, Rewrite, Scheme};

use crate::request::RequestView;

/// `path` (normalised) after `edit`; the query is not part of either.
///
/// `prefix` is the one the request matched, as [`PathMatch::Prefix`](sluice_model::PathMatch) keeps
/// it. Whole elements are replaced, and a trailing slash of the replacement does not count: what is
/// left of the path brings its own. Without a prefix match there is no prefix to replace, and the
/// path stays.
pub fn rewrite_path<'a>(edit: &'a PathEdit, path: &'a str, prefix: Option<&str>) -> Cow<'a, str> {
    let replacement = match edit {
        PathEdit::Full(full) => return Cow::Borrowed(full),
        PathEdit::Prefix(replacement) => replacement.strip_suffix('/').unwrap_or(replacement),
    };
    let Some(rest) = prefix.and_then(|prefix| path.strip_prefix(prefix)) else {
        return Cow::Borrowed(path);
    };
    match (replacement, rest) {
        ("", "") => Cow::Borrowed("/"),
        ("", rest) => Cow::Borrowed(rest),
        (replacement, "") => Cow::Borrowed(replacement),
        (replacement, rest) => Cow::Owned([replacement, rest].concat()),
    }
}

/// The `Location` of a redirect, with the request's query.
///
/// `prefix` is as for [`rewrite_path`], `port` the one the listener's Gateway names (not the one
/// bound, and not the one in Host), `scheme` that of the request.
///
/// The port is, in this order, the redirect's, the one its scheme implies, the listener's; it is
/// left out where the location's scheme implies it. Without any host to name, as in HTTP/1.0, the
/// location is relative to the request (RFC 9110 section 10.2.2).
pub fn redirect_location(
    redirect: &Redirect,
    request: &RequestView<'_>,
    prefix: Option<&str>,
    port: u16,
    scheme: Scheme,
) -> String {
    let path = match &redirect.path {
        Some(edit) => rewrite_path(edit, request.path, prefix),
        None => Cow::Borrowed(request.path),
    };
    let host = redirect.hostname.as_deref().unwrap_or(request.host);
    let port = redirect
        .port
        .or(redirect.scheme.map(implied_port))
        .unwrap_or(port);
    let scheme = redirect.scheme.unwrap_or(scheme);

    let query = request.query.map_or(0, |query| query.len() + 1);
    let mut location = String::with_capacity("https://:65535".len() + host.len() + path.len() + query);
    if !host.is_empty() {
        location.push_str(match scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
        });
        location.push_str(host);
        if port != implied_port(scheme) {
            location.push(':');
            location.push_str(&port.to_string());
        }
    } else if path.starts_with("//") {
        // Or the path would begin with a host (RFC 3986 section 4.2).
        location.push_str("/.");
    }
    location.push_str(&path);
    if let Some(query) = request.query {
        location.push('?');
        location.push_str(query);
    }
    location
}

pub(crate) const fn implied_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// Applies `edit` in the order of the Gateway API's fields: set, then add, then remove. So a header
/// that is set and added to has both values, and one that is also removed is gone.
///
/// `set` leaves one line of that value in place of any there were; `add` adds a line, which is the
/// same as a value after a comma (RFC 9110 section 5.3); `remove` takes out all lines.
#[inline]
pub fn apply_header_edit(edit: &HeaderEdit, headers: &mut HeaderMap) {
    // A map refuses more than 32,768 headers. Heads are bounded far below, and edits are few; if
    // one ever came that far, the header is not added, rather than the request lost.
    for (name, value) in &edit.set {
        let _ = headers.try_insert(name, value.clone());
    }
    for (name, value) in &edit.add {
        let _ = headers.try_append(name, value.clone());
    }
    for name in &edit.remove {
        headers.remove(name);
    }
}

/// Applies `edit` of the rule, and then that of the backend the request goes to: so the backend's
/// has the last word. In this order on the way up and on the way down.
#[inline]
pub fn apply_both(rule: &HeaderEdit, backend: &HeaderEdit, headers: &mut HeaderMap) {
    apply_header_edit(rule, headers);
    apply_header_edit(backend, headers);
}

/// The rewrite of a request: the backend's instead of the rule's, as a whole.
#[inline]
pub fn rewrite<'a>(rule: &'a Filters, backend: &'a Filters) -> Option<&'a Rewrite> {
    backend.rewrite.as_ref().or(rule.rewrite.as_ref())
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue, Method, StatusCode};
    use sluice_model::FilterSet;

    use super::*;

    const PLAIN: Redirect = Redirect {
        scheme: None,
        hostname: None,
        path: None,
        port: None,
        status: StatusCode::FOUND,
    };

    fn locate(redirect: &Redirect, url: &str, listener: (Scheme, u16)) -> String {
        let (rest, query) = url
            .split_once('?')
            .map_or((url, None), |(rest, query)| (rest, Some(query)));
        let (host, path) = rest.split_at(rest.find('/').unwrap());
        let request = RequestView {
            method: &Method::GET,
            host,
            path,
            query,
            headers: &HeaderMap::new(),
        };
        redirect_location(redirect, &request, Some("/old"), listener.1, listener.0)
    }

    #[test]
    fn a_matched_prefix_is_replaced_by_whole_elements() {
        for (path, prefix, replacement, expected) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo", "/foo", "/xyz/", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/", "/foo", "/xyz/", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/bar", "/foo", "/", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo//bar", "/foo", "/xyz", "/xyz//bar"),
            ("/foo/foo", "/foo", "/a/b", "/a/b/foo"),
            ("/", "", "/xyz", "/xyz/"),
            ("/bar", "", "/xyz", "/xyz/bar"),
            ("/bar", "", "", "/bar"),
        ] {
            let edit = PathEdit::Prefix(replacement.into());
            assert_eq!(
                rewrite_path(&edit, path, Some(prefix)),
                expected,
                "{path} {prefix} {replacement}"
            );
        }
    }

    #[test]
    fn a_full_path_replaces_everything_and_no_prefix_leaves_everything() {
        assert_eq!(
            rewrite_path(&PathEdit::Full("/new".into()), "/foo/bar", Some("/foo")),
            "/new"
        );
        assert_eq!(
            rewrite_path(&PathEdit::Full("/new".into()), "/foo/bar", None),
            "/new"
        );
        assert_eq!(
            rewrite_path(&PathEdit::Prefix("/new".into()), "/foo/bar", None),
            "/foo/bar"
        );
    }

    #[test]
    fn the_port_of_a_redirect_follows_the_gateway_api() {
        let (http, https) = (Scheme::Http, Scheme::Https);
        for (scheme, port, listener, expected) in [
            // No scheme: the listener's port, unless the request's scheme implies it.
            (None, None, (http, 80), "http://shop/"),
            (None, None, (http, 8080), "http://shop:8080/"),
            (None, None, (http, 443), "http://shop:443/"),
            (None, None, (https, 443), "https://shop/"),
            (None, None, (https, 8443), "https://shop:8443/"),
            // A scheme: its own port, whatever the listener's.
            (Some(https), None, (http, 8080), "https://shop/"),
            (Some(http), None, (https, 8443), "http://shop/"),
            (Some(http), None, (http, 8080), "http://shop/"),
            // A port: that one, unless the scheme implies it.
            (None, Some(80), (http, 8080), "http://shop/"),
            (None, Some(81), (http, 80), "http://shop:81/"),
            (Some(https), Some(443), (http, 80), "https://shop/"),
            (Some(https), Some(80), (http, 80), "https://shop:80/"),
            (Some(https), Some(8443), (http, 80), "https://shop:8443/"),
        ] {
            let redirect = Redirect {
                scheme,
                port,
                ..PLAIN
            };
            assert_eq!(
                locate(&redirect, "shop/", listener),
                expected,
                "{scheme:?} {port:?} {listener:?}"
            );
        }
    }

    #[test]
    fn a_redirect_changes_what_it_names_and_keeps_the_query() {
        let to_host = Redirect {
            hostname: Some("new.example.com".into()),
            ..PLAIN
        };
        let to_full = Redirect {
            path: Some(PathEdit::Full("/gone".into())),
            ..PLAIN
        };
        let to_prefix = Redirect {
            path: Some(PathEdit::Prefix("/new".into())),
            ..PLAIN
        };
        for (redirect, expected) in [
            (&to_host, "http://new.example.com/old/a?b=c&d"),
            (&to_full, "http://shop/gone?b=c&d"),
            (&to_prefix, "http://shop/new/a?b=c&d"),
        ] {
            assert_eq!(locate(redirect, "shop/old/a?b=c&d", (Scheme::Http, 80)), expected);
        }
        assert_eq!(
            locate(&to_full, "shop/old?", (Scheme::Http, 80)),
            "http://shop/gone?"
        );
        assert_eq!(locate(&PLAIN, "[::1]/", (Scheme::Http, 81)), "http://[::1]:81/");
    }

    #[test]
    fn a_redirect_without_any_host_stays_where_the_request_came() {
        assert_eq!(locate(&PLAIN, "/old?q", (Scheme::Http, 8080)), "/old?q");
        assert_eq!(
            locate(&PLAIN, "//evil.example.com/", (Scheme::Http, 80)),
            "/.//evil.example.com/"
        );
    }

    #[test]
    fn headers_are_set_then_added_then_removed() {
        let header =
            |name: &'static str, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut headers: HeaderMap = [
            header("x-set", "1"),
            header("x-set", "2"),
            header("x-add", "1"),
            header("x-old", "1"),
        ]
        .into_iter()
        .collect();
        headers.append("x-old", HeaderValue::from_static("2"));
        let edit = HeaderEdit {
            set: vec![header("x-set", "3"), header("x-both", "1"), header("x-gone", "1")],
            add: vec![header("x-add", "2"), header("x-both", "2"), header("x-new", "1")],
            remove: vec![
                HeaderName::from_static("x-old"),
                HeaderName::from_static("x-gone"),
            ],
        };
        apply_header_edit(&edit, &mut headers);
        let all = |name| {
            headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(all("x-set"), ["3"]);
        assert_eq!(all("x-add"), ["1", "2"]);
        assert_eq!(all("x-both"), ["1", "2"]);
        assert_eq!(all("x-new"), ["1"]);
        assert!(all("x-old").is_empty() && all("x-gone").is_empty());
    }

    #[test]
    fn the_backend_has_the_last_word_over_the_rule() {
        let set = |value| HeaderEdit {
            set: vec![(HeaderName::from_static("x-by"), HeaderValue::from_static(value))],
            ..HeaderEdit::default()
        };
        let mut headers = HeaderMap::new();
        apply_both(&set("rule"), &set("backend"), &mut headers);
        assert_eq!(headers["x-by"], "backend");
        let to = |path: &str| {
            Filters::from(FilterSet {
                rewrite: Some(Rewrite {
                    hostname: None,
                    path: Some(PathEdit::Full(path.into())),
                }),
                ..FilterSet::default()
            })
        };
        let (rule, backend) = (to("/rule"), to("/backend"));
        assert_eq!(rewrite(&rule, &backend), backend.rewrite.as_ref());
        assert_eq!(rewrite(&rule, &Filters::NONE), rule.rewrite.as_ref());
        assert_eq!(rewrite(&Filters::NONE, &Filters::NONE), None);
    }

    #[test]
    fn an_empty_edit_changes_nothing() {
        let mut headers = HeaderMap::from_iter([(http::header::HOST, HeaderValue::from_static("shop"))]);
        let before = headers.clone();
        apply_header_edit(&HeaderEdit::default(), &mut headers);
        assert_eq!(headers, before);
    }
}
