//! What a replay says, in words: one reading for the terminal and for Markdown.

use serde_json::Value;

use crate::command::plan::outcome::{details, outcome, share, witness};
use crate::manifest::Manifest;
use crate::time;

/// Classes that are shown; `-o json` has more.
const MAX_CLASSES: usize = 25;

/// What is said of a replay.
#[derive(Debug)]
pub(super) struct Reading {
    /// The part of the requests that changes, in a sentence.
    pub(super) headline: String,
    /// What else of it changes, in sentences; empty where nothing does.
    pub(super) parts: Vec<String>,
    /// The most important first.
    pub(super) classes: Vec<Class>,
    /// Classes that are not shown.
    pub(super) omitted: usize,
    /// What is not known, and what was assumed: sentences.
    pub(super) notes: Vec<String>,
}

/// Requests of one change.
#[derive(Debug)]
pub(super) struct Class {
    /// What of their outcome changes.
    pub(super) what: String,
    /// How many they are.
    pub(super) requests: String,
    pub(super) before: String,
    pub(super) after: String,
    /// What else is different.
    pub(super) details: Vec<String>,
    /// Requests, and how often they were made.
    pub(super) examples: Vec<String>,
}

impl Reading {
    pub(super) fn of(answer: &Value) -> Self {
        let answer = Manifest(answer);
        let number = |pointer: &str| number(answer, pointer);
        let judged = number("/traffic/judged");
        let target = percent(answer, "/traffic/targetPercent");
        let headline = match number("/traffic/changed") {
            _ if judged == 0 => "No request could be judged.".to_owned(),
            0 => format!("Nothing changes for {} requests.", grouped(judged)),
            _ => format!("{target} of {} requests change target.", grouped(judged)),
        };
        let mut parts = Vec::new();
        if number("/traffic/status") > 0 {
            let status = percent(answer, "/traffic/statusPercent");
            parts.push(format!("{status} change status."));
        }
        if number("/traffic/other") > 0 {
            let other = percent(answer, "/traffic/otherPercent");
            parts.push(format!("{other} keep their target and change in something else."));
        }
        let classes: Vec<_> = answer
            .items("/traffic/classes")
            .take(MAX_CLASSES)
            .map(class)
            .collect();
        let all = usize::try_from(number("/traffic/classCount")).unwrap_or(usize::MAX);
        Self {
            headline,
            parts,
            omitted: all.saturating_sub(classes.len()),
            classes,
            notes: notes(answer),
        }
    }
}

fn class(found: Manifest<'_>) -> Class {
    let mut lifted = found.0.clone();
    // A plan has the locations beside the outcomes; here each example has its own.
    for name in ["locationBefore", "locationAfter"] {
        if let Some(location) = found.0.pointer(&format!("/examples/0/{name}")) {
            lifted[name] = location.clone();
        }
    }
    let lifted = Manifest(&lifted);
    let facets: Vec<_> = found.items("/facets").filter_map(|one| one.0.as_str()).collect();
    let example = |one: Manifest<'_>| {
        let times = number(one, "/requests");
        format!("{} ({})", witness(one), counted(times, "request"))
    };
    Class {
        what: facets.join(", "),
        requests: format!(
            "{} ({})",
            counted(number(found, "/requests"), "request"),
            percent(found, "/percent")
        ),
        before: outcome(lifted, "before"),
        after: outcome(lifted, "after"),
        details: details(lifted),
        examples: found.items("/examples").map(example).collect(),
    }
}

fn notes(answer: Manifest<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let count = |pointer: &str| number(answer, pointer);
    if answer.0.get("sampled").is_some() {
        sampled(answer, &mut notes);
    }
    if let Some(sampled) = answer.0.pointer("/log/sampled").and_then(Value::as_u64) {
        let error = answer.0.pointer("/log/errorPercent").and_then(Value::as_f64);
        notes.push(format!(
            "There are more kinds of requests than are kept: this is of a sample of {}, and shares are right within {:.2} points (95 %).",
            grouped(sampled),
            error.unwrap_or_default()
        ));
    }
    if count("/log/unread") > 0 {
        let shown = texts(answer, "/log/unreadExamples").join("; ");
        let (unread, lines) = (count("/log/unread"), count("/log/lines"));
        notes.push(format!(
            "Not read: {} of {} lines: {shown}",
            grouped(unread),
            grouped(lines)
        ));
    }
    if count("/malformed/requests") > 0 {
        let shown = texts(answer, "/malformed/examples").join("; ");
        let requests = counted(count("/malformed/requests"), "request");
        notes.push(format!(
            "Not counted: {requests} that no proxy would have routed: {shown}"
        ));
    }
    if count("/traffic/notJudged/requests") > 0 {
        let requests = counted(count("/traffic/notJudged/requests"), "request");
        let hidden = named(answer, "/traffic/notJudged/hidden");
        let beyond = count("/traffic/notJudged/beyond");
        let mut reasons = Vec::new();
        if !hidden.is_empty() {
            reasons.push(format!(
                "a rule asks for a header of which only a hash is known, or not even that ({hidden})"
            ));
        }
        if beyond > 0 {
            reasons.push(format!("{} are past the bound of classes", grouped(beyond)));
        }
        notes.push(format!("Not judged: {requests}: {}", reasons.join("; ")));
    }
    if count("/traffic/portNotRecorded") > 0 {
        let requests = counted(count("/traffic/portNotRecorded"), "request");
        notes.push(format!(
            "{requests} came in on one of several ports, and the log does not say on which: judged where something changes for them, if it does anywhere. --port or --scheme says it."
        ));
    }
    if count("/traffic/assumedRequests") > 0 {
        let requests = counted(count("/traffic/assumedRequests"), "request");
        let names = named(answer, "/traffic/assumed");
        notes.push(format!(
            "Judged as if they had not had what rules on their path ask for and the log does not have: {requests} ({names})"
        ));
    }
    for warning in answer.items("/warnings") {
        let word = |name: &str| warning.text_or_none(name);
        notes.push(format!(
            "{} {}: {}",
            word("/resource"),
            word("/field"),
            word("/message")
        ));
    }
    notes
}

