//! Messages that refer to nothing, of few values: the last of each list is wrong, and rarely drawn.

use arbitrary::{Error, Result, Unstructured};
use sluice_proto::v1;

/// Ports of listeners; the last is of none.
pub(crate) const PORTS: [u16; 3] = [80, 81, 82];
/// Of listeners, attachments and redirects; the last is wrong.
pub(crate) const HOSTNAMES: [&str; 7] = ["", "a.x.com", "*.x.com", "*.b.x.com", "x.com", "other.org", "*"];
/// The last is wrong.
const PATHS: [&str; 8] = ["/", "/a", "/a/b", "/a/", "/b", "//", "/b/a/a", "a"];
/// The last is wrong; as a value it is as good as any other.
const PATTERNS: [&str; 5] = ["/a.*", "/(a|b)/?", "[01]", ".*", "("];
/// Of headers, query parameters and cookies; the last is no header's.
pub(crate) const NAMES: [&str; 4] = ["x-a", "x-b", "q", "p q"];
/// Of addresses; the last is wrong.
const ADDRESSES: [&str; 4] = ["127.0.0.1", "10.0.0.1", "::1", "localhost"];
/// Of certificates; the last is wrong.
pub(crate) const SUBJECTS: [&str; 3] = ["a.x.com", "spiffe://x.com/a", "*.x.com"];
/// Of pages; the last is wrong.
const ORIGINS: [&str; 4] = ["*", "https://a.x.com", "https://*.x.com:8443", "a.x.com"];
pub(crate) const WEIGHTS: [u32; 5] = [1, 5, 0, 1_000_000, u32::MAX];
/// Milliseconds of timeouts and ejections.
pub(crate) const MILLIS: [u64; 4] = [0, 1, 30_000, u64::MAX];

/// One time in 256, as most changes take many such draws; never once the bytes have run out.
pub(crate) fn rarely(steer: &mut Unstructured<'_>) -> Result<bool> {
    Ok(steer.arbitrary::<u8>()? == u8::MAX)
}

/// One of `all`; the last, which is wrong, rarely.
pub(crate) fn good<T: Copy>(all: &[T], steer: &mut Unstructured<'_>) -> Result<T> {
    match rarely(steer)? {
        true => all.last().copied().ok_or(Error::EmptyChoose),
        false => steer.choose(&all[..all.len() - 1]).copied(),
    }
}

/// A short list of at least `least`.
pub(crate) fn list<T>(
    steer: &mut Unstructured<'_>,
    least: usize,
    mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let len = steer.int_in_range(least..=least + 1)?;
    (0..len).map(|_| one(steer)).collect()
}

pub(crate) fn listener(steer: &mut Unstructured<'_>) -> Result<v1::Listener> {
    let port = match rarely(steer)? {
        true => *steer.choose(&[0, 65_536])?,
        false => u32::from(*steer.choose(&PORTS[..2])?),
    };
    let hostname = good(&HOSTNAMES, steer)?.into();
    let protocol = i32::from(!rarely(steer)?);
    Ok(v1::Listener {
        port,
        hostname,
        protocol,
        ..Default::default()
    })
}

pub(crate) fn backend(steer: &mut Unstructured<'_>) -> Result<v1::Backend> {
    let outlier = v1::Outlier {
        failures: steer.int_in_range(0..=2)?,
        base_ejection_ms: *steer.choose(&MILLIS)?,
        max_ejection_ms: *steer.choose(&MILLIS)?,
        max_ejected_percent: *steer.choose(&[50, 0, 100, u32::MAX])?,
    };
    Ok(v1::Backend {
        protocol: good(&[1, 2, 3], steer)?,
        connect_timeout_ms: *steer.choose(&MILLIS)?,
        outlier: steer.arbitrary::<bool>()?.then_some(outlier),
        tls: None,
    })
}

/// Bytes that no one parses here; none at all is wrong.
fn opaque(steer: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(good(&["der", "other", ""], steer)?.into())
}

pub(crate) fn certificate(steer: &mut Unstructured<'_>) -> Result<v1::Certificate> {
    Ok(v1::Certificate {
        chain: list(steer, 1, opaque)?,
        private_key: opaque(steer)?,
        ocsp: opaque(steer)?,
    })
}

pub(crate) fn trust(steer: &mut Unstructured<'_>) -> Result<v1::Trust> {
    Ok(v1::Trust {
        roots: list(steer, 1, opaque)?,
        crls: list(steer, 0, opaque)?,
    })
}

