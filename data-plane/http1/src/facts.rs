//! What of a header block concerns a proxy, found while it is read.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, EXPECT, MAX_FORWARDS, TE, TRANSFER_ENCODING, UPGRADE},
};

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
static SLUICE_DEBUG: HeaderName = HeaderName::from_static("sluice-debug");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Which fields are there that a proxy has to look at. Most messages have next to none of them, and
/// a look-up for each would cost more than everything else that is done to a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Any field that is for one hop alone (RFC 9110 section 7.6.1), Transfer-Encoding included.
    /// `Trailer` is not one of them: it belongs to the message, and trailers are passed on.
    pub hop_by_hop: bool,
    /// TE.
    pub te: bool,
    /// Upgrade.
    pub upgrade: bool,
    /// Expect.
    pub expect: bool,
    /// Max-Forwards.
    pub max_forwards: bool,
    /// Sluice-Debug: a token for which the answer says what became of the request.
    pub debug: bool,
    /// X-Forwarded-For.
    pub forwarded_for: bool,
    /// X-Forwarded-Client-Cert.
    pub client_cert: bool,
    /// A name that an application may take for one that only proxies write; see
    /// [`Facts::is_lookalike`].
    pub lookalike: bool,
}

impl Facts {
    /// Those of a header block that was read by somebody else.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut facts = Self::default();
        for name in headers.keys() {
            facts.note(name);
        }
        facts
    }

    /// Whether a field is for one hop alone.
    pub fn is_hop_by_hop(name: &HeaderName) -> bool {
        let mut facts = Self::default();
        facts.note(name);
        facts.hop_by_hop
    }

    /// Whether a name is that of a field which proxies write, with underscores for hyphens. CGI and what
    /// came after it (RFC 3875 section 4.1.18) tell the two apart no more.
    pub fn is_lookalike(name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        let written = match name.len() {
            15 => X_FORWARDED_FOR.as_str(),
            17 => X_FORWARDED_PROTO.as_str(),
            23 => X_FORWARDED_CLIENT_CERT.as_str(),
            _ => return false,
        };
        let alike = |(one, other): (&u8, &u8)| one == other || *one == b'_' && *other == b'-';
        name.contains(&b'_') && name.iter().zip(written.as_bytes()).all(alike)
    }

    #[inline]
    pub(crate) fn note(&mut self, name: &HeaderName) {
        // By length first: comparing a name with each of these costs more than reading it did.
        match name.as_str().len() {
            2 => {
                let te = *name == TE;
                self.te |= te;
                self.hop_by_hop |= te;
            }
            6 => self.expect |= *name == EXPECT,
            7 => {
                let upgrade = *name == UPGRADE;
                self.upgrade |= upgrade;
                self.hop_by_hop |= upgrade;
            }
            10 => self.hop_by_hop |= *name == CONNECTION || *name == KEEP_ALIVE,
            12 => {
                self.max_forwards |= *name == MAX_FORWARDS;
                self.debug |= *name == SLUICE_DEBUG;
            }
            14 => self.hop_by_hop |= *name == HTTP2_SETTINGS,
            15 => {
                self.forwarded_for |= *name == X_FORWARDED_FOR;
                self.lookalike |= Self::is_lookalike(name);
            }
            16 => self.hop_by_hop |= *name == PROXY_CONNECTION,
            17 => {
                self.hop_by_hop |= *name == TRANSFER_ENCODING;
                self.lookalike |= Self::is_lookalike(name);
            }
            23 => {
                self.client_cert |= *name == X_FORWARDED_CLIENT_CERT;
                self.lookalike |= Self::is_lookalike(name);
            }
            _ => {}
        }
    }
}

/// Whether a list of tokens names `token`, in any case (RFC 9110 section 5.6.1).
pub(crate) fn names(value: &HeaderValue, token: &[u8]) -> bool {
    let mut options = value.as_bytes().split(|byte| *byte == b',');
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &'static str) -> Facts {
        let name = HeaderName::from_static(name);
        Facts::of(&HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]))
    }

    #[test]
    fn each_field_is_found_and_no_other() {
        let none = Facts::default();
        let hop = Facts {
            hop_by_hop: true,
            ..none
        };
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "transfer-encoding",
            "http2-settings",
        ] {
            assert_eq!(of(name), hop, "{name}");
        }
        assert_eq!(of("te"), Facts { te: true, ..hop });
        assert_eq!(of("upgrade"), Facts { upgrade: true, ..hop });
        assert_eq!(of("expect"), Facts { expect: true, ..none });
        let forwarded_for = true;
        assert_eq!(
            of("x-forwarded-for"),
            Facts {
                forwarded_for,
                ..none
            }
        );
        let client_cert = true;
        assert_eq!(of("x-forwarded-client-cert"), Facts { client_cert, ..none });
        let lookalike = true;
        for name in [
            "x_forwarded_for",
            "x-forwarded_for",
            "x_forwarded-proto",
            "x_forwarded_client_cert",
        ] {
            assert_eq!(of(name), Facts { lookalike, ..none }, "{name}");
        }
        assert_eq!(of("sluice-debug"), Facts { debug: true, ..none });
        let max_forwards = true;
        assert_eq!(of("max-forwards"), Facts { max_forwards, ..none });
        for name in [
            "host",
            "x-te",
            "ab",
            "abcd",
            "abcdef",
            "trailer",
            "date",
            "content-length",
            "accept_encoding",
            "x-forwarded-proto",
        ] {
            assert_eq!(of(name), none, "{name}");
        }
    }

    #[test]
    fn a_token_is_found_in_a_list_in_any_case() {
        let found = |text| names(&HeaderValue::from_static(text), b"close");
        assert!(["close", "CLOSE", "a, Close", "close\t,b"].into_iter().all(found));
        assert!(
            !["", "closed", "a close", "\"close\"", "clo,se"]
                .into_iter()
                .any(found)
        );
    }
}