/// What is to be said of samples.
fn sampled(answer: Manifest<'_>, notes: &mut Vec<String>) {
    let count = |pointer: &str| number(answer, pointer);
    let age = time::age(count("/sampled/fromMs"), count("/sampled/toMs"));
    notes.push(format!(
        "Sampled by proxies in the last {age}, each standing for those like it, so shares are estimates: {}.",
        margin(answer)
    ));
    let views: Vec<_> = answer.items("/sampled/views").collect();
    for view in views.iter().filter(|_| views.len() > 1) {
        let selectors = texts(*view, "/selectors").join("; ");
        let name = if selectors.is_empty() {
            "no selector"
        } else {
            &selectors
        };
        notes.push(format!(
            "Proxies that match {name}: {} of {} change target (95 %: {}).",
            percent(*view, "/targetPercent"),
            counted(number(*view, "/judged"), "request"),
            interval(*view, "/targetInterval")
        ));
    }
    if count("/sampled/viewsOmitted") > 0 {
        let omitted = count("/sampled/viewsOmitted");
        let requests = counted(count("/sampled/requestsOmitted"), "request");
        notes.push(format!(
            "Not looked at: {omitted} further combinations of proxy selectors, with {requests}."
        ));
    }
    if count("/sampled/leftOut") > 0 {
        let requests = counted(count("/sampled/leftOut"), "request");
        notes.push(format!("Not counted: {requests} that were too long to be kept."));
    }
    if count("/sampled/unread") > 0 {
        let kinds = counted(count("/sampled/unread"), "kind");
        notes.push(format!("Not read: {kinds} of what is stored."));
    }
}

/// Within what the shares of samples lie. An older server does not say it.
fn margin(answer: Manifest<'_>) -> String {
    let Some(size) = answer.0.pointer("/sampled/margin/effectiveSize") else {
        return "by how much is not known".to_owned();
    };
    // Whole requests say enough.
    let size = size.as_f64().unwrap_or_default().round() as u64;
    let of = |name: &str| interval(answer, &format!("/sampled/margin/{name}"));
    let mut text = format!("with a confidence of 95 %, {} change target", of("target"));
    if number(answer, "/traffic/status") > 0 {
        text.push_str(&format!(", {} status", of("status")));
    }
    if number(answer, "/traffic/other") > 0 {
        text.push_str(&format!(", {} something else", of("other")));
    }
    format!("{text} (an effective sample of {})", counted(size, "request"))
}

/// `0.09 % to 0.17 %`.
fn interval(of: Manifest<'_>, pointer: &str) -> String {
    let end = |name: &str| percent(of, &format!("{pointer}/{name}"));
    format!("{} to {}", end("lowPercent"), end("highPercent"))
}

/// Counts by name: `x-beta 12, ? 3`, where `?` is the query.
fn named(answer: Manifest<'_>, pointer: &str) -> String {
    let pairs = answer.pairs(pointer).into_iter();
    let pair = |(name, count): (&str, String)| {
        let name = if name == "?" { "the query" } else { name };
        format!("{name}: {}", grouped(count.parse().unwrap_or_default()))
    };
    pairs.map(pair).collect::<Vec<_>>().join(", ")
}

fn texts<'a>(answer: Manifest<'a>, pointer: &str) -> Vec<&'a str> {
    answer.items(pointer).filter_map(|one| one.0.as_str()).collect()
}

