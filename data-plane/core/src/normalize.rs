//! One spelling for every path (RFC 3986 section 6.2.2), found once, before anything is matched.
//!
//! Escapes of unreserved characters are decoded, all others kept with capital digits, dot segments
//! resolved after that. `//` and `%2F` stay: upstreams tell them apart. What could mean one thing
//! here and another upstream is refused: raw control bytes, spaces and other bytes that no URI has
//! between `/` and `?` and that some servers take for something else, broken escapes, and `%00`.

use std::borrow::Cow;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with `/`.
    #[error("the path does not start with '/'")]
    Relative,
    /// A control byte, a space, a byte past ASCII, `\`, `#` or `?`, unescaped.
    #[error("the path has a byte that must be escaped")]
    Byte,
    /// A `%` without two hexadecimal digits after it.
    #[error("the path has a '%' that starts no escape")]
    Escape,
    /// An escaped NUL.
    #[error("the path has an escaped NUL")]
    Nul,
}

/// The normal form of a request's path, without its query. Borrowed if it is in that form already.
///
/// `*` (of OPTIONS) is the caller's.
///
/// # Errors
/// Paths that must not reach an upstream; see [`PathError`].
#[inline]
pub fn normalize_path(raw: &str) -> Result<Cow<'_, str>, PathError> {
    match is_normal(raw.as_bytes())? {
        true => Ok(Cow::Borrowed(raw)),
        false => rebuild(raw).map(Cow::Owned),
    }
}

/// What has to be looked at in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Percent,
    Refused,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let mut byte = 0x21;
    while byte < 0x7F {
        classes[byte] = match byte as u8 {
            b'.' => Class::Dot,
            b'%' => Class::Percent,
            b'\\' | b'#' | b'?' => Class::Refused,
            _ => Class::Plain,
        };
        byte += 1;
    }
    classes
};

/// Whether nothing is to be done. May find errors first, or leave them to [`rebuild`].
#[inline]
fn is_normal(raw: &[u8]) -> Result<bool, PathError> {
    if raw.first() != Some(&b'/') {
        return Err(PathError::Relative);
    }
    let mut at = 1;
    while let Some(byte) = raw.get(at) {
        match CLASSES[usize::from(*byte)] {
            Class::Plain => at += 1,
            Class::Dot if raw[at - 1] == b'/' && starts_dot_segment(&raw[at..]) => return Ok(false),
            Class::Dot => at += 1,
            Class::Percent => match escape(&raw[at..])? {
                Escape { decoded, .. } if is_unreserved(decoded) => return Ok(false),
                Escape { digits, .. } if digits.iter().any(u8::is_ascii_lowercase) => return Ok(false),
                Escape { .. } => at += 3,
            },
            Class::Refused => return Err(PathError::Byte),
        }
    }
    Ok(true)
}

/// Whether the segment at the start of `rest`, which begins with a dot, is `.` or `..`.
fn starts_dot_segment(rest: &[u8]) -> bool {
    matches!(rest, b"." | b".." | [b'.', b'/', ..] | [b'.', b'.', b'/', ..])
}

#[cold]
fn rebuild(raw: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(raw.len());
    let mut segments = raw.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        out.push('/');
        let start = out.len();
        decode_segment(segment.as_bytes(), &mut out)?;
        // RFC 3986 section 5.2.4, for paths that start with a slash. The slash of `.` or of what
        // `..` takes away stays only at the end, where it says "directory".
        let keep = match &out[start..] {
            "." => start - 1,
            ".." => out[..start - 1].rfind('/').unwrap_or(0),
            _ => continue,
        };
        out.truncate(keep);
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    Ok(out)
}

fn decode_segment(mut rest: &[u8], out: &mut String) -> Result<(), PathError> {
    while let Some(byte) = rest.first() {
        rest = match CLASSES[usize::from(*byte)] {
            Class::Plain | Class::Dot => {
                out.push(char::from(*byte));
                &rest[1..]
            }
            Class::Percent => {
                let Escape { decoded, digits } = escape(rest)?;
                if is_unreserved(decoded) {
                    out.push(char::from(decoded));
                } else {
                    out.push('%');
                    out.extend(digits.map(|digit| char::from(digit.to_ascii_uppercase())));
                }
                &rest[3..]
            }
            Class::Refused => return Err(PathError::Byte),
        };
    }
    Ok(())
}

struct Escape {
    decoded: u8,
    digits: [u8; 2],
}

