//! Envoy's default: time in brackets, the request line in quotes, numbers, and in quotes again the forwarded
//! addresses, the user agent, the request's id, the authority and the upstream.

use super::{Defaults, Key, LineError, plain, present, request_line};

const NAME: &str = "Envoy";

pub(super) fn read(line: &str, defaults: &Defaults) -> Result<Key, LineError> {
    let layout = || LineError::Layout(NAME);
    let rest = line.trim_end().strip_prefix('[').ok_or_else(layout)?;
    let (_, rest) = rest.split_once("] \"").ok_or_else(layout)?;
    let rest = rest.strip_suffix('"').ok_or_else(layout)?;
    // Nothing is escaped. What a client chooses freely lies between fields that it does not choose, so both
    // ends are read from outside.
    let (rest, _upstream) = rest.rsplit_once("\" \"").ok_or_else(layout)?;
    let (rest, authority) = rest.rsplit_once("\" \"").ok_or_else(layout)?;
    let (rest, _id) = rest.rsplit_once("\" \"").ok_or_else(layout)?;
    let (request, rest) = rest.split_once("\" ").ok_or_else(layout)?;
    let (method, path) = request_line(request)?;
    let mut key = plain(method, present(authority).unwrap_or_default(), path);
    if defaults.with_user_agent {
        let (_, quoted) = rest.split_once('"').ok_or_else(layout)?;
        let (_, agent) = quoted.split_once("\" \"").ok_or_else(layout)?;
        let agent = present(agent).map(ToOwned::to_owned);
        key.headers
            .extend(agent.map(|agent| ("user-agent".to_owned(), agent)));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#;

    #[test]
    fn the_line_of_envoys_documentation_is_read() {
        let defaults = Defaults {
            with_user_agent: true,
            ..Defaults::default()
        };
        let key = read(LINE, &defaults).unwrap();
        assert_eq!(
            (&*key.method, &*key.host, &*key.path),
            ("POST", "locations", "/api/v1/locations")
        );
        assert_eq!(key.headers["user-agent"], "nsq2http");
        assert!(read(LINE, &Defaults::default()).unwrap().headers.is_empty());
    }

    #[test]
    fn a_user_agent_cannot_forge_the_other_fields() {
        let line = LINE.replace("nsq2http", r#"x" "id" "evil" "y"#);
        let key = read(&line, &Defaults::default()).unwrap();
        assert_eq!((&*key.host, &*key.path), ("locations", "/api/v1/locations"));
    }

    #[test]
    fn what_is_no_such_line_is_said() {
        for line in ["", "[t] x", r#"[t] "GET / HTTP/1.1" 200"#] {
            assert_eq!(
                read(line, &Defaults::default()),
                Err(LineError::Layout(NAME)),
                "{line}"
            );
        }
        let line = LINE.replace("POST /api/v1/locations HTTP/2", "- - -");
        assert_eq!(read(&line, &Defaults::default()), Err(LineError::NoRequest));
    }
}
