//! Outcomes, places and witnesses in words.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::Manifest;

/// Differences that are spelt out for one class.
const MAX_DETAILS: usize = 8;

/// What happens to the requests: `/before` or `/after` of a class.
pub(in crate::command) fn outcome(class: Manifest<'_>, side: &str) -> String {
    let text = |name: &str| class.text_or_none(&format!("/{side}/verdict/{name}"));
    match text("kind").as_str() {
        "closed" => "nothing listens on the port".into(),
        "unserved" => "the TLS handshake fails".into(),
        "notFound" => "404".into(),
        "noBackends" => "500: the rule has no backend".into(),
        "redirect" => {
            let location = match side {
                "before" => class.text("/locationBefore"),
                _ => class.text("/locationAfter"),
            };
            let target = location.unwrap_or_else(|| text("scheme"));
            format!("{} to {target}", text("status"))
        }
        _ => {
            let arms = class.items(&format!("/{side}/verdict/arms"));
            let arms: Vec<_> = arms.map(arm).collect();
            match arms.is_empty() {
                true => "500: nothing has weight".into(),
                false => arms.join(", "),
            }
        }
    }
}

fn arm(arm: Manifest<'_>) -> String {
    let percent = arm
        .0
        .pointer("/percent")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    let backend = arm.text("/backend").unwrap_or_else(|| "500".into());
    let backend = backend.strip_prefix("backend/").unwrap_or(&backend);
    match arm.text("/variant") {
        Some(variant) => format!("{backend} {} (variant {variant})", share(percent)),
        None => format!("{backend} {}", share(percent)),
    }
}

/// A percentage with two decimals at most.
pub(in crate::command) fn share(percent: f64) -> String {
    let rounded = (percent * 100.0).round() / 100.0;
    format!("{rounded} %")
}

/// A place: host and path, and what else is asked of requests.
pub(in crate::command) fn place(place: Manifest<'_>) -> String {
    let mut text = match place.text("/method") {
        Some(method) => format!("{method} "),
        None => String::new(),
    };
    text.push_str(&place.text_or_none("/host"));
    let path = place.text_or_none("/path/value");
    match place.text_or_none("/path/kind").as_str() {
        "prefix" => text.push_str(&format!("{}/*", path.trim_end_matches('/'))),
        "regex" => text.push_str(&format!(" ~{path}")),
        _ => text.push_str(&path),
    }
    for condition in place.items("/headers").chain(place.items("/query")) {
        text.push_str(&format!(" [{}]", condition.0.as_str().unwrap_or_default()));
    }
    text
}

/// The witness, as it would be typed for `sluice explain` or curl.
pub(in crate::command) fn witness(witness: Manifest<'_>) -> String {
    let text = |pointer: &str| witness.text_or_none(pointer);
    let (scheme, port) = (text("/scheme"), text("/port"));
    let port = match (&*scheme, &*port) {
        ("http", "80") | ("https", "443") => String::new(),
        (_, port) => format!(":{port}"),
    };
    let query = witness
        .text("/query")
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut line = format!(
        "{} {scheme}://{}{port}{}{query}",
        text("/method"),
        text("/host"),
        text("/path")
    );
    for header in witness.items("/headers") {
        let word = |index: usize| header.0.get(index).and_then(Value::as_str).unwrap_or_default();
        line.push_str(&format!(" -H '{}: {}'", word(0), word(1)));
    }
    line
}

/// What else is different, member by member: what [`outcome`] does not say.
pub(in crate::command) fn details(class: Manifest<'_>) -> Vec<String> {
    let side = |name: &str| {
        let mut found = BTreeMap::new();
        leaves("", class.0.get(name).unwrap_or(&Value::Null), &mut found);
        found
    };
    let (before, after) = (side("before"), side("after"));
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let differs = |name: &&&String| before.get(**name) != after.get(**name);
    let line = |name: &String| {
        let value =
            |side: &BTreeMap<String, String>| side.get(name).cloned().unwrap_or_else(|| "none".into());
        format!("{name}: {} -> {}", value(&before), value(&after))
    };
    let is_same_kind = class.0.pointer("/before/verdict/kind") == class.0.pointer("/after/verdict/kind");
    let names = names.iter().filter(differs).filter(|_| is_same_kind);
    names.take(MAX_DETAILS).map(|name| line(name)).collect()
}

/// Every member that is not itself a collection of members, under its path. Arms go by their backends.
fn leaves(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    // The other lines say these.
                    "kind" | "backend" | "percent" | "variant" => {}
                    "verdict" => leaves(path, member, found),
                    "arms" => arms(member, found),
                    _ => leaves(&joined(path, name), member, found),
                }
            }
        }
        other => {
            found.insert(path.to_owned(), other.to_string());
        }
    }
}

fn arms(arms: &Value, found: &mut BTreeMap<String, String>) {
    for one in arms.as_array().into_iter().flatten() {
        let backend = Manifest(one).text("/backend").unwrap_or_else(|| "500".into());
        leaves(&backend, one, found);
    }
}

fn joined(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path} {name}"),
    }
}
