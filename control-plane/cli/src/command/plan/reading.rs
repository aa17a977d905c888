//! What a plan says, in words: one reading for the terminal and for Markdown.

use serde_json::Value;

use super::outcome::{details, outcome, place, share, witness};
use crate::manifest::Manifest;

/// What is said of a plan.
#[derive(Debug)]
pub(super) struct Reading {
    /// The revision that it is against.
    pub(super) base: String,
    /// Resources that change: which, and what happens to them.
    pub(super) changes: Vec<(String, String)>,
    pub(super) views: Vec<View>,
    /// Budgets that the push breaks.
    pub(super) broken: Vec<Budget>,
    /// What nothing would refer to.
    pub(super) orphaned: Vec<String>,
    pub(super) certificates: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// What is not compared; nothing where the plan has no view.
    pub(super) not_compared: Option<String>,
}

/// Proxies that have the same.
#[derive(Debug)]
pub(super) struct View {
    /// Which ones.
    pub(super) part: String,
    /// How many classes of requests have another outcome; more than there are here, perhaps.
    pub(super) class_count: usize,
    /// The most important first.
    pub(super) classes: Vec<Class>,
    /// What shifts move: sentences.
    pub(super) shifts: Vec<String>,
    /// What becomes of listeners.
    pub(super) listeners: Vec<String>,
    /// Places where there may be more; not all of them are in `unproven`.
    pub(super) unproven_count: usize,
    pub(super) unproven: Vec<String>,
    /// What is sent, to how many.
    pub(super) push: String,
}

/// Requests of one change.
#[derive(Debug)]
pub(super) struct Class {
    /// What of their outcome changes.
    pub(super) what: String,
    /// One of them.
    pub(super) request: String,
    pub(super) before: String,
    pub(super) after: String,
    /// What else is different.
    pub(super) details: Vec<String>,
    /// Where they go; not all, perhaps.
    pub(super) places: Vec<String>,
    pub(super) place_count: usize,
}

/// A bound on what a push may cost.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) name: String,
    pub(super) predicted: String,
    pub(super) limit: String,
}

impl Reading {
    pub(super) fn of(plan: &Value) -> Self {
        let plan = Manifest(plan);
        let first = plan.items("/views").next();
        Self {
            base: plan.text_or_none("/base"),
            changes: changes(plan),
            views: plan.items("/views").map(View::of).collect(),
            broken: plan.items("/budgets").filter_map(Budget::broken).collect(),
            orphaned: texts(plan, "/orphaned"),
            certificates: plan.items("/certificates").map(said).collect(),
            warnings: plan.items("/warnings").map(said).collect(),
            not_compared: first.map(|view| texts(view, "/requests/coverage/notCovered").join("; ")),
        }
    }

    /// How many resources change, as a sentence begins.
    pub(super) fn changing(&self) -> String {
        match self.changes.len() {
            1 => "1 resource changes".to_owned(),
            more => format!("{more} resources change"),
        }
    }
}

impl View {
    fn of(view: Manifest<'_>) -> Self {
        let classes = view.items("/requests/classes");
        let (bytes, proxies) = (view.text_or_none("/pushBytes"), view.text_or_none("/proxies"));
        let place = |one: Manifest<'_>| {
            let word = |name: &str| one.text_or_none(name);
            format!("{}{}: {}", word("/host"), word("/path"), word("/reason"))
        };
        Self {
            part: part(view),
            class_count: count(view, "/requests/classCount").unwrap_or(classes.len()),
            classes: classes.map(Class::of).collect(),
            shifts: view.items("/requests/shifts").map(moved).collect(),
            listeners: view.items("/requests/listeners").map(heard).collect(),
            unproven_count: count(view, "/requests/coverage/unprovenCount").unwrap_or_default(),
            unproven: view.items("/requests/coverage/unproven").map(place).collect(),
            push: format!("Push: {bytes} bytes to each of {proxies} proxies."),
        }
    }

    /// How many classes of requests have another outcome: a sentence without its end.
    pub(super) fn headline(&self) -> String {
        match self.class_count {
            0 => "No request has another outcome".to_owned(),
            1 => "1 class of requests has another outcome".to_owned(),
            more => format!("{more} classes of requests have another outcome"),
        }
    }
}

impl Class {
    fn of(class: Manifest<'_>) -> Self {
        let doubt = match class.0.get("isProven").and_then(Value::as_bool) {
            Some(false) => " (not proven: there may be more)",
            _ => "",
        };
        let places: Vec<_> = class.items("/places").map(place).collect();
        Self {
            what: format!("{}{doubt}", texts(class, "/facets").join(", ")),
            request: witness(Manifest(&class.0["witness"])),
            before: outcome(class, "before"),
            after: outcome(class, "after"),
            details: details(class),
            place_count: count(class, "/placeCount").unwrap_or(places.len()),
            places,
        }
    }

    /// The first `most` of the places, and how many there are beyond.
    pub(super) fn places(&self, most: usize) -> (&[String], usize) {
        let shown = &self.places[..self.places.len().min(most)];
        (shown, self.place_count.saturating_sub(shown.len()))
    }
}

impl Budget {
    fn broken(budget: Manifest<'_>) -> Option<Self> {
        let word = |name: &str| budget.text_or_none(name);
        let is_broken = word("/isBroken") == "true";
        is_broken.then(|| Self {
            name: word("/name"),
            predicted: word("/predicted"),
            limit: word("/limit"),
        })
    }
}

/// The resources that change.
fn changes(plan: Manifest<'_>) -> Vec<(String, String)> {
    let change = |change: Manifest<'_>| {
        let word = |name: &str| change.text_or_none(name);
        let id = format!("{}/{}/{}", word("/kind"), word("/namespace"), word("/name"));
        (id, word("/action"))
    };
    let changes = plan.items("/changes").map(change);
    changes.filter(|(_, action)| action != "unchanged").collect()
}

fn texts(of: Manifest<'_>, pointer: &str) -> Vec<String> {
    let texts = of.items(pointer).filter_map(|one| one.0.as_str());
    texts.map(ToOwned::to_owned).collect()
}

fn count(of: Manifest<'_>, pointer: &str) -> Option<usize> {
    let count = of.0.pointer(pointer).and_then(Value::as_u64)?;
    usize::try_from(count).ok()
}

/// Which proxies a view is of.
fn part(view: Manifest<'_>) -> String {
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

/// What a shift moves.
fn moved(shift: Manifest<'_>) -> String {
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
fn heard(listener: Manifest<'_>) -> String {
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

/// A warning on one line.
fn said(warning: Manifest<'_>) -> String {
    let word = |name: &str| warning.text_or_none(name);
    format!("{} {}: {}", word("/resource"), word("/field"), word("/message"))
}
