//! A concrete request that shows a difference.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::RequestView;
use crate::request::CREDENTIALS;

/// What is escaped in names and values of a query: all but unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request that really has the two outcomes of its class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// The port that the Gateway names.
    pub port: u16,
    /// `http` or `https`: what the port speaks after the change, or before, if it is closed then.
    pub scheme: &'static str,
    /// The method.
    pub method: String,
    /// Lower case, without port.
    pub host: String,
    /// Normalised path.
    pub path: String,
    /// What follows the `?`, encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Names, lower case, with their values; each name once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

impl Witness {
    /// The same without the values of credentials, for those who may not read the rules that ask for them.
    pub fn without_credentials(mut self) -> Self {
        let is_credential = |name: &str| CREDENTIALS.iter().any(|credential| credential == name);
        for (name, value) in &mut self.headers {
            if is_credential(name) {
                "a-certain-value".clone_into(value);
            }
        }
        self
    }

    /// The request as text: `GET http://shop.example:8080/a?b=c`, without its headers.
    pub fn url(&self) -> String {
        let port = match (self.scheme, self.port) {
            ("http", 80) | ("https", 443) => String::new(),
            (_, port) => format!(":{port}"),
        };
        let query = self
            .query
            .as_deref()
            .map_or_else(String::new, |query| format!("?{query}"));
        format!("{}://{}{port}{}{query}", self.scheme, self.host, self.path)
    }

    /// Asks `ask` about the request in the form that snapshots route. `None` only for a value that no
    /// header can have.
    pub fn with_view<T>(&self, ask: impl FnOnce(&RequestView<'_>) -> T) -> Option<T> {
        let method = Method::from_bytes(self.method.as_bytes()).ok()?;
        let headers = headers(&self.headers)?;
        Some(ask(&RequestView {
            method: &method,
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &headers,
        }))
    }
}

fn headers(list: &[(String, String)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(list.len());
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value).ok()?);
    }
    Some(headers)
}

/// The query of these parameters; `None` without any.
pub(crate) fn query(parameters: &[(&str, &str)]) -> Option<String> {
    let pair = |(name, value): &(&str, &str)| {
        format!(
            "{}={}",
            utf8_percent_encode(name, ESCAPED),
            utf8_percent_encode(value, ESCAPED)
        )
    };
    let pairs: Vec<String> = parameters.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_back_as_it_was_however_it_is_written() {
        let witness = Witness {
            port: 8080,
            scheme: "http",
            method: "GET".into(),
            host: "shop".into(),
            path: "/a".into(),
            query: query(&[("a b", "1&2=+\u{e4}"), ("c", "")]),
            headers: vec![("x-a".into(), "1".into())],
        };
        let read = |view: &RequestView<'_>| {
            let header = view.header(&HeaderName::from_static("x-a"));
            [view.query("a b"), view.query("c"), header].map(|value| value.map(String::from))
        };
        let texts = ["1&2=+\u{e4}", "", "1"].map(|text| Some(text.to_owned()));
        assert_eq!(witness.with_view(read), Some(texts));
        assert_eq!(witness.url(), "http://shop:8080/a?a%20b=1%262%3D%2B%C3%A4&c=");
        assert_eq!(query(&[]), None);
    }
}
