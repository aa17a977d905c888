//! What a request that brought a debug token is told: the explanation of the code that answered it, and what became
//! of it, in one field of the answer. All of this is for such requests alone.

use std::net::SocketAddr;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Value, json};
use sluice_core::{ExplainBounds, Explanation, RequestView, Snapshot};
use sluice_model::Key;

use super::{Reason, exchange::Exchange};

static SLUICE_EXPLANATION: HeaderName = HeaderName::from_static("sluice-explanation");

/// What caches of operators heed before `Cache-Control`.
static TARGETED: [HeaderName; 3] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
];

/// Longest explanation, in bytes: with the rest of the head it has to pass what clients take.
const MAX_EXPLANATION: usize = 4 * 1024;
/// It is made on the thread that serves, so it looks at less than the control plane does.
const BOUNDS: ExplainBounds = ExplainBounds {
    near_misses: 20,
    examined: 256,
    tells_values: false,
};
/// What is left out until the rest fits, in this order, once there is no near miss left.
const PARTS: [&str; 7] = [
    "/steps",
    "/policy",
    "/decision/backends",
    "/mirrors",
    "/cors",
    "/listener",
    "/decision",
];

/// What is kept of a request that is to be told.
#[derive(Debug)]
pub(super) struct Told {
    /// The only host that its token is for; empty for all.
    host: Box<str>,
    /// Stands for the draw of a request without a unit, here and where the variant is chosen.
    pub(super) random: u128,
    explanation: Option<Explanation>,
    /// The one that was drawn.
    backend: Option<Key>,
}

/// What became of the request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    /// The last that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<SocketAddr>,
    attempts: u32,
}

/// Has a request told if its token holds; otherwise it is as if it had brought none.
#[cold]
pub(super) fn admit(exchange: &mut Exchange, headers: &HeaderMap) {
    let worker = exchange.worker();
    let token = worker
        .debug
        .admit(headers, worker.view.pin().history(), exchange.client());
    if token.is_none() {
        ignored(exchange);
    }
    let random = exchange.random_id();
    exchange.told = token.map(|token| {
        Box::new(Told {
            host: token.host,
            random,
            explanation: None,
            backend: None,
        })
    });
}

/// Explains the request as it will be answered: nothing of it is drawn twice.
#[cold]
pub(super) fn explain(exchange: &mut Exchange, snapshot: &Snapshot, view: &RequestView<'_>) {
    let (port, client) = (exchange.connection().port.number, exchange.client());
    let Some(told) = &mut exchange.told else {
        return;
    };
    if !told.host.is_empty() && *told.host != *view.host {
        exchange.told = None;
        return ignored(exchange);
    }
    told.host = Box::default();
    told.explanation = Some(snapshot.explain_within(port, view, client, told.random, &BOUNDS));
}

/// It is as if the request had brought nothing.
fn ignored(exchange: &Exchange) {
    let stats = &exchange.worker().stats;
    stats.count(|counters| counters.debug_ignored += 1);
}

impl Told {
    /// The backend that its request goes to.
    pub(super) fn chose(&mut self, backend: &Key) {
        self.backend = Some(backend.clone());
    }
}

/// Puts into the answer what is told of its request.
#[cold]
pub(super) fn add(headers: &mut HeaderMap, exchange: &Exchange) {
    // One that is for a host has to have had that host.
    let Some(told) = exchange.told.as_ref().filter(|told| told.host.is_empty()) else {
        return ignored(exchange);
    };
    exchange.worker().stats.count(|counters| counters.debug_told += 1);
    let (status, reason) = exchange.outcome();
    let taken = Taken {
        status,
        reason: reason.map(Reason::as_str),
        backend: told.backend.as_ref().map(Key::as_str),
        endpoint: exchange.endpoint_address(),
        attempts: exchange.attempts(),
    };
    let explanation = told.explanation.as_ref().map(serde_json::to_value);
    let mut value = explanation.and_then(Result::ok).unwrap_or_else(|| json!({}));
    value["revision"] = exchange.revision().into();
    value["taken"] = serde_json::to_value(taken).unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(fitting(value)) {
        headers.insert(&SLUICE_EXPLANATION, value);
        keep_nowhere(headers);
    }
}