/// The escape at the start of `rest`, which begins with `%`.
fn escape(rest: &[u8]) -> Result<Escape, PathError> {
    let [_, high, low, ..] = rest else {
        return Err(PathError::Escape);
    };
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(PathError::Escape);
    // Two hexadecimal digits make one byte.
    match (digit(*high)? << 4 | digit(*low)?) as u8 {
        0 => Err(PathError::Nul),
        decoded => Ok(Escape {
            decoded,
            digits: [*high, *low],
        }),
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn assert_becomes(raw: &str, normal: &str) {
        let found = normalize_path(raw).unwrap();
        assert_eq!(found, normal, "from {raw}");
        assert_eq!(matches!(found, Cow::Borrowed(_)), raw == normal, "{raw}");
    }

    #[test]
    fn a_normal_path_is_borrowed_as_it_is() {
        for path in [
            "/",
            "/a/b",
            "/a/",
            "//a///b//",
            "/a%2Fb",
            "/%C3%A9",
            "/...",
            "/.a/..b/c.",
            "/a./b../c",
            "/a;b=c,d@e:f!$&'()*+",
            "/{a}|[b]\"<c>^`",
        ] {
            assert_becomes(path, path);
        }
    }

    #[test]
    fn unreserved_characters_are_decoded_and_other_escapes_get_capitals() {
        assert_becomes("/%61%7E%2d%5f%39", "/a~-_9");
        assert_becomes("/a%2fb%c3%A9", "/a%2Fb%C3%A9");
        assert_becomes("/%2541", "/%2541");
        assert_becomes("/%25%34%31", "/%2541");
        assert_becomes("/%3f%23%5c%20%0a", "/%3F%23%5C%20%0A");
    }

    #[test]
    fn dot_segments_are_resolved() {
        // The examples of RFC 3986 section 5.2.4, and the edges.
        assert_becomes("/a/b/c/./../../g", "/a/g");
        for (raw, normal) in [
            ("/.", "/"),
            ("/..", "/"),
            ("/./", "/"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/a//../b", "/a/b"),
            ("/a//..", "/a/"),
            ("/..//a", "//a"),
            ("/a/./b", "/a/b"),
        ] {
            assert_becomes(raw, normal);
        }
    }

    #[test]
    fn an_escaped_dot_is_a_dot() {
        assert_becomes("/a/%2e%2E/b", "/b");
        assert_becomes("/a/.%2e/b", "/b");
        assert_becomes("/a/%2e", "/a/");
        assert_becomes("/a%2eb", "/a.b");
    }

    #[test]
    fn an_escaped_slash_ends_no_segment() {
        assert_becomes("/a/..%2Fb", "/a/..%2Fb");
        assert_becomes("/a/%2e%2e%2fb", "/a/..%2Fb");
        assert_becomes("/a%2F../b", "/a%2F../b");
    }

    #[test]
    fn what_could_be_read_differently_upstream_is_refused() {
        for (raw, error) in [
            ("", PathError::Relative),
            ("a", PathError::Relative),
            ("*", PathError::Relative),
            ("%2Fa", PathError::Relative),
            ("/a b", PathError::Byte),
            ("/a\tb", PathError::Byte),
            ("/a\r\nb", PathError::Byte),
            ("/\0", PathError::Byte),
            ("/\u{7f}", PathError::Byte),
            ("/é", PathError::Byte),
            ("/a\\b", PathError::Byte),
            ("/a#b", PathError::Byte),
            ("/a?b", PathError::Byte),
            ("/%", PathError::Escape),
            ("/%4", PathError::Escape),
            ("/%4g", PathError::Escape),
            ("/%+1", PathError::Escape),
            ("/%%41", PathError::Escape),
            ("/a/%00", PathError::Nul),
        ] {
            assert_eq!(normalize_path(raw), Err(error), "{raw:?}");
            // Also where the form has been changed before the error is reached.
            if let Some(rest) = raw.strip_prefix('/') {
                assert_eq!(normalize_path(&format!("/./{rest}")), Err(error), "{raw:?}");
            }
        }
    }

    /// The same in the plainest way: decode all, then the algorithm of section 5.2.4 as it is written.
    fn by_the_book(raw: &str) -> String {
        let mut decoded = String::new();
        let mut rest = raw;
        while let Some(byte) = rest.chars().next() {
            let (take, text) = match byte {
                '%' => match char::from(u8::from_str_radix(&rest[1..3], 16).unwrap()) {
                    c if c.is_ascii_alphanumeric() || "-._~".contains(c) => (3, c.to_string()),
                    _ => (3, rest[..3].to_ascii_uppercase()),
                },
                c => (1, c.to_string()),
            };
            decoded.push_str(&text);
            rest = &rest[take..];
        }
        let (mut input, mut output) = (decoded, String::new());
        while !input.is_empty() {
            if input.starts_with("/./") || input == "/." {
                input = format!("/{}", input.get(3..).unwrap_or(""));
            } else if input.starts_with("/../") || input == "/.." {
                input = format!("/{}", input.get(4..).unwrap_or(""));
                output.truncate(output.rfind('/').unwrap_or(0));
            } else {
                let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
                output.extend(input.drain(..end));
            }
        }
        output
    }

    /// Paths made of what matters: dots, slashes, escapes of both kinds.
    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec("/|/|\\.|\\.|%2[eEfF]|%4[1f]|%[cC]3|[a-z~:]|\\.\\./", 0..24)
            .prop_map(|parts| format!("/{}", parts.concat()))
    }

    proptest! {
        #[test]
        fn paths_become_what_rfc_3986_says(raw in path()) {
            let normal = normalize_path(&raw).unwrap();
            prop_assert_eq!(&*normal, by_the_book(&raw));
        }

        #[test]
        fn a_normal_path_stays_and_cannot_climb(raw in path()) {
            let normal = normalize_path(&raw).unwrap().into_owned();
            prop_assert!(normal.starts_with('/'));
            prop_assert!(normal.split('/').all(|segment| !matches!(segment, "." | "..")));
            prop_assert!(matches!(normalize_path(&normal), Ok(Cow::Borrowed(again)) if again == normal));
        }

        #[test]
        fn any_text_is_refused_or_becomes_visible_ascii(raw in any::<String>()) {
            let paths = [raw.clone(), format!("/{raw}")];
            for normal in paths.iter().filter_map(|path| normalize_path(path).ok()) {
                prop_assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(normal.len() <= raw.len() + 1);
            }
        }
    }
}
