//! Whom clients ask: targets and hosts.

use sluice_http1::HeadError::{HeaderName, Host, Target};

use crate::{
    Case, case, check,
    connection::{Seen::Head, requests},
};

const TARGETS: &[Case] = &[
    case(
        "a space",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case("a tab", b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", &[Head(Target)]),
    case("a NUL", b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", &[Head(Target)]),
    case(
        "a control byte",
        b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "a byte above ASCII",
        b"GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "UTF-8",
        b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case("no slash", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", &[Head(Target)]),
    case(
        "an asterisk for GET",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "more than an asterisk",
        b"OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "an authority for GET",
        b"GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "a path for CONNECT",
        b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "another scheme",
        b"GET file:///a HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "a scheme without a host",
        b"GET http:///a HTTP/1.1\r\nHost:\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "user information",
        b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        &[Head(Target)],
    ),
    case(
        "a port out of range",
        b"GET http://a:65536/ HTTP/1.1\r\nHost: a:65536\r\n\r\n",
        &[Head(Target)],
    ),
];

#[test]
fn a_target_is_visible_ascii_in_a_form_that_the_method_allows() {
    check(TARGETS, requests);
}

const HOSTS: &[Case] = &[
    case("none", b"GET / HTTP/1.1\r\n\r\n", &[Head(Host)]),
    case(
        "none with an absolute target",
        b"GET http://a/ HTTP/1.1\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "two",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "two that are equal",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "two in 1.0",
        b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "another than the target's",
        b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "another port than the target's",
        b"GET http://a:81/ HTTP/1.1\r\nHost: a:80\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "empty, and a target that names one",
        b"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n",
        &[Head(Host)],
    ),
    case("a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", &[Head(Host)]),
    case("a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", &[Head(Host)]),
    case(
        "user information",
        b"GET / HTTP/1.1\r\nHost: b@a\r\n\r\n",
        &[Head(Host)],
    ),
    case("a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", &[Head(Host)]),
    case(
        "a fragment",
        b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "a backslash",
        b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n",
        &[Head(Host)],
    ),
    case("quotes", b"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", &[Head(Host)]),
    case(
        "a byte above ASCII",
        b"GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "a port and no name",
        b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "a port that is no number",
        b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "two ports",
        b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "an open bracket",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "text after a bracket",
        b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n",
        &[Head(Host)],
    ),
    case(
        "on a folded line",
        b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n",
        &[Head(HeaderName)],
    ),
];

#[test]
fn there_is_one_host_and_the_target_does_not_contradict_it() {
    check(HOSTS, requests);
}
