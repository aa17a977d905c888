//! A plan as people read it on a terminal.

use std::fmt::Write as _;

use super::reading::{Class, Reading, View};

/// Classes that are shown; `-o json` has all.
const MAX_CLASSES: usize = 50;
/// Places that are shown of one class, or where something is not proven.
const MAX_PLACES: usize = 5;

pub(super) fn of(plan: &Reading) -> String {
    let mut text = changes(plan);
    for view in &plan.views {
        if plan.views.len() > 1 {
            let _ = writeln!(text, "\nOn {}:", view.part);
        }
        requests(&mut text, view);
    }
    rest(&mut text, plan);
    text
}

/// The resources that change, one a line.
fn changes(plan: &Reading) -> String {
    let base = &plan.base;
    if plan.changes.is_empty() {
        return format!("Nothing changes against revision {base}.\n");
    }
    let mut text = format!("{} against revision {base}:\n", plan.changing());
    for (id, action) in &plan.changes {
        let _ = writeln!(text, "  {id} {action}");
    }
    text
}

fn requests(text: &mut String, view: &View) {
    let end = if view.class_count == 0 { "." } else { ":" };
    let _ = writeln!(text, "\n{}{end}", view.headline());
    let shown = &view.classes[..view.classes.len().min(MAX_CLASSES)];
    for (index, found) in shown.iter().enumerate() {
        class(text, index + 1, found);
    }
    if view.class_count > shown.len() {
        let _ = writeln!(text, "\nThe first {} are shown; -o json has more.", shown.len());
    }
    for line in view.shifts.iter().chain(&view.listeners) {
        let _ = writeln!(text, "\n{line}");
    }
    if view.unproven_count > 0 {
        let _ = writeln!(
            text,
            "\nNot proven in {} places, where there may be more:",
            view.unproven_count
        );
        for place in view.unproven.iter().take(MAX_PLACES) {
            let _ = writeln!(text, "  {place}");
        }
    }
    let _ = writeln!(text, "\n{}", view.push);
}

fn class(text: &mut String, number: usize, found: &Class) {
    let _ = writeln!(text, "\n{number}. {}", found.what);
    let _ = writeln!(text, "   for     {}", found.request);
    let _ = writeln!(text, "   before  {}", found.before);
    let _ = writeln!(text, "   after   {}", found.after);
    for detail in &found.details {
        let _ = writeln!(text, "           {detail}");
    }
    let (places, more) = found.places(MAX_PLACES);
    let more = match more {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let _ = writeln!(text, "   where   {}{more}", places.join(", "));
}

/// What is said once, whatever the views.
fn rest(text: &mut String, plan: &Reading) {
    for budget in &plan.broken {
        let _ = writeln!(
            text,
            "\nBudget broken: {} is {}, and should be {} at most.",
            budget.name, budget.predicted, budget.limit
        );
    }
    if !plan.orphaned.is_empty() {
        let _ = writeln!(text, "\nNothing would refer to: {}", plan.orphaned.join(", "));
    }
    for (title, list) in [("Certificates", &plan.certificates), ("Warnings", &plan.warnings)] {
        if !list.is_empty() {
            let _ = writeln!(text, "\n{title}:");
        }
        for warning in list {
            let _ = writeln!(text, "  {warning}");
        }
    }
    if let Some(parts) = &plan.not_compared {
        let _ = writeln!(text, "\nNot compared: {parts}.");
    }
    let _ = writeln!(
        text,
        "\nWith --base-revision {}, apply refuses if what it touches has changed since.",
        plan.base
    );
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::command::plan) fn sample() -> Value {
        json!({
            "base": 4, "revision": 5,
            "changes": [
                {"kind": "HTTPRoute", "namespace": "default", "name": "shop", "action": "updated"},
                {"kind": "Backend", "namespace": "default", "name": "web", "action": "unchanged"},
            ],
            "views": [{
                "selectors": [], "selectorsAfter": [], "proxies": 3, "pushBytes": 288,
                "requests": {
                    "classCount": 1,
                    "classes": [{
                        "port": 80,
                        "before": {"verdict": {"kind": "forward", "arms": [
                            {"backend": "backend/default/a", "percent": 90.0},
                            {"backend": "backend/default/b", "percent": 10.0, "requestHeaders": [{"name": "x"}]},
                        ]}},
                        "after": {"verdict": {"kind": "forward", "requestTimeoutMs": 500, "arms": [
                            {"backend": "backend/default/a", "percent": 100.0},
                        ]}},
                        "facets": ["backends", "policy"], "isProven": true,
                        "placeCount": 7,
                        "places": [{"host": "*", "path": {"kind": "prefix", "value": "/pay"}, "headers": ["x: 1"]}],
                        "witness": {
                            "port": 8080, "scheme": "http", "method": "GET", "host": "a.example", "path": "/pay",
                            "query": "a=b", "headers": [["x", "1"]],
                        },
                    }],
                    "listeners": [], "coverage": {"unprovenCount": 0, "unproven": [], "notCovered": ["endpoints"]},
                    "shifts": [{"target": "split/default/shop/pay", "weightsMovedPercent": 10.0}],
                },
            }],
            "orphaned": ["Backend/default/b"],
            "budgets": [{"name": "pushBytesPerProxy", "limit": 10, "predicted": 288, "isBroken": true}],
            "certificates": [], "warnings": [],
        })
    }

    #[test]
    fn a_plan_says_what_becomes_of_which_requests() {
        assert_eq!(
            of(&Reading::of(&sample())),
            "1 resource changes against revision 4:\n\
             \x20 HTTPRoute/default/shop updated\n\
             \n\
             1 class of requests has another outcome:\n\
             \n\
             1. backends, policy\n\
             \x20  for     GET http://a.example:8080/pay?a=b -H 'x: 1'\n\
             \x20  before  default/a 90 %, default/b 10 %\n\
             \x20  after   default/a 100 %\n\
             \x20          backend/default/b requestHeaders: [{\"name\":\"x\"}] -> none\n\
             \x20          requestTimeoutMs: none -> 500\n\
             \x20  where   */pay/* [x: 1], and 6 more\n\
             \n\
             split/default/shop/pay: 10 % of the requests go to another backend\n\
             \n\
             Push: 288 bytes to each of 3 proxies.\n\
             \n\
             Budget broken: pushBytesPerProxy is 288, and should be 10 at most.\n\
             \n\
             Nothing would refer to: Backend/default/b\n\
             \n\
             Not compared: endpoints.\n\
             \n\
             With --base-revision 4, apply refuses if what it touches has changed since.\n"
        );
    }
}
