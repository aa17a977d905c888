//! The fields of a line, by the names that JSON and templates share.

use std::fmt::{self, Write as _};

use http::Version;

use super::{Record, time::Rfc3339};
use crate::clock::WallClock;

/// A field of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Revision,
    Route,
    Rule,
    Backend,
    Endpoint,
    Variant,
    Method,
    Host,
    Port,
    Scheme,
    Path,
    Status,
    Duration,
    Connect,
    FirstByte,
    BytesIn,
    BytesOut,
    Reason,
    Flags,
    Client,
    Protocol,
}

impl Field {
    pub(super) const ALL: [Self; 22] = [
        Self::Time,
        Self::Revision,
        Self::Route,
        Self::Rule,
        Self::Backend,
        Self::Endpoint,
        Self::Variant,
        Self::Method,
        Self::Host,
        Self::Port,
        Self::Scheme,
        Self::Path,
        Self::Status,
        Self::Duration,
        Self::Connect,
        Self::FirstByte,
        Self::BytesIn,
        Self::BytesOut,
        Self::Reason,
        Self::Flags,
        Self::Client,
        Self::Protocol,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Revision => "revision",
            Self::Route => "route",
            Self::Rule => "rule",
            Self::Backend => "backend",
            Self::Endpoint => "endpoint",
            Self::Variant => "variant",
            Self::Method => "method",
            Self::Host => "host",
            Self::Port => "port",
            Self::Scheme => "scheme",
            Self::Path => "path",
            Self::Status => "status",
            Self::Duration => "duration_us",
            Self::Connect => "connect_us",
            Self::FirstByte => "first_byte_us",
            Self::BytesIn => "bytes_in",
            Self::BytesOut => "bytes_out",
            Self::Reason => "reason",
            Self::Flags => "flags",
            Self::Client => "client",
            Self::Protocol => "protocol",
        }
    }

    /// The field of `record`; `None` when it has none.
    pub(super) fn value<'a>(self, record: &'a Record, wall: WallClock) -> Option<Value<'a>> {
        let text = |text: &'a str| (!text.is_empty()).then_some(Value::Text(text));
        let micros =
            |time: std::time::Duration| Value::Number(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        let endpoint = record.endpoint.as_deref();
        Some(match self {
            Self::Time => Value::Time(Rfc3339(wall.at(record.started))),
            Self::Revision => Value::Number(record.revision),
            Self::Route => return text(record.route.route()),
            Self::Rule => return text(record.route.rule()),
            Self::Backend => Value::Text(endpoint?.backend.owner()),
            Self::Endpoint => Value::Address(endpoint?.address),
            Self::Variant => return text(record.route.variant()),
            Self::Method => Value::Text(record.target.method.as_str()),
            Self::Host => return text(&record.target.host),
            Self::Port => Value::Number(record.port.into()),
            Self::Scheme => Value::Text(if record.secured { "https" } else { "http" }),
            Self::Path => return text(&record.target.path),
            Self::Status => Value::Number(record.status.into()),
            Self::Duration => micros(record.times.total),
            Self::Connect => micros(record.times.connect?),
            Self::FirstByte => micros(record.times.first_byte?),
            Self::BytesIn => Value::Number(record.bytes_in),
            Self::BytesOut => Value::Number(record.bytes_out),
            Self::Reason => Value::Text(record.reason?.as_str()),
            Self::Flags => return text(flags(record)),
            Self::Client => Value::Address(record.client),
            Self::Protocol => Value::Text(protocol(record.target.version)),
        })
    }
}

/// A value, not yet written down.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// May hold anything a client sent.
    Text(&'a str),
    Number(u64),
    Address(std::net::SocketAddr),
    Time(Rfc3339),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.chars().try_for_each(|c| match c {
                // As nginx's `escape=default`, so that no client can forge a line.
                '"' | '\\' | '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02X}", u32::from(c)),
                c => f.write_char(c),
            }),
            Self::Number(number) => number.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

fn flags(record: &Record) -> &'static str {
    match (record.reused, record.retried, record.upgraded) {
        (false, false, false) => "",
        (true, false, false) => "reused",
        (false, true, false) => "retried",
        (true, true, false) => "reused,retried",
        (false, false, true) => "upgraded",
        (true, false, true) => "reused,upgraded",
        (false, true, true) => "retried,upgraded",
        (true, true, true) => "reused,retried,upgraded",
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_tells_every_field() {
        let readme = include_str!("../../../README.md");
        let (_, section) = readme.split_once("### The access log").unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let names = rows.filter_map(|row| row.split('|').nth(1));
        let told: Vec<_> = names
            .flat_map(|names| names.split('`').skip(1).step_by(2))
            .collect();
        assert_eq!(told.len(), Field::ALL.len(), "{told:?}");
        for field in Field::ALL {
            assert!(told.contains(&field.name()), "{field:?}");
        }
    }
}
