//! A plan as people read it on a terminal.

use std::fmt::Write as _;

use serde_json::Value;

use super::outcome::{details, outcome, place, share, witness};
use crate::manifest::Manifest;

/// Classes that are shown; `-o json` has all.
const MAX_CLASSES: usize = 50;
/// Places that are shown of one class.
const MAX_PLACES: usize = 5;

pub(super) fn of(plan: &Value) -> String {
    let plan = Manifest(plan);
    let mut text = changes(plan);
    let views: Vec<_> = plan.items("/views").collect();
    for view in &views {
        if views.len() > 1 {
            let _ = writeln!(text, "\nOn {}:", part(*view));
        }
        requests(&mut text, *view);
    }
    rest(&mut text, plan);
    text
}

/// The resources that change, one a line.
fn changes(plan: Manifest<'_>) -> String {
    let is_change = |change: &Manifest<'_>| change.text_or_none("/action") != "unchanged";
    let changed: Vec<_> = plan.items("/changes").filter(is_change).collect();
    let base = plan.text_or_none("/base");
    let mut text = match changed.len() {
        0 => format!("Nothing changes against revision {base}.\n"),
        1 => format!("1 resource changes against revision {base}:\n"),
        more => format!("{more} resources change against revision {base}:\n"),
    };
    for change in changed {
        let word = |name: &str| change.text_or_none(name);
        let _ = writeln!(
            text,
            "  {}/{}/{} {}",
            word("/kind"),
            word("/namespace"),
            word("/name"),
            word("/action")
        );
    }
    text
}

/// Which proxies a view is of.
pub(super) fn part(view: Manifest<'_>) -> String {
    let selectors = |pointer: &str| {
        let texts = view.items(pointer).filter_map(|one| one.0.as_str());
        texts.collect::<Vec<_>>().join(" and ")
    };
    let name = |text: String| {
        if text.is_empty() {
            "no selector".to_owned()
        } else {
            text
        }
    };
    let (before, after) = (name(selectors("/selectors")), name(selectors("/selectorsAfter")));
    let proxies = view.text_or_none("/proxies");
    match before == after {
        true => format!("the {proxies} proxies that match {before}"),
        false => format!("the {proxies} proxies that match {before} now and {after} then"),
    }
}

fn requests(text: &mut String, view: Manifest<'_>) {
    let count = view.text_or_none("/requests/classCount");
    let _ = match count.as_str() {
        "0" => writeln!(text, "\nNo request has another outcome."),
        "1" => writeln!(text, "\n1 class of requests has another outcome:"),
        more => writeln!(text, "\n{more} classes of requests have another outcome:"),
    };
    for (index, found) in view.items("/requests/classes").enumerate().take(MAX_CLASSES) {
        class(text, index + 1, found);
    }
    let shown = view.items("/requests/classes").len().min(MAX_CLASSES);
    if count.parse().is_ok_and(|count: usize| count > shown) {
        let _ = writeln!(text, "\nThe first {shown} are shown; -o json has more.");
    }
    for shift in view.items("/requests/shifts") {
        let _ = writeln!(text, "\n{}", moved(shift));
    }
    for listener in view.items("/requests/listeners") {
        let _ = writeln!(text, "\n{}", heard(listener));
    }
    coverage(text, view);
    let (bytes, proxies) = (view.text_or_none("/pushBytes"), view.text_or_none("/proxies"));
    let _ = writeln!(text, "\nPush: {bytes} bytes to each of {proxies} proxies.");
}

fn class(text: &mut String, number: usize, found: Manifest<'_>) {
    let facets: Vec<_> = found.items("/facets").filter_map(|one| one.0.as_str()).collect();
    let _ = writeln!(text, "\n{number}. {}{}", facets.join(", "), doubt(found));
    let _ = writeln!(text, "   for     {}", witness(Manifest(&found.0["witness"])));
    let _ = writeln!(text, "   before  {}", outcome(found, "before"));
    let _ = writeln!(text, "   after   {}", outcome(found, "after"));
    for detail in details(found) {
        let _ = writeln!(text, "           {detail}");
    }
    let places: Vec<_> = found.items("/places").take(MAX_PLACES).map(place).collect();
    let all: usize = found.text_or_none("/placeCount").parse().unwrap_or(places.len());
    let more = match all - places.len().min(all) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let _ = writeln!(text, "   where   {}{more}", places.join(", "));
}

