//! Bodies in chunks, read the naive way: all bytes at once, each rule of RFC 9112 section 7.1 on its
//! own, bounds left out.

/// What a body is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Complete: its content, and how many bytes follow it.
    Complete(Vec<u8>, usize),
    /// Right so far.
    Open(Vec<u8>),
    Wrong,
}

pub(super) fn body(mut rest: &[u8]) -> Body {
    let mut content = Vec::new();
    loop {
        let (line, after) = match line(rest) {
            Line::Complete(line, after) => (line, after),
            Line::Open => return Body::Open(content),
            Line::Wrong => return Body::Wrong,
        };
        let Some(size) = size(line) else {
            return Body::Wrong;
        };
        if size == 0 {
            return trailers(content, after);
        }
        let here = after.len().min(usize::try_from(size).unwrap());
        content.extend_from_slice(&after[..here]);
        rest = &after[here..];
        if (here as u64) < size || rest.is_empty() || rest == b"\r" {
            return Body::Open(content);
        }
        match rest.strip_prefix(b"\r\n") {
            Some(after) => rest = after,
            None => return Body::Wrong,
        }
    }
}

enum Line<'a> {
    Complete(&'a str, &'a [u8]),
    Open,
    Wrong,
}

/// The first line, up to its line feed; bytes above ASCII are in no test.
fn line(bytes: &[u8]) -> Line<'_> {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return Line::Open;
    };
    let line = std::str::from_utf8(&bytes[..end]).unwrap();
    match line.strip_suffix('\r') {
        Some(line) => Line::Complete(line, &bytes[end + 1..]),
        None => Line::Wrong,
    }
}

fn size(line: &str) -> Option<u64> {
    let (digits, extensions) = line.split_at(line.find(';').unwrap_or(line.len()));
    let is_size = digits.len() <= 16 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
    let size = u64::from_str_radix(digits, 16).ok()?;
    (is_size && are_extensions(extensions) && size < 1 << 63).then_some(size)
}

/// Quoted values become a token first, and then everything between semicolons is a pair.
fn are_extensions(text: &str) -> bool {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '"' {
            plain.push(character);
            continue;
        }
        // A quote may only begin a value; a mark that no token has shows where it was.
        plain.push('@');
        loop {
            match characters.next() {
                Some('"') => break,
                Some('\\') if characters.next().is_some_and(is_text) => {}
                Some(character) if character != '\\' && is_text(character) => {}
                _ => return false,
            }
        }
    }
    let is_pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => is_token(name) && (value == "@" || is_token(value)),
        None => is_token(pair),
    };
    plain.is_empty() || plain.split(';').skip(1).all(is_pair)
}

fn trailers(content: Vec<u8>, mut rest: &[u8]) -> Body {
    loop {
        match line(rest) {
            Line::Complete("", after) => return Body::Complete(content, after.len()),
            Line::Complete(line, after) if is_trailer(line) => rest = after,
            Line::Complete(..) | Line::Wrong => return Body::Wrong,
            Line::Open => return Body::Open(content),
        }
    }
}

fn is_trailer(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else {
        return false;
    };
    let is_framing =
        ["content-length", "transfer-encoding", "host"].contains(&name.to_ascii_lowercase().as_str());
    is_token(name) && !is_framing && value.chars().all(is_text)
}

fn is_token(text: &str) -> bool {
    let is_part = |part: char| part.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(part);
    !text.is_empty() && text.chars().all(is_part)
}

fn is_text(character: char) -> bool {
    character == '\t' || !character.is_control()
}
