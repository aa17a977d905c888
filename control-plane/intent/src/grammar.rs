//! The grammars that strings of a manifest follow. Each has a name, which the schema
//! carries as `format`, so that one check serves the schema walk and the typed values.

mod rules;

use self::rules::{
    check_address, check_case, check_dns_name, check_hostname, ends_alphanumeric, is_absolute_path,
    is_cors_origin, is_data_key_byte, is_etcd_key, is_label, is_label_key, is_label_name, is_token_byte,
    is_uri,
};
pub(crate) use self::rules::{is_field_value, is_path_text};

/// Why a string does not follow its grammar; reads on after the quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing at all.
    #[error("must not be empty")]
    Empty,
    /// Longer than the grammar allows, in characters.
    #[error("is longer than {0} characters")]
    TooLong(usize),
    /// A name that must be in lower case is not.
    #[error("must be in lower case")]
    UpperCase,
    /// An IP address where only a name is allowed.
    #[error("must be a host name, not an IP address")]
    IpAddress,
    /// An IP address that no upstream can have.
    #[error("must be the address of one host, not unspecified, multicast or broadcast")]
    NotUnicast,
    /// A `*` anywhere but as the whole first label.
    #[error("may have `*` only as the whole first label, as in `*.example.com`")]
    Wildcard,
    /// A `*` where one host is meant.
    #[error("must be one host such as `shop.example.com`: there is no `*` here")]
    OneHost,
    /// Anything else; the grammar says what would be right.
    #[error("{}", .0.rule())]
    Rule(Grammar),
}

/// What a string must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// RFC 1123 label: namespaces, names of variants.
    Label,
    /// RFC 1123 subdomain: names of resources, listeners and rules.
    Subdomain,
    /// A host name, or `*.` and a host name.
    HostnamePattern,
    /// A host name.
    Hostname,
    /// An IP address or a host name.
    HostAddress,
    /// An API group; empty is the core group.
    ApiGroup,
    /// The name of a kind.
    ApiKind,
    /// RFC 9110 section 5.6.2 token: names of headers, cookies and query parameters.
    Token,
    /// RFC 9110 section 5.5 field value, visible ASCII with inner spaces and tabs.
    FieldValue,
    /// Kubernetes label or annotation key: an optional `prefix/` and a name.
    LabelKey,
    /// Kubernetes label value.
    LabelValue,
    /// RFC 3986 path that begins with `/`.
    AbsolutePath,
    /// RFC 3986 path that begins with `/`, or nothing.
    PrefixReplacement,
    /// Gateway API duration, GEP-2257.
    Duration,
    /// Key of a Secret's value.
    DataKey,
    /// RFC 3986 URI with an authority.
    Uri,
    /// Origin, or a pattern for some.
    CorsOrigin,
    /// Name in the DNS, whose labels may begin with `_`.
    DnsName,
    /// What keys in etcd begin with.
    EtcdKey,
}

impl Grammar {
    /// Every grammar.
    pub const ALL: [Self; 19] = [
        Self::Label,
        Self::Subdomain,
        Self::HostnamePattern,
        Self::Hostname,
        Self::HostAddress,
        Self::ApiGroup,
        Self::ApiKind,
        Self::Token,
        Self::FieldValue,
        Self::LabelKey,
        Self::LabelValue,
        Self::AbsolutePath,
        Self::PrefixReplacement,
        Self::Duration,
        Self::DataKey,
        Self::Uri,
        Self::CorsOrigin,
        Self::DnsName,
        Self::EtcdKey,
    ];

