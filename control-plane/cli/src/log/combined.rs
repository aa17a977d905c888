//! nginx's `combined`:
//! `$remote_addr - $remote_user [$time_local] "$request" $status $bytes "$http_referer" "$http_user_agent"`.

use super::{Defaults, Key, LineError, plain, present, request_line};

const NAME: &str = "nginx's combined";

pub(super) fn read(line: &str, defaults: &Defaults) -> Result<Key, LineError> {
    // Quotes inside of values are written `\x22`, so each pair of quotes holds one of them.
    let mut parts = line.split('"');
    let head = parts.next().unwrap_or_default();
    let (request, end) = parts.next().zip(parts.next()).ok_or(LineError::Layout(NAME))?;
    let status = end.split_ascii_whitespace().next().unwrap_or_default();
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    if !head.contains('[') || !head.trim_end().ends_with(']') || !is_status {
        return Err(LineError::Layout(NAME));
    }
    let request = unescape(request);
    let (method, path) = request_line(&request)?;
    let mut key = plain(method, "", path);
    // Behind the referer and what stands between the two.
    let agent = parts.nth(2).map(unescape).filter(|_| defaults.with_user_agent);
    if let Some(agent) = agent.as_deref().and_then(present) {
        key.headers.insert("user-agent".to_owned(), agent.to_owned());
    }
    Ok(key)
}

/// Bytes that nginx writes as `\xXX`. What is no text then becomes what no request has.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some(byte) = rest.first() {
        let digit = |at: usize| char::from(*rest.get(at)?).to_digit(16);
        let escaped = match rest {
            [b'\\', b'x', ..] => digit(2).zip(digit(3)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                // Two hexadecimal digits make one byte.
                bytes.push((high << 4 | low) as u8);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*byte);
                rest = &rest[1..];
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_what_nginx_escapes() {
        let defaults = Defaults {
            with_user_agent: true,
            ..Defaults::default()
        };
        let line = r#"::1 - a\x22b [10/Oct/2000:13:55:36 -0700] "GET /a\x22b?c=\x5Cd HTTP/2.0" 200 23 "http://r/" "curl \x22x\x22""#;
        let key = read(line, &defaults).unwrap();
        assert_eq!((&*key.method, &*key.path), ("GET", "/a\"b?c=\\d"));
        assert_eq!(key.headers["user-agent"], "curl \"x\"");
        assert!(read(line, &Defaults::default()).unwrap().headers.is_empty());
        let bare = r#"::1 - - [t] "GET / HTTP/1.0" 200 23 "-" "-""#;
        assert!(read(bare, &defaults).unwrap().headers.is_empty());
    }

    #[test]
    fn what_is_no_such_line_is_said() {
        for line in [
            "",
            "GET / HTTP/1.1",
            r#"[t] "GET / HTTP/1.1""#,
            r#"a "GET / HTTP/1.1" 200 1"#,
        ] {
            let refused = read(line, &Defaults::default());
            assert_eq!(refused, Err(LineError::Layout(NAME)), "{line}");
        }
        for request in ["-", "", "GET /", r"\x16\x03\x01", "GET  HTTP/1.1"] {
            let line = format!("::1 - - [t] \"{request}\" 400 0 \"-\" \"-\"");
            assert_eq!(
                read(&line, &Defaults::default()),
                Err(LineError::NoRequest),
                "{line}"
            );
        }
    }
}
