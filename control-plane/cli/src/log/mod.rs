//! Access logs, read as the kinds of requests that are in them.
//!
//! A log is read line by line and never held: what is kept are kinds of requests with a count, of which there
//! is a bound ([`Tally`]). Lines that cannot be read are counted, and the first of them told.

mod combined;
mod envoy;
mod json;
mod lines;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use sluice_control::{Tally, TallyBounds};
use thiserror::Error;

use crate::failure::Failure;
use lines::Lines;

/// Kinds of requests that are kept: as many as one replay may bring, and less.
const KINDS: TallyBounds = TallyBounds {
    kinds: 200_000,
    bytes: 24 * 1024 * 1024,
};
/// Lines that cannot be read and are shown.
const MAX_SHOWN: usize = 5;

/// How the lines of a log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Each line as it looks
    #[default]
    Auto,
    /// An object a line, with `method`, `host` and `path`, as sluice-proxy writes it
    Json,
    /// nginx's `combined`, which has no host: say it with --host
    Nginx,
    /// Envoy's default
    Envoy,
}

/// What is known of a request: those that are equal are one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Key {
    pub(crate) method: Box<str>,
    pub(crate) host: Box<str>,
    /// Path and query, as in the request line.
    pub(crate) path: Box<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scheme: Option<Box<str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) headers: BTreeMap<String, String>,
}

/// What is the same of all lines, where they do not say it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) scheme: Option<String>,
    /// Whether the User-Agent is a part of what is known.
    pub(crate) with_user_agent: bool,
}

/// Why a line is not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LineError {
    /// Longer than a request can be.
    #[error("longer than {} bytes", lines::MAX_LINE)]
    Long,
    /// Not text.
    #[error("is not UTF-8")]
    NotText,
    /// Not an object of the layout.
    #[error("{0}")]
    Json(String),
    /// Not as the format has it.
    #[error("is not as {0} writes it")]
    Layout(&'static str),
    /// What stands for the request line is none.
    #[error("has no request line")]
    NoRequest,
    /// There is none, and none was given.
    #[error("has no host; say it with --host")]
    NoHost,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) tally: Tally<Key>,
    /// Lines that are not empty.
    pub(crate) lines: u64,
    /// Of those that could not be read.
    pub(crate) unread: u64,
    /// The first of them: where, and why.
    pub(crate) shown: Vec<String>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            tally: Tally::new(KINDS, Key::bytes),
            lines: 0,
            unread: 0,
            shown: Vec::new(),
        }
    }
}

impl Key {
    fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.method.len() + self.host.len() + self.path.len() + headers
    }
}

impl Log {
    /// Reads one log; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened, or breaks off.
    pub(crate) fn read(&mut self, path: &Path, format: Format, defaults: &Defaults) -> Result<(), Failure> {
        let failed = |source| Failure::Read {
            path: match path == Path::new("-") {
                true => PathBuf::from("standard input"),
                false => path.into(),
            },
            source,
        };
        let read = if path == Path::new("-") {
            self.read_lines(io::stdin().lock(), path, format, defaults)
        } else {
            let file = File::open(path).map_err(failed)?;
            self.read_lines(BufReader::with_capacity(256 * 1024, file), path, format, defaults)
        };
        read.map_err(failed)
    }

