//! The grammars that strings of a manifest follow. Each has a name, which the schema
//! carries as `format`, so that one check serves the schema walk and the typed values.

mod rules;
#[cfg(test)]
mod tests;

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
