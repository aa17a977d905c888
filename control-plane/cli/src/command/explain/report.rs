//! An explanation for people.

use std::fmt::Write as _;

use serde_json::Value;

use crate::manifest::Manifest;
use crate::table::Table;

/// The decision, what holds for it, the way to it, and what nearly took the request.
pub(super) fn of(explanation: Manifest<'_>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    line("Decision:", &decision(explanation));
    if let Some(listener) = explanation.text("/listener") {
        line("Listener:", &listener);
    }
    if let Some(key) = explanation.text("/decision/rule/key") {
        let [route, index, matched] = ["route", "index", "matchIndex"]
            .map(|name| explanation.text_or_none(&format!("/decision/rule/{name}")));
        line(
            "Rule:",
            &format!("{key} (rule {index} of HTTPRoute {route}, match {matched})"),
        );
    }
    if let Some(experiment) = explanation.text("/decision/experiment") {
        line("Experiment:", &experiment);
    }
    for share in explanation.items("/decision/backends") {
        line("To:", &backend(share));
        if let Some(policy) = share.item("/policy") {
            line("", &backend_policy(policy));
        }
        for mirror in share.items("/mirrors") {
            line("", &copy(mirror));
        }
    }
    for mirror in explanation.items("/mirrors") {
        line("Copied:", &copy(mirror));
    }
    if let Some(allowed) = explanation.text("/cors/allowed") {
        let origin = explanation.text("/cors/origin");
        line("CORS:", &cross_origin(origin.as_deref(), allowed == "true"));
    }
    if let Some(policy) = explanation.item("/policy") {
        line("Limits:", &limits(policy));
    }
    text.push_str(&way(explanation));
    text.push_str(&near_misses(explanation));
    text
}

fn way(explanation: Manifest<'_>) -> String {
    let steps = explanation.items("/steps");
    if steps.len() == 0 {
        return String::new();
    }
    let mut table = Table::new(["STEP", "FOUND"]);
    for step in steps {
        table.row(["/stage", "/found"].map(|pointer| step.text_or_none(pointer)));
        for other in step.items("/considered") {
            let other = other.0.as_str().unwrap_or_default();
            table.row([String::new(), format!("- {other}")]);
        }
    }
    format!("\nThe way there:\n{table}")
}

fn near_misses(explanation: Manifest<'_>) -> String {
    let misses = explanation.items("/nearMisses");
    let told = misses.len() as u64;
    if told == 0 {
        return String::new();
    }
    let mut table = Table::new(["RULE", "MATCH", "LOST BY", "DETAIL"]);
    for miss in misses {
        table.row(["/rule", "/matchIndex", "/lostBy", "/detail"].map(|pointer| miss.text_or_none(pointer)));
    }
    let mut text = format!("\nNear misses, nearest first:\n{table}");
    let number = |name: &str| explanation.0.pointer(name).and_then(Value::as_u64);
    let more = number("/nearMissCount").map_or(0, |count| count.saturating_sub(told));
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    if explanation.text("/isComplete").as_deref() == Some("false") {
        text.push_str("Not all of them were looked for: there may be nearer ones.\n");
    }
    text
}

/// What holds for the requests of the rule.
fn limits(policy: Manifest<'_>) -> String {
    let mut parts = Vec::new();
    let time = |pointer: &str| policy.0.pointer(pointer).and_then(Value::as_u64).map(millis);
    if let Some(time) = time("/requestTimeoutMs") {
        parts.push(format!("{time} for all"));
    }
    if let Some(time) = time("/backendRequestTimeoutMs") {
        parts.push(format!("{time} for an attempt"));
    }
    parts.push(format!("at most {} attempts", policy.text_or_none("/attempts")));
    if let Some(bytes) = policy.text("/bodyBytes") {
        parts.push(format!("a body of {bytes} bytes"));
    }
    parts.join(", ")
}

/// What holds for requests to a backend.
fn backend_policy(policy: Manifest<'_>) -> String {
    let time = |pointer: &str| millis(policy.0.pointer(pointer).and_then(Value::as_u64).unwrap_or(0));
    let security = match policy.item("/tls") {
        Some(tls) => format!("TLS for {}", tls.text("/sni").unwrap_or_else(|| "no name".into())),
        None => "plain".into(),
    };
    let failures = policy.text_or_none("/outlier/failures");
    let breaker = match failures.as_str() {
        "0" => "never ejected".to_owned(),
        _ => format!(
            "ejected for {} after {failures} failures in a row",
            time("/outlier/baseEjectionMs")
        ),
    };
    let (protocol, connect) = (policy.text_or_none("/protocol"), time("/connectTimeoutMs"));
    format!("{protocol}, {security}, {connect} to connect, {breaker}")
}

