//! `sluice explain`: where a request would go, by the code that answers live requests.

mod report;

use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;
use reqwest::{Method, header::HeaderName};
use serde_json::{Map, Value, json};

use crate::client::{Client, Request};
use crate::command::apply::{self, DanglingRefs};
use crate::failure::Failure;
use crate::manifest::Manifest;
use crate::options::{MaybeFiles, Prune, Scope};
use crate::outcome::Outcome;
use crate::print;

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
    #[command(flatten)]
    files: MaybeFiles,
    #[command(flatten)]
    prune: Prune,
    /// What to do about references to what does not exist
    #[arg(long, value_enum, requires = "filenames")]
    dangling_refs: Option<DanglingRefs>,
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

/// Prints the decision, the way to it and the near misses.
///
/// # Errors
/// When a file cannot be read, or the control plane refuses or does not answer.
pub(crate) async fn run(client: &Client, scope: &Scope, options: &Options) -> Result<Outcome, Failure> {
    let sources = options.files.read(&options.prune)?;
    let mut body = body(options);
    if let Some(sources) = &sources {
        body["manifests"] = String::from_utf8_lossy(&sources.body()).into();
        body["namespace"] = json!(scope.namespace.as_str());
    }
    let request = Request::new(Method::POST, &["v1", "explain"]).json(body);
    let answer = client.send(request).await.map_err(|failure| match &sources {
        Some(sources) => apply::in_files(failure, sources, &scope.namespace),
        None => failure,
    })?;
    print::result(scope.output, &answer, |answer| Ok(report::of(Manifest(answer))))?;
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
    if let Some(selector) = options.prune.parameter() {
        body["prune"] = json!(selector);
    }
    if let Some(dangling) = options.dangling_refs.and_then(DanglingRefs::parameter) {
        body["danglingRefs"] = json!(dangling);
    }
    for Label { name, value } in &options.labels {
        body["labels"][name] = json!(value);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

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
            files: MaybeFiles::default(),
            prune: Prune::default(),
            dangling_refs: Some(DanglingRefs::Warn),
        };
        assert_eq!(
            body(&options),
            json!({
                "method": "GET", "url": "http://shop/", "clientIp": "127.0.0.1",
                "headers": {"a": "1, 2", "cookie": "x=1; y=2"},
                "labels": {"zone": "eu", "tier": ""},
                "danglingRefs": "warn",
            })
        );
        assert!("no colon".parse::<Header>().is_err());
        assert!("bad name: x".parse::<Header>().is_err());
        assert!("zone".parse::<Label>().is_err());
    }
}
