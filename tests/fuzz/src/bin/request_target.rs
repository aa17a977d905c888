//! Paths and hosts of requests: refused, or in the one normal form.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use sluice_core::{Host, PathError, normalize_host, normalize_path};

fuzz_target!(|bytes: &[u8]| run(bytes));

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match normalize_path(text) {
        Ok(path) => {
            assert_normal_path(&path);
            assert_eq!(
                matches!(path, Cow::Borrowed(_)),
                path == text,
                "{text:?} became {path:?}"
            );
            assert_eq!(path, reference(text));
        }
        Err(PathError::Relative) => assert!(!text.starts_with('/'), "{text:?}"),
        Err(PathError::Byte | PathError::Escape | PathError::Nul) => {}
    }
    if let Ok(host) = normalize_host(text) {
        assert_normal_host(&host);
    }
}

/// In the normal form already, without dot segments in any spelling, and safe to send on.
fn assert_normal_path(path: &str) {
    assert!(path.starts_with('/'));
    assert_eq!(normalize_path(path), Ok(Cow::Borrowed(path)));
    assert!(
        path.bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte))
    );
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    for (at, _) in path.match_indices('%') {
        let escape = &path[at..at + 3];
        assert_eq!(unreserved(escape), None, "{path:?}");
        assert!(
            escape != "%00" && escape == escape.to_ascii_uppercase(),
            "{path:?}"
        );
    }
}

/// The same by two passes over the whole: decode, then take out dot segments.
fn reference(raw: &str) -> String {
    let mut decoded = String::new();
    let mut rest = raw;
    while let Some(at) = rest.find('%') {
        let (escape, after) = rest[at..].split_at(3);
        decoded.push_str(&rest[..at]);
        match unreserved(escape) {
            Some(byte) => decoded.push(byte),
            None => decoded.push_str(&escape.to_ascii_uppercase()),
        }
        rest = after;
    }
    decoded.push_str(rest);

    let mut kept: Vec<&str> = Vec::new();
    for segment in decoded.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    // What ends in a dot segment is a directory.
    if decoded.ends_with("/.") || decoded.ends_with("/..") {
        kept.push("");
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

/// The character that an escape of three bytes stands for, if it needs none.
fn unreserved(escape: &str) -> Option<char> {
    let byte = u8::from_str_radix(&escape[1..], 16).ok()?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then(|| char::from(byte))
}

fn assert_normal_host(host: &Host<'_>) {
    let Host { name, port } = host;
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase())
    );
    assert!(!name.ends_with('.') && (!name.is_empty() || port.is_none()));
    let written = match port {
        Some(port) => format!("{name}:{port}"),
        None => name.to_string(),
    };
    assert_eq!(normalize_host(&written).as_ref(), Ok(host));
    let bare = Host {
        name: Cow::Borrowed(&**name),
        port: None,
    };
    assert_eq!(normalize_host(name), Ok(bare));
}