fn millis(ms: u64) -> String {
    match ms % 1_000 {
        0 => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

fn decision(explanation: Manifest<'_>) -> String {
    let text = |name: &str| explanation.text_or_none(&format!("/decision/{name}"));
    match text("outcome").as_str() {
        "noListener" => "404: no listener has this host and port".into(),
        "noRoute" => "404: no rule matches".into(),
        "noBackends" => "500: the rule has no backend to send it to".into(),
        "preflight" => "204: a browser's question whether a page may".into(),
        "redirect" => format!("{} to {}", text("status"), text("location")),
        "split" => "sent on by weight".into(),
        "experiment" if text("forced") == "true" => format!("variant {}, forced by header", text("variant")),
        "experiment" => match explanation.text("/decision/slot") {
            Some(slot) => format!("variant {}, by slot {slot}", text("variant")),
            None => format!(
                "variant {}, by chance: the request has no unit yet",
                text("variant")
            ),
        },
        other => other.to_owned(),
    }
}

fn percent(share: Manifest<'_>) -> f64 {
    let percent = share.0.pointer("/percent");
    percent.and_then(Value::as_f64).unwrap_or_default()
}

fn copy(mirror: Manifest<'_>) -> String {
    let percent = percent(mirror);
    match mirror.text("/backend") {
        Some(backend) => format!("a copy of {percent:.1}% to {backend}"),
        None => format!("a copy of {percent:.1}% to nowhere: the reference leads to nothing"),
    }
}

fn cross_origin(origin: Option<&str>, allowed: bool) -> String {
    match (origin, allowed) {
        (None, _) => "the request names no origin".into(),
        (Some(origin), true) => format!("{origin} may read the answer"),
        (Some(origin), false) => format!("{origin} may not read the answer"),
    }
}

fn backend(share: Manifest<'_>) -> String {
    let percent = percent(share);
    match share.text("/backend") {
        Some(backend) => {
            let endpoints = share.text_or_none("/endpoints");
            let plural = if endpoints == "1" { "" } else { "s" };
            let filters: Vec<_> = share
                .items("/filters")
                .filter_map(|name| name.0.as_str())
                .collect();
            let filters = match filters.is_empty() {
                true => String::new(),
                false => format!(", with its own {}", filters.join(", ")),
            };
            format!("{backend} {percent:.1}%, {endpoints} endpoint{plural}{filters}")
        }
        None => format!("500 for {percent:.1}%: the reference leads nowhere"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_explanation_says_where_to_and_who_lost_by_what() {
        let answer = json!({
            "listener": "listener/default/edge/http",
            "decision": {
                "outcome": "split",
                "rule": {"key": "rule/default/shop/pay", "route": "default/shop", "index": 1, "matchIndex": 0},
                "backends": [{"backend": "backend/default/a", "percent": 90.0, "endpoints": 2, "policy": {"protocol": "h2c", "connectTimeoutMs": 1500, "outlier": {"failures": 5, "baseEjectionMs": 30_000}, "tls": {"sni": "a.internal"}}, "filters": ["rewrite"], "mirrors": [{"backend": "backend/default/b", "percent": 5.0}]}, {"percent": 10.0, "endpoints": 0}],
            },
            "mirrors": [{"percent": 100.0}],
            "cors": {"origin": "https://a.example", "allowed": false},
            "policy": {"requestTimeoutMs": 10_000, "attempts": 2, "bodyBytes": 1024},
            "steps": [{"stage": "port", "found": "80: the first", "considered": ["81"]}, {"stage": "decision", "found": "sent on"}],
            "nearMisses": [{"rule": "rule/default/shop/beta", "matchIndex": 0, "lostBy": "header", "detail": "x-beta: 1"}],
            "nearMissCount": 3,
            "isComplete": false,
        });
        assert_eq!(
            of(Manifest(&answer)),
            "Decision:   sent on by weight\n\
             Listener:   listener/default/edge/http\n\
             Rule:       rule/default/shop/pay (rule 1 of HTTPRoute default/shop, match 0)\n\
             To:         backend/default/a 90.0%, 2 endpoints, with its own rewrite\n\
             \x20           h2c, TLS for a.internal, 1500ms to connect, ejected for 30s after 5 failures in a row\n\
             \x20           a copy of 5.0% to backend/default/b\n\
             To:         500 for 10.0%: the reference leads nowhere\n\
             Copied:     a copy of 100.0% to nowhere: the reference leads to nothing\n\
             CORS:       https://a.example may not read the answer\n\
             Limits:     10s for all, at most 2 attempts, a body of 1024 bytes\n\
             \n\
             The way there:\n\
             STEP       FOUND\n\
             port       80: the first\n\
             \x20          - 81\n\
             decision   sent on\n\
             \n\
             Near misses, nearest first:\n\
             RULE                     MATCH   LOST BY   DETAIL\n\
             rule/default/shop/beta   0       header    x-beta: 1\n\
             and 2 more\n\
             Not all of them were looked for: there may be nearer ones.\n"
        );
    }
}