    fn read_lines(
        &mut self,
        source: impl io::BufRead,
        path: &Path,
        format: Format,
        defaults: &Defaults,
    ) -> io::Result<()> {
        let mut lines = Lines::new(source);
        while let Some(line) = lines.read()? {
            if matches!(line, Ok(line) if line.trim().is_empty()) {
                continue;
            }
            let key = line.and_then(|line| read_line(line, format, defaults));
            self.lines += 1;
            match key {
                Ok((key, weight)) => self.tally.add(key, weight),
                Err(error) => {
                    self.unread += 1;
                    if self.shown.len() < MAX_SHOWN {
                        let number = lines.number();
                        self.shown.push(format!("{}:{number}: {error}", path.display()));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The request of one line, and how many it stands for.
fn read_line(line: &str, format: Format, defaults: &Defaults) -> Result<(Key, u64), LineError> {
    let format = match format {
        Format::Auto => looks_like(line),
        known => known,
    };
    let (mut key, weight) = match format {
        Format::Json => json::read(line)?,
        Format::Envoy => (envoy::read(line, defaults)?, 1),
        Format::Nginx | Format::Auto => (combined::read(line, defaults)?, 1),
    };
    absolute(&mut key);
    if key.host.is_empty() {
        key.host = defaults.host.as_deref().ok_or(LineError::NoHost)?.into();
    }
    key.port = key.port.or(defaults.port);
    key.scheme = key.scheme.or_else(|| defaults.scheme.as_deref().map(Into::into));
    Ok((key, weight))
}

fn looks_like(line: &str) -> Format {
    match line.trim_start().as_bytes().first() {
        Some(b'{') => Format::Json,
        Some(b'[') => Format::Envoy,
        _ => Format::Nginx,
    }
}

/// A target in absolute form names the host itself, and its host wins (RFC 9112 section 3.2.2).
fn absolute(key: &mut Key) {
    let mut schemes = ["http://", "https://"].into_iter();
    let Some(rest) = schemes.find_map(|scheme| key.path.strip_prefix(scheme)) else {
        return;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (host, path) = (Box::from(host), format!("{slash}{path}").into());
    key.host = host;
    key.path = path;
}

/// Method and target of a request line.
fn request_line(text: &str) -> Result<(&str, &str), LineError> {
    let (method, rest) = text.split_once(' ').ok_or(LineError::NoRequest)?;
    let (target, version) = rest.rsplit_once(' ').ok_or(LineError::NoRequest)?;
    match version.starts_with("HTTP/") && !method.is_empty() && !target.is_empty() {
        true => Ok((method, target)),
        false => Err(LineError::NoRequest),
    }
}

/// A key of a line that has no more than a request line and perhaps a host.
fn plain(method: &str, host: &str, path: &str) -> Key {
    Key {
        method: method.into(),
        host: host.into(),
        path: path.into(),
        port: None,
        scheme: None,
        headers: BTreeMap::new(),
    }
}

/// A field that the writer had nothing for is a dash.
fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !matches!(*text, "" | "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, defaults: &Defaults) -> Log {
        let mut log = Log::default();
        log.read_lines(text.as_bytes(), Path::new("access.log"), Format::Auto, defaults)
            .unwrap();
        log
    }

    fn kinds(log: Log) -> Vec<(String, u64)> {
        let text = |(key, count): (Key, u64)| (format!("{} {}{}", key.method, key.host, key.path), count);
        log.tally.into_kinds().map(text).collect()
    }

    #[test]
    fn lines_of_all_formats_are_told_apart_and_what_is_equal_is_counted() {
        let log = read(
            "{\"method\":\"GET\",\"host\":\"a.x\",\"path\":\"/a?b=1\",\"status\":200}\n\
             \n\
             1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?b=1 HTTP/1.1\" 200 2326 \"-\" \"curl\"\n\
             [2026-01-01T00:00:00.000Z] \"GET /a?b=1 HTTP/1.1\" 200 - 0 5 1 1 \"-\" \"c\" \"id\" \"a.x\" \"1.2.3.4:80\"\r\n\
             [2026-01-01T00:00:00.000Z] \"GET http://b.x/c HTTP/1.1\" 200 - 0 5 1 1 \"-\" \"c\" \"id\" \"a.x\" \"-\"",
            &Defaults {
                host: Some("a.x".into()),
                ..Defaults::default()
            },
        );
        assert_eq!((log.lines, log.unread), (4, 0), "{:?}", log.shown);
        assert_eq!(kinds(log), [("GET a.x/a?b=1".into(), 3), ("GET b.x/c".into(), 1)]);
    }

    #[test]
    fn lines_that_cannot_be_read_are_counted_and_told() {
        let long = format!("{{\"path\":\"/{}\"}}", "a".repeat(lines::MAX_LINE));
        let text = format!(
            "{{\"host\":\"a\"}}\nx\n{long}\n1.2.3.4 - - [t] \"GET /a HTTP/1.1\" 200 1 \"-\" \"-\"\n1.2.3.4 - - [t] \"-\" 400 0 \"-\" \"-\"\n"
        );
        let log = read(&text, &Defaults::default());
        assert_eq!((log.lines, log.unread), (5, 5));
        assert_eq!(
            log.shown,
            [
                "access.log:1: missing field `method` at line 1 column 12",
                "access.log:2: is not as nginx's combined writes it",
                "access.log:3: longer than 65536 bytes",
                "access.log:4: has no host; say it with --host",
                "access.log:5: has no request line",
            ]
        );
    }
}