    /// The name in the schema's `format`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Label => "rfc1123-label",
            Self::Subdomain => "rfc1123-subdomain",
            Self::HostnamePattern => "hostname-pattern",
            Self::Hostname => "hostname",
            Self::HostAddress => "host-address",
            Self::ApiGroup => "api-group",
            Self::ApiKind => "api-kind",
            Self::Token => "http-token",
            Self::FieldValue => "http-field-value",
            Self::LabelKey => "label-key",
            Self::LabelValue => "label-value",
            Self::AbsolutePath => "absolute-path",
            Self::PrefixReplacement => "prefix-replacement",
            Self::Duration => "gateway-duration",
            Self::DataKey => "secret-data-key",
            Self::Uri => "absolute-uri",
            Self::CorsOrigin => "cors-origin",
            Self::DnsName => "dns-name",
            Self::EtcdKey => "etcd-key",
        }
    }

    /// The grammar of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grammar| grammar.name() == name)
    }

    /// Least and greatest length in characters.
    pub const fn lengths(self) -> (usize, usize) {
        match self {
            Self::Label | Self::ApiKind => (1, 63),
            Self::Subdomain | Self::HostnamePattern | Self::Hostname | Self::HostAddress => (1, 253),
            Self::ApiGroup => (0, 253),
            Self::Token => (1, 256),
            Self::FieldValue => (1, 4096),
            Self::LabelKey => (1, 317),
            Self::LabelValue => (0, 63),
            Self::AbsolutePath => (1, 1024),
            Self::PrefixReplacement => (0, 1024),
            Self::Duration => (2, 28),
            Self::DataKey | Self::CorsOrigin | Self::DnsName => (1, 253),
            Self::EtcdKey => (1, 512),
            Self::Uri => (1, 2048),
        }
    }

    /// What is right, as the end of a sentence that begins with the quoted string.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Label => "must be letters a-z, digits and `-`, with a letter or digit at both ends",
            Self::Subdomain => {
                "must be letters a-z, digits, `-` and `.`, with a letter or digit at both ends of every part"
            }
            Self::HostnamePattern => "must be a host name such as `shop.example.com` or `*.example.com`",
            Self::Hostname => "must be a host name such as `shop.example.com`",
            Self::HostAddress => "must be an IP address or a host name, without a port",
            Self::ApiGroup => "must be an API group such as `gateway.networking.k8s.io`",
            Self::ApiKind => "must be the name of a kind: letters, digits and `-`, a letter first",
            Self::Token => "must be a token: letters, digits and any of !#$%&'*+-.^_`|~",
            Self::FieldValue => "must be visible ASCII, spaces and tabs only between visible characters",
            Self::LabelKey => "must be a label key such as `team` or `example.com/team`",
            Self::LabelValue => {
                "must be letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
            }
            Self::AbsolutePath => "must be a path that begins with `/`, without query or fragment",
            Self::PrefixReplacement => {
                "must be empty or a path that begins with `/`, without query or fragment"
            }
            Self::Duration => {
                "must be a duration such as `500ms`, `10s` or `1h30m`, of at most 99999h59m59s999ms"
            }
            Self::DataKey => "must be letters, digits, `-`, `_` and `.`",
            Self::Uri => "must be a URI such as `spiffe://cluster.example/ns/shop`",
            Self::CorsOrigin => {
                "must be `*`, or an origin such as `https://a.example` or `https://*.a.example:8443`"
            }
            Self::DnsName => "must be a name such as `shop.internal` or `_http._tcp.shop.internal`",
            Self::EtcdKey => "must be visible ASCII without a `/` at the end, such as `services/shop`",
        }
    }

    /// Whether `text` follows the grammar, and if not, why.
    pub fn check(self, text: &str) -> Result<(), TextError> {
        let (least, most) = self.lengths();
        if least > 0 && text.is_empty() {
            return Err(TextError::Empty);
        }
        if text.chars().nth(most).is_some() {
            return Err(TextError::TooLong(most));
        }
        let follows = match self {
            Self::Label => check_case(text).map(|()| is_label(text)),
            Self::Subdomain => check_case(text).map(|()| text.split('.').all(is_label)),
            Self::HostnamePattern => check_hostname(text.strip_prefix("*.").unwrap_or(text)),
            Self::Hostname if text.contains('*') => Err(TextError::OneHost),
            Self::Hostname => check_hostname(text),
            Self::HostAddress => check_address(text),
            Self::ApiGroup => Ok(text.is_empty() || text.split('.').all(is_label)),
            Self::ApiKind => Ok(text.starts_with(|c: char| c.is_ascii_alphabetic())
                && ends_alphanumeric(text, |byte| byte == b'-')),
            Self::Token => Ok(text.bytes().all(is_token_byte)),
            Self::FieldValue => Ok(is_field_value(text)),
            Self::LabelKey => Ok(is_label_key(text)),
            Self::LabelValue => Ok(text.is_empty() || is_label_name(text)),
            Self::AbsolutePath => Ok(is_absolute_path(text)),
            Self::PrefixReplacement => Ok(text.is_empty() || is_absolute_path(text)),
            Self::Duration => Ok(crate::duration::milliseconds(text).is_some()),
            Self::DataKey => Ok(text.bytes().all(is_data_key_byte)),
            Self::Uri => Ok(is_uri(text)),
            Self::CorsOrigin => Ok(is_cors_origin(text)),
            Self::DnsName => check_dns_name(text),
            Self::EtcdKey => Ok(is_etcd_key(text)),
        };
        if follows? {
            Ok(())
        } else {
            Err(TextError::Rule(self))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(grammar: Grammar, texts: &[&str]) {
        for text in texts {
            assert_eq!(grammar.check(text), Ok(()), "{text:?}");
        }
    }

    fn refuses(grammar: Grammar, texts: &[&str], error: TextError) {
        for text in texts {
            assert_eq!(grammar.check(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn hostnames_are_lower_case_names_with_at_most_a_leading_wildcard() {
        let grammar = Grammar::HostnamePattern;
        accepts(
            grammar,
            &[
                "a",
                "shop.example.com",
                "*.example.com",
                "xn--bcher-kva.example",
                "1.example",
            ],
        );
        refuses(
            grammar,
            &["Shop.example.com", "*.Example.com"],
            TextError::UpperCase,
        );
        refuses(grammar, &["10.0.0.1", "::1", "*.10.0.0.1"], TextError::IpAddress);
        refuses(
            grammar,
            &["*", "a.*.com", "*a.com", "*.*.com"],
            TextError::Wildcard,
        );
        refuses(grammar, &[""], TextError::Empty);
        let bad = [
            "a..b", ".a", "a.", "-a.com", "a-.com", "a_b.com", "a.com:80", "büro.de", "*.",
        ];
        refuses(grammar, &bad, TextError::Rule(grammar));
        refuses(grammar, &[&"a".repeat(64)], TextError::Rule(grammar));
        refuses(grammar, &[&"a.".repeat(127)], TextError::TooLong(253));
        let wildcards = ["*.example.com", "*", "a.*.com"];
        refuses(Grammar::Hostname, &wildcards, TextError::OneHost);
    }

    #[test]
    fn addresses_are_unicast_ips_or_names_that_do_not_look_like_ips() {
        let grammar = Grammar::HostAddress;
        accepts(
            grammar,
            &[
                "10.0.0.1",
                "::1",
                "2001:db8::1",
                "localhost",
                "db.internal",
                "127.0.0.1",
            ],
        );
        refuses(
            grammar,
            &["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"],
            TextError::NotUnicast,
        );
        let bad = [
            "10.0.0.256",
            "127.1",
            "1",
            "host:80",
            "[::1]",
            "*.a",
            "fe80::1%eth0",
            "http://a",
        ];
        refuses(grammar, &bad, TextError::Rule(grammar));
    }

    #[test]
    fn tokens_and_field_values_follow_rfc_9110() {
        accepts(Grammar::Token, &["x-a", "X_B", "!#$%&'*+-.^_`|~9"]);
        refuses(
            Grammar::Token,
            &["a b", "a:", "é", "a\r", "a/b", "\"a\""],
            TextError::Rule(Grammar::Token),
        );
        accepts(Grammar::FieldValue, &["a", "a b\tc", "text/html; q=0.8"]);
        refuses(
            Grammar::FieldValue,
            &[" a", "a ", "\ta", "a\r\nb", "a\0", "é"],
            TextError::Rule(Grammar::FieldValue),
        );
    }

    #[test]
    fn labels_follow_the_kubernetes_rules() {
        accepts(
            Grammar::LabelKey,
            &["team", "example.com/team", "app.kubernetes.io/name", "A_b.c-d"],
        );
        let bad = ["/a", "a/", "a/b/c", "-a", "a b", "Example.com/a", "é"];
        refuses(Grammar::LabelKey, &bad, TextError::Rule(Grammar::LabelKey));
        accepts(Grammar::LabelValue, &["", "v1", "A_b.c-d"]);
        refuses(
            Grammar::LabelValue,
            &["-a", "a b", "a/b"],
            TextError::Rule(Grammar::LabelValue),
        );
    }

    #[test]
    fn replacement_paths_carry_no_query_and_no_fragment() {
        accepts(Grammar::AbsolutePath, &["/", "/a/b%20c", "/a;b=c"]);
        let bad = ["a", "/a?b", "/a#b", "/a%2", "/a b", "/é", "/a\n"];
        refuses(
            Grammar::AbsolutePath,
            &bad,
            TextError::Rule(Grammar::AbsolutePath),
        );
        accepts(Grammar::PrefixReplacement, &["", "/"]);
    }

    #[test]
    fn origins_are_a_scheme_a_host_and_maybe_a_port() {
        let grammar = Grammar::CorsOrigin;
        accepts(
            grammar,
            &[
                "*",
                "https://a.example",
                "http://localhost:3000",
                "https://*.a.example:8443",
                "https://10.0.0.1",
                "https://[::1]:8443",
                "capacitor://localhost",
            ],
        );
        let bad = [
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example:0x1",
            "https://a.example:99999",
            "https://a.*.example",
            "https://*a.example",
            "://a.example",
            "https://a.example,https://b.example",
            "null",
        ];
        refuses(grammar, &bad, TextError::Rule(grammar));
    }

    #[test]
    fn uris_have_a_scheme_and_are_visible() {
        accepts(Grammar::Uri, &["spiffe://a/b", "https://a"]);
        refuses(
            Grammar::Uri,
            &["a", "://a", "1x://a", "spiffe:a", "spiffe://a b", "spiffe://é"],
            TextError::Rule(Grammar::Uri),
        );
        accepts(Grammar::DataKey, &["tls.crt", "A_b-1"]);
        refuses(
            Grammar::DataKey,
            &["a/b", "a b"],
            TextError::Rule(Grammar::DataKey),
        );
    }

    #[test]
    fn what_is_looked_up_or_watched_is_a_name_or_a_prefix() {
        let grammar = Grammar::DnsName;
        accepts(
            grammar,
            &["shop.internal", "_http._tcp.shop.internal", "localhost"],
        );
        refuses(
            grammar,
            &["a_b.c", "_", "_.a", "a.", "a..b", "*.a"],
            TextError::Rule(grammar),
        );
        refuses(grammar, &["10.0.0.1"], TextError::IpAddress);
        refuses(grammar, &["A.internal"], TextError::UpperCase);
        let grammar = Grammar::EtcdKey;
        accepts(grammar, &["shop", "/services/shop", "a:b{c}"]);
        refuses(grammar, &["services/", "/", "a b", "é"], TextError::Rule(grammar));
    }

    #[test]
    fn every_grammar_is_found_by_its_name() {
        for grammar in Grammar::ALL {
            assert_eq!(Grammar::by_name(grammar.name()), Some(grammar));
        }
    }
}