pub(super) fn doubt(found: Manifest<'_>) -> &'static str {
    match found.0.get("isProven").and_then(Value::as_bool) {
        Some(false) => " (not proven: there may be more)",
        _ => "",
    }
}

/// What a shift moves.
pub(super) fn moved(shift: Manifest<'_>) -> String {
    let number = |pointer: &str| shift.0.pointer(pointer).and_then(Value::as_f64);
    let target = shift.text_or_none("/target");
    let variants = shift.0.get("variantsMovedPercent").and_then(Value::as_object);
    let variants = variants.into_iter().flatten().map(|(name, percent)| {
        let percent = share(percent.as_f64().unwrap_or_default());
        format!("; of variant {name}, {percent} of the requests go to another backend")
    });
    if let Some(users) = number("/slotsMoved/percent") {
        let redealt = shift.text_or_none("/slotsMoved/isRedealt") == "true";
        let who = if redealt { ", dealt anew" } else { "" };
        let variants: String = variants.collect();
        return format!(
            "{target}: {} of the users see another variant{who}{variants}",
            share(users)
        );
    }
    let requests = number("/weightsMovedPercent").unwrap_or_default();
    format!(
        "{target}: {} of the requests go to another backend",
        share(requests)
    )
}

/// What becomes of a listener.
pub(super) fn heard(listener: Manifest<'_>) -> String {
    let is = |name: &str| listener.text_or_none(name) == "true";
    let name = listener.text_or_none("/listener");
    let what = match (is("/isBefore"), is("/isAfter")) {
        (false, _) => "opens".to_owned(),
        (_, false) => "closes".to_owned(),
        _ => {
            let settings = listener.items("/settings").map(|one| {
                let word = |name: &str| one.text_or_none(name);
                format!("{}: {} -> {}", word("/name"), word("/before"), word("/after"))
            });
            settings.collect::<Vec<_>>().join("; ")
        }
    };
    format!("{name}: {what}")
}

fn coverage(text: &mut String, view: Manifest<'_>) {
    let unproven = view.text_or_none("/requests/coverage/unprovenCount");
    if unproven != "0" {
        let _ = writeln!(
            text,
            "\nNot proven in {unproven} places, where there may be more:"
        );
        for one in view.items("/requests/coverage/unproven").take(MAX_PLACES) {
            let word = |name: &str| one.text_or_none(name);
            let _ = writeln!(text, "  {}{}: {}", word("/host"), word("/path"), word("/reason"));
        }
    }
}

/// What is said once, whatever the views.
fn rest(text: &mut String, plan: Manifest<'_>) {
    for budget in plan.items("/budgets").filter(is_broken) {
        let word = |name: &str| budget.text_or_none(name);
        let _ = writeln!(
            text,
            "\nBudget broken: {} is {}, and should be {} at most.",
            word("/name"),
            word("/predicted"),
            word("/limit")
        );
    }
    let orphaned: Vec<_> = plan.items("/orphaned").filter_map(|one| one.0.as_str()).collect();
    if !orphaned.is_empty() {
        let _ = writeln!(text, "\nNothing would refer to: {}", orphaned.join(", "));
    }
    for (title, list) in [("Certificates", "/certificates"), ("Warnings", "/warnings")] {
        if plan.items(list).len() > 0 {
            let _ = writeln!(text, "\n{title}:");
        }
        for warning in plan.items(list) {
            let _ = writeln!(text, "  {}", said(warning));
        }
    }
    if let Some(view) = plan.items("/views").next() {
        let not_covered = view.items("/requests/coverage/notCovered");
        let not_covered: Vec<_> = not_covered.filter_map(|one| one.0.as_str()).collect();
        let _ = writeln!(text, "\nNot compared: {}.", not_covered.join("; "));
    }
    let _ = writeln!(
        text,
        "\nWith --base-revision {}, apply refuses if what it touches has changed since.",
        plan.text_or_none("/base")
    );
}

pub(super) fn is_broken(budget: &Manifest<'_>) -> bool {
    budget.text_or_none("/isBroken") == "true"
}

/// A warning on one line.
pub(super) fn said(warning: Manifest<'_>) -> String {
    let word = |name: &str| warning.text_or_none(name);
    format!("{} {}: {}", word("/resource"), word("/field"), word("/message"))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

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
            of(&sample()),
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