fn number(of: Manifest<'_>, pointer: &str) -> u64 {
    of.0.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// With two decimals, and never nothing for something.
fn percent(of: Manifest<'_>, pointer: &str) -> String {
    match of.0.pointer(pointer).and_then(Value::as_f64).unwrap_or_default() {
        small if small > 0.0 && small < 0.005 => "less than 0.01 %".to_owned(),
        other => share(other),
    }
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in crate::command::replay) fn sample() -> Value {
        let forward = |name: &str| {
            let backend = format!("backend/default/{name}");
            json!({"verdict": {"kind": "forward", "arms": [{"backend": backend, "percent": 100.0}]}})
        };
        json!({
            "base": 4, "revision": 5, "selectors": [], "selectorsAfter": [],
            "traffic": {
                "requests": 1_204_331, "keys": 900, "judged": 1_204_300, "changed": 1_566,
                "target": 1_566.0, "targetPercent": 0.130_03, "status": 12, "statusPercent": 0.000_99,
                "other": 0, "otherPercent": 0.0, "classCount": 2,
                "classes": [
                    {
                        "before": forward("web"), "after": {"verdict": {"kind": "notFound"}},
                        "facets": ["status"], "requests": 12, "percent": 0.000_99, "target": 12.0, "keys": 1,
                        "examples": [{
                            "port": 80, "scheme": "http", "method": "GET", "host": "a.x", "path": "/old",
                            "requests": 12,
                        }],
                    },
                    {
                        "before": forward("web"),
                        "after": {"verdict": {"kind": "redirect", "status": 301, "scheme": "http", "port": 80}},
                        "facets": ["redirect"], "requests": 1_554, "percent": 0.129, "target": 1554.0, "keys": 3,
                        "examples": [{
                            "port": 80, "scheme": "http", "method": "GET", "host": "a.x", "path": "/b",
                            "query": "c=|d|", "requests": 1, "locationAfter": "http://a.x/e",
                        }],
                    },
                ],
                "notJudged": {"requests": 31, "hidden": {"x-user": 31}, "beyond": 0},
                "assumed": {"?": 1, "x-beta": 2_000}, "assumedRequests": 2_001,
            },
            "malformed": {"requests": 1, "examples": ["GET a.x /%zz: no escape"]},
            "warnings": [],
            "log": {
                "lines": 1_204_340, "unread": 2, "unreadExamples": ["a.log:7: has no request line"],
                "requests": 1_204_331, "sampled": null, "errorPercent": 0.0,
            },
        })
    }

    #[test]
    fn numbers_and_parts_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_204_331, "1,204,331")] {
            assert_eq!(grouped(number), text);
        }
        let part = |percent: f64| super::percent(Manifest(&json!({"p": percent})), "/p");
        assert_eq!(
            [0.0, 0.004, 0.005, 0.134, 100.0].map(part),
            ["0 %", "less than 0.01 %", "0.01 %", "0.13 %", "100 %"]
        );
    }

    #[test]
    fn samples_say_within_what_their_shares_lie() {
        let mut answer = sample();
        let view = |name: &str| {
            json!({
                "selectors": [name], "judged": 40, "targetPercent": 2.5,
                "targetInterval": {"lowPercent": 0.44, "highPercent": 12.88},
            })
        };
        answer["log"] = Value::Null;
        answer["sampled"] = json!({
            "fromMs": 0, "toMs": 3_600_000, "views": [view("zone=eu"), view("zone=us")],
            "margin": {
                "effectiveSize": 1_233.6,
                "target": {"lowPercent": 0.05, "highPercent": 0.361},
                "status": {"lowPercent": 0.0, "highPercent": 0.002},
                "other": {"lowPercent": 0.0, "highPercent": 0.3},
            },
        });
        let notes = Reading::of(&answer).notes;
        assert_eq!(
            notes[0],
            "Sampled by proxies in the last 60m, each standing for those like it, so shares are estimates: with a \
             confidence of 95 %, 0.05 % to 0.36 % change target, 0 % to less than 0.01 % status (an effective sample \
             of 1,234 requests)."
        );
        assert_eq!(
            notes[1],
            "Proxies that match zone=eu: 2.5 % of 40 requests change target (95 %: 0.44 % to 12.88 %)."
        );
        answer["sampled"].as_object_mut().unwrap().remove("margin");
        assert!(Reading::of(&answer).notes[0].ends_with("estimates: by how much is not known."));
    }

    #[test]
    fn a_replay_that_changes_nothing_says_so_and_a_sample_says_how_good_it_is() {
        let mut answer = sample();
        answer["traffic"]["changed"] = 0.into();
        answer["log"]["sampled"] = 150_000.into();
        answer["log"]["errorPercent"] = json!(0.253);
        let reading = Reading::of(&answer);
        assert_eq!(reading.headline, "Nothing changes for 1,204,300 requests.");
        assert_eq!(
            reading.notes[0],
            "There are more kinds of requests than are kept: this is of a sample of 150,000, and shares are right within 0.25 points (95 %)."
        );
    }
}
