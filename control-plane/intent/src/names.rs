//! Strings that are known to follow their grammar: built only from checked text.

use std::borrow::{Borrow, Cow};
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::grammar::{Grammar, TextError};

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $grammar:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Grammar::$grammar.check(&text).map(|()| Self(text))
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let (least, most) = Grammar::$grammar.lengths();
                json_schema!({
                    "type": "string",
                    "format": Grammar::$grammar.name(),
                    "minLength": least,
                    "maxLength": most
                })
            }
        }
    };
}

text_type! {
    /// Name of a resource: RFC 1123 subdomain, 1 to 253 characters.
    ObjectName, Subdomain
}
text_type! {
    /// Namespace of a resource: RFC 1123 label, 1 to 63 characters.
    Namespace, Label
}
text_type! {
    /// Name of a listener or a rule within its resource: RFC 1123 subdomain, 1 to 253 characters.
    SectionName, Subdomain
}
text_type! {
    /// Name of an experiment's variant: RFC 1123 label, 1 to 63 characters.
    VariantName, Label
}
text_type! {
    /// Host name, or `*.` and a host name, which matches any depth below it but not the name itself.
    HostnamePattern, HostnamePattern
}
text_type! {
    /// Host name without wildcard: RFC 1123, lower case, no IP address.
    Hostname, Hostname
}
text_type! {
    /// Where an endpoint is: an IP address, or a host name to look up.
    HostAddress, HostAddress
}
text_type! {
    /// API group of a referent; empty is the core group.
    ApiGroup, ApiGroup
}
text_type! {
    /// Kind of a referent, which need not be one of [`Kind`](crate::Kind).
    ApiKind, ApiKind
}
text_type! {
    /// Name of a header, a cookie or a query parameter: RFC 9110 token, 1 to 256 characters.
    Token, Token
}
text_type! {
    /// Value of a header: RFC 9110 field value in ASCII, 1 to 4096 characters.
    FieldValue, FieldValue
}
text_type! {
    /// Key of a label or an annotation: an optional `prefix/` and a name of at most 63 characters.
    LabelKey, LabelKey
}
text_type! {
    /// Value of a label, at most 63 characters.
    LabelValue, LabelValue
}
text_type! {
    /// Path that begins with `/`, without query or fragment, at most 1024 characters.
    AbsolutePath, AbsolutePath
}
text_type! {
    /// What takes the place of a matched prefix: nothing, or a path that begins with `/`.
    PrefixReplacement, PrefixReplacement
}
text_type! {
    /// Name of a value in a Secret: letters, digits, `-`, `_` and `.`, 1 to 253 characters.
    DataKey, DataKey
}
text_type! {
    /// Absolute URI in visible ASCII, 1 to 2048 characters, such as `spiffe://cluster.example/ns/shop`.
    Uri, Uri
}
text_type! {
    /// Name in the DNS, whose labels may begin with `_`: lower case, 1 to 253 characters.
    DnsName, DnsName
}
text_type! {
    /// What keys in etcd begin with: visible ASCII, no `/` at the end, 1 to 512 characters.
    EtcdKey, EtcdKey
}
text_type! {
    /// Origin of the Fetch standard, or a pattern for some: `*`, `https://a.example`, `https://*.a.example:8443`.
    CorsOrigin, CorsOrigin
}