/// No cache may give to others what one was told. Fields that are for some caches only would come before the one for
/// all of them (RFC 9213 section 2.2).
fn keep_nowhere(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    for name in &TARGETED {
        headers.remove(name);
    }
}

/// The value as one line of at most [`MAX_EXPLANATION`] bytes. What is left out for that is named in `omitted`.
fn fitting(mut value: Value) -> String {
    let mut parts = PARTS.iter();
    loop {
        let text = ascii(&value);
        if text.len() <= MAX_EXPLANATION {
            return text;
        }
        let misses = value.pointer_mut("/nearMisses").and_then(Value::as_array_mut);
        if let Some(misses) = misses.filter(|misses| !misses.is_empty()) {
            misses.truncate(misses.len() / 2);
            value["omitted"] = json!(["nearMisses"]);
            continue;
        }
        let Some(part) = parts.next() else {
            // What remains is of known length.
            return ascii(&json!({"revision": value["revision"], "taken": value["taken"]}));
        };
        leave_out(&mut value, part);
    }
}

fn leave_out(value: &mut Value, part: &str) {
    let (parent, name) = part.rsplit_once('/').unwrap_or(("", part));
    let members = value.pointer_mut(parent).and_then(Value::as_object_mut);
    if members.and_then(|members| members.remove(name)).is_none() {
        return;
    }
    let part = Value::from(part.trim_start_matches('/'));
    match value["omitted"].as_array_mut() {
        Some(omitted) => omitted.push(part),
        None => value["omitted"] = json!([part]),
    }
}

/// JSON in visible ASCII: what else may stand in a field is read in different ways (RFC 9110 section 5.5).
fn ascii(value: &Value) -> String {
    let text = value.to_string();
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, ' '..='~') {
            line.push(char);
            continue;
        }
        // Only texts have such, and there it can be written so (RFC 8259 section 7).
        for unit in char.encode_utf16(&mut [0; 2]) {
            line.push_str(&format!("\\u{unit:04x}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_one_line_of_visible_ascii_that_reads_the_same() {
        let value = json!({"a": "b c\"\\/\n\t\u{7f}\u{e9}\u{1f600}", "é": 1});
        let line = ascii(&value);
        assert!(line.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
        assert!(HeaderValue::try_from(line).is_ok());
    }

    #[test]
    fn no_cache_is_to_keep_what_was_told_whatever_the_upstream_says() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("cache-control", "public, max-age=600"),
            ("cache-control", "immutable"),
            ("cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("etag", "\"a\""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        keep_nowhere(&mut headers);
        let left: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.contains(&("cache-control", "no-store")), "{left:?}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_named() {
        let read = |value: Value| {
            let text = fitting(value);
            assert!(text.len() <= MAX_EXPLANATION, "{}", text.len());
            serde_json::from_str::<Value>(&text).unwrap()
        };
        let misses = |count: usize| vec![json!({"rule": "r".repeat(100)}); count];
        let short = json!({"revision": 7, "nearMisses": misses(3)});
        assert_eq!(read(short.clone()), short);
        let many = read(json!({"revision": 7, "steps": ["s"], "nearMisses": misses(200)}));
        assert_eq!(many["omitted"], json!(["nearMisses"]));
        assert_eq!(many["nearMisses"].as_array().unwrap().len(), 25);
        assert_eq!(many["steps"], json!(["s"]));
        let long = "x".repeat(5_000);
        let wordy = read(json!({"nearMisses": misses(1), "steps": long, "decision": {"outcome": "split"}}));
        assert_eq!(wordy["omitted"], json!(["nearMisses", "steps"]));
        assert_eq!(wordy["decision"]["outcome"], "split");
        let huge =
            json!({"revision": 7, "taken": {"status": 301}, "decision": {"location": long}, "else": long});
        assert_eq!(read(huge), json!({"revision": 7, "taken": {"status": 301}}));
    }
}
