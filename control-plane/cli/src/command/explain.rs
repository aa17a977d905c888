//! `sluice explain`: where a request would go, by the code that answers live requests.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;
use reqwest::{Method, header::HeaderName};
use serde_json::{Map, Value, json};

use crate::client::{Client, Request};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::Scope;
use crate::outcome::Outcome;
use crate::print;
use crate::table::Table;

/// The request to explain.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Its method
    #[arg(value_name = "METHOD")]
    method: Method,
    /// Its URL; a port picks the listener, if one has it
    #[arg(value_name = "URL")]
    url: String,
    /// One of its headers, as often as needed
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<Header>,
    /// Address of the client, for experiments on it
    #[arg(long, value_name = "IP")]
    client_ip: Option<IpAddr>,
    /// As of this revision instead of the newest one
    #[arg(long, value_name = "REVISION")]
    revision: Option<u64>,
    /// On proxies with this label, as often as needed; without any, on one that has none
    #[arg(long = "label", value_name = "NAME=VALUE", conflicts_with = "proxy")]
    labels: Vec<Label>,
    /// On this proxy
    #[arg(long, value_name = "ID")]
    proxy: Option<String>,
}

/// A label as it is written on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The text is no label.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write a label as name=value")]
pub(crate) struct LabelError;

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let (name, value) = text.split_once('=').ok_or(LabelError)?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[derive(Clone, Debug)]
struct Header {
    name: HeaderName,
    value: String,
}

/// The text is no header.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write a header as 'name: value'")]
struct HeaderError;

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let (name, value) = text.split_once(':').ok_or(HeaderError)?;
        let name = name.trim().parse().map_err(|_| HeaderError)?;
        Ok(Self {
            name,
            value: value.trim().to_owned(),
        })
    }
}

/// Prints the decision and the near misses.
///
/// # Errors
/// When the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let request = Request::new(Method::POST, &["v1", "explain"]).json(body(options));
    let answer = client.send(request).await?;
    print::result(scope.output, &answer, |answer| Ok(lines(Manifest(answer))))?;
    Ok(Outcome::Done)
}

/// Fields of one name are one field with its values joined (RFC 9110 section 5.3).
fn body(options: &Options) -> Value {
    let mut headers = Map::new();
    for Header { name, value } in &options.headers {
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(before) if name == "cookie" => format!("{before}; {value}"),
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        headers.insert(name.as_str().to_owned(), joined.into());
    }
    let mut body = json!({"method": options.method.as_str(), "url": options.url, "headers": headers});
    if let Some(address) = options.client_ip {
        body["clientIp"] = json!(address);
    }
    if let Some(revision) = options.revision {
        body["revision"] = json!(revision);
    }
    if let Some(proxy) = &options.proxy {
        body["proxy"] = json!(proxy);
    }
    for Label { name, value } in &options.labels {
        body["labels"][name] = json!(value);
    }
    body
}

fn lines(explanation: Manifest<'_>) -> String {
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
    let misses = explanation.items("/nearMisses");
    if misses.len() > 0 {
        text.push_str("\nNear misses, best first:\n");
        let mut table = Table::new(["RULE", "MATCH", "LOST BY", "DETAIL"]);
        for miss in misses {
            table.row(
                ["/rule", "/matchIndex", "/lostBy", "/detail"].map(|pointer| miss.text_or_none(pointer)),
            );
        }
        text.push_str(&table.to_string());
    }
    text
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
    use super::*;

    #[test]
    fn an_explanation_says_where_to_and_who_lost_by_what() {
        let answer = json!({
            "listener": "listener/default/edge/http",
            "decision": {
                "outcome": "split",
                "rule": {"key": "rule/default/shop/pay", "route": "default/shop", "index": 1, "matchIndex": 0},
                "backends": [{"backend": "backend/default/a", "percent": 90.0, "endpoints": 2, "filters": ["rewrite"], "mirrors": [{"backend": "backend/default/b", "percent": 5.0}]}, {"percent": 10.0, "endpoints": 0}],
            },
            "mirrors": [{"percent": 100.0}],
            "cors": {"origin": "https://a.example", "allowed": false},
            "nearMisses": [{"rule": "rule/default/shop/beta", "matchIndex": 0, "lostBy": "header", "detail": "x-beta: 1"}],
        });
        assert_eq!(
            lines(Manifest(&answer)),
            "Decision:   sent on by weight\n\
             Listener:   listener/default/edge/http\n\
             Rule:       rule/default/shop/pay (rule 1 of HTTPRoute default/shop, match 0)\n\
             To:         backend/default/a 90.0%, 2 endpoints, with its own rewrite\n\
             \x20           a copy of 5.0% to backend/default/b\n\
             To:         500 for 10.0%: the reference leads nowhere\n\
             Copied:     a copy of 100.0% to nowhere: the reference leads to nothing\n\
             CORS:       https://a.example may not read the answer\n\
             \n\
             Near misses, best first:\n\
             RULE                     MATCH   LOST BY   DETAIL\n\
             rule/default/shop/beta   0       header    x-beta: 1\n"
        );
    }

    #[test]
    fn headers_of_one_name_are_joined_and_cookies_by_semicolon() {
        let header = |text: &str| text.parse::<Header>().unwrap();
        let options = Options {
            method: Method::GET,
            url: "http://shop/".into(),
            headers: ["a: 1", "A:2", "Cookie: x=1", "cookie: y=2"].map(header).into(),
            client_ip: Some([127, 0, 0, 1].into()),
            revision: None,
            labels: ["zone=eu", "tier="].map(|text| text.parse().unwrap()).into(),
            proxy: None,
        };
        assert_eq!(
            body(&options),
            json!({
                "method": "GET", "url": "http://shop/", "clientIp": "127.0.0.1",
                "headers": {"a": "1, 2", "cookie": "x=1; y=2"},
                "labels": {"zone": "eu", "tier": ""},
            })
        );
        assert!("no colon".parse::<Header>().is_err());
        assert!("bad name: x".parse::<Header>().is_err());
        assert!("zone".parse::<Label>().is_err());
    }
}
