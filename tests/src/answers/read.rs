//! A reader of HTTP/1.1 answers that takes nothing but what RFC 9112 allows a proxy to send.

use http::Method;

/// What the bytes of one connection say so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A whole answer.
    Whole(Answer),
    /// The beginning of one.
    Part,
    /// No answer that a client may be sent.
    Malformed,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status; 1xx before it are read over.
    pub status: u16,
    /// Its fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// Its body, without framing.
    pub body: Vec<u8>,
    /// Bytes of it, 1xx before it included.
    pub length: usize,
}

impl Answer {
    /// The values of the field `name`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether the server says that it will close.
    pub fn closes(&self) -> bool {
        self.values("connection")
            .any(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads the answer to a request with `method`; `closed` says that no more bytes will come.
pub fn read(bytes: &[u8], method: &Method, closed: bool) -> Seen {
    let mut rest = bytes;
    loop {
        let Some(end) = rest.windows(4).position(|end| end == b"\r\n\r\n") else {
            return Seen::Part;
        };
        let Some((status, fields)) = head(&rest[..end + 2]) else {
            return Seen::Malformed;
        };
        rest = &rest[end + 4..];
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let mut answer = Answer {
            status,
            fields,
            body: Vec::new(),
            length: 0,
        };
        let Some(whole) = body(&mut answer, &mut rest, method, closed) else {
            return Seen::Malformed;
        };
        answer.length = bytes.len() - rest.len();
        return if whole { Seen::Whole(answer) } else { Seen::Part };
    }
}

fn head(bytes: &[u8]) -> Option<(u16, Vec<(String, String)>)> {
    let text: String = bytes.iter().copied().map(char::from).collect();
    let mut lines = text.split_terminator("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?;
    let (status, _reason) = status.split_once(' ')?;
    let status = status.parse().ok().filter(|status| (100..600).contains(status))?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let named = !name.is_empty() && name.bytes().all(token);
        let written = !value.chars().any(|c| c.is_ascii_control() && c != '\t');
        if !named || !written {
            return None;
        }
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Some((status, fields))
}

/// Takes the body off `rest`; whether all of it was there, none when its framing is wrong.
fn body(answer: &mut Answer, rest: &mut &[u8], method: &Method, closed: bool) -> Option<bool> {
    let lengths: Vec<_> = answer.values("content-length").map(str::to_owned).collect();
    let codings: Vec<_> = answer.values("transfer-encoding").map(str::to_owned).collect();
    let bodiless = method == Method::HEAD || matches!(answer.status, 101 | 204 | 304);
    match (&*lengths, &*codings) {
        (_, [_, ..]) | ([_, ..], _) if matches!(answer.status, 101 | 204) => None,
        _ if bodiless => Some(true),
        ([], []) => {
            answer.body.extend_from_slice(rest);
            *rest = &[];
            Some(closed)
        }
        ([length], []) => {
            let length: usize = length.parse().ok()?;
            let there = rest.len().min(length);
            answer.body.extend_from_slice(&rest[..there]);
            *rest = &rest[there..];
            Some(there == length)
        }
        ([], [coding]) if coding == "chunked" => chunks(rest, &mut answer.body),
        _ => None,
    }
}

fn chunks(rest: &mut &[u8], body: &mut Vec<u8>) -> Option<bool> {
    loop {
        let Some(end) = rest.windows(2).position(|end| end == b"\r\n") else {
            return Some(false);
        };
        let size = str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size, 16)
            .ok()
            .filter(|_| !size.starts_with('+'))?;
        let after = &rest[end + 2..];
        if size == 0 {
            // Trailers, if any, and the empty line.
            let end = match after {
                [b'\r', b'\n', ..] => Some(2),
                _ => after
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .map(|end| end + 4),
            };
            *rest = &after[end.unwrap_or(after.len())..];
            return Some(end.is_some());
        }
        if after.len() < size + 2 {
            body.extend_from_slice(&after[..after.len().min(size)]);
            return Some(false);
        }
        body.extend_from_slice(&after[..size]);
        *rest = after[size..].strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &str, closed: bool) -> Answer {
        match read(bytes.as_bytes(), &Method::GET, closed) {
            Seen::Whole(answer) => answer,
            other => panic!("{bytes:?}: {other:?}"),
        }
    }

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let fixed = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        assert_eq!(whole(&format!("{fixed}HTTP/1.1"), false).length, fixed.len());
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\na: b\r\n\r\n";
        assert_eq!(whole(chunked, false).body, b"body");
        let open = "HTTP/1.1 200 OK\r\n\r\nbody";
        assert_eq!(whole(open, true).body, b"body");
        assert_eq!(read(open.as_bytes(), &Method::GET, false), Seen::Part);
        for end in 0..fixed.len() {
            let seen = read(&fixed.as_bytes()[..end], &Method::GET, false);
            assert_eq!(seen, Seen::Part, "{end}");
        }
    }

    #[test]
    fn what_no_proxy_may_send_is_malformed() {
        for bytes in [
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: \x01\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\na",
            "HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert_eq!(
                read(bytes.as_bytes(), &Method::GET, true),
                Seen::Malformed,
                "{bytes:?}"
            );
        }
    }
}