pub(crate) fn tickets(steer: &mut Unstructured<'_>) -> Result<v1::Tickets> {
    let key = |steer: &mut Unstructured<'_>| Ok(vec![steer.arbitrary()?; good(&[32, 31], steer)?]);
    Ok(v1::Tickets {
        keys: list(steer, 1, key)?,
    })
}

pub(crate) fn cors(steer: &mut Unstructured<'_>) -> Result<v1::Cors> {
    let name = |steer: &mut Unstructured<'_>| Ok(good(&["*", "x-a", "PUT", "p q"], steer)?.into());
    Ok(v1::Cors {
        allow_origins: list(steer, 0, |steer| Ok(good(&ORIGINS, steer)?.into()))?,
        allow_credentials: steer.arbitrary()?,
        allow_methods: list(steer, 0, name)?,
        allow_headers: list(steer, 0, name)?,
        expose_headers: list(steer, 0, name)?,
        max_age_s: steer.int_in_range(0..=2)?,
    })
}

pub(crate) fn endpoints(steer: &mut Unstructured<'_>) -> Result<v1::Endpoints> {
    let endpoints = list(steer, 1, |steer| {
        Ok(v1::Endpoint {
            address: good(&ADDRESSES, steer)?.into(),
            port: good(&[80, 8080, 0], steer)?,
            weight: good(&[1, 2, 0], steer)?,
        })
    })?;
    Ok(v1::Endpoints { endpoints })
}

pub(crate) fn one_match(steer: &mut Unstructured<'_>) -> Result<v1::Match> {
    use v1::path_match::Kind;
    let kind = *steer.choose(&[Kind::Prefix, Kind::Exact, Kind::Regex])?;
    let value = match kind {
        Kind::Regex => good(&PATTERNS, steer)?,
        Kind::Exact | Kind::Prefix | Kind::Unspecified => good(&PATHS, steer)?,
    };
    let path = v1::PathMatch {
        kind: kind.into(),
        value: value.into(),
    };
    Ok(v1::Match {
        path: steer.arbitrary::<bool>()?.then_some(path),
        method: steer.choose(&["", "GET", "POST"])?.to_string(),
        headers: list(steer, 0, value_match)?,
        query: list(steer, 0, value_match)?,
    })
}

fn value_match(steer: &mut Unstructured<'_>) -> Result<v1::ValueMatch> {
    let regex = steer.arbitrary()?;
    let value = if regex {
        good(&PATTERNS, steer)?
    } else {
        *steer.choose(&["1", "0", "7"])?
    };
    Ok(v1::ValueMatch {
        name: good(&NAMES, steer)?.into(),
        value: value.into(),
        regex,
    })
}

pub(crate) fn redirect(steer: &mut Unstructured<'_>) -> Result<v1::Redirect> {
    Ok(v1::Redirect {
        scheme: good(&["", "http", "https", "ftp"], steer)?.into(),
        hostname: good(&HOSTNAMES, steer)?.into(),
        path: path_edit(steer)?,
        port: good(&[0, 80, 8443, 65_536], steer)?,
        status: good(&[302, 301, 308, 200], steer)?,
    })
}

pub(crate) fn rewrite(steer: &mut Unstructured<'_>) -> Result<v1::Rewrite> {
    Ok(v1::Rewrite {
        hostname: good(&HOSTNAMES, steer)?.into(),
        path: path_edit(steer)?,
    })
}

fn path_edit(steer: &mut Unstructured<'_>) -> Result<Option<v1::PathEdit>> {
    use v1::path_edit::Edit;
    let path: String = good(&PATHS, steer)?.into();
    let edit = if steer.arbitrary()? {
        Edit::Full(path)
    } else {
        Edit::Prefix(path)
    };
    Ok(steer
        .arbitrary::<bool>()?
        .then_some(v1::PathEdit { edit: Some(edit) }))
}

pub(crate) fn header_edit(steer: &mut Unstructured<'_>) -> Result<v1::HeaderEdit> {
    let header = |steer: &mut Unstructured<'_>| {
        let value = good(&["1", "", "\n"], steer)?.into();
        Ok(v1::Header {
            name: good(&NAMES, steer)?.into(),
            value,
        })
    };
    Ok(v1::HeaderEdit {
        set: list(steer, 0, header)?,
        add: list(steer, 0, header)?,
        remove: list(steer, 0, |steer| Ok(good(&NAMES, steer)?.into()))?,
    })
}
